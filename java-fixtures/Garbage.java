// Makes garbage, collects it, prints `ready`, and ends when its stdin has a line or is closed.
// On JDK 8 the finalizers run before it is ready.
// expect: inflater created 12, ended 2, collected 10
// expect on 8: inflater created 12, ended 2, late 10

import java.util.zip.Inflater;

public class Garbage {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 12; i++) {
            once(i < 2);
        }
        System.gc();
        if (System.getProperty("java.version").startsWith("1.8")) {
            finalizers();
        }
        System.out.println("ready");
        System.in.read();
        System.out.println("done");
    }

    private static void once(boolean tidy) {
        Inflater inflater = new Inflater();
        if (tidy) {
            inflater.end();
        }
    }

    @SuppressWarnings({"deprecation", "removal"})
    private static void finalizers() {
        System.runFinalization();
        System.gc();
    }
}
