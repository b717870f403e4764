package bench;

import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * A heap of {@code Heap OBJECTS INSTANCES} small objects and open Inflaters. Prints a line when it
 * has them, and ends when its stdin does.
 */
public final class Heap {
    private static Object[][] objects;
    private static Inflater[] instances;

    private Heap() {}

    public static void main(String[] args) throws Exception {
        objects = new Object[Integer.parseInt(args[0]) / 1000][];
        for (int i = 0; i < objects.length; i++) {
            objects[i] = new Object[999];
            for (int j = 0; j < objects[i].length; j++) {
                objects[i][j] = new int[1];
            }
        }
        instances = new Inflater[Integer.parseInt(args[1])];
        for (int i = 0; i < instances.length; i++) {
            instances[i] = new Inflater(true);
        }
        // An adoption looks for Deflaters, too, once there has been one.
        new Deflater().end();
        System.gc();
        System.out.println("objects=" + objects.length * 1000L);
        while (System.in.read() >= 0) {
            // until it ends
        }
    }
}
