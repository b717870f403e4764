// Drops Inflaters as fast as two threads can, in a small heap, so that every GC frees some and
// reports that. Prints `ready`, and ends when its stdin has a line or is closed.
// expect: inflater created some, ended any, live any, collected any, late any

import java.util.zip.Inflater;

public class FloodOfFrees {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 2; i++) {
            Thread thread = new Thread(FloodOfFrees::flood);
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println("ready");
        System.in.read();
        System.out.println("done");
    }

    private static void flood() {
        while (true) {
            new Inflater();
        }
    }
}
