// An uncaught exception ends the program between constructor and end().
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1
// exit: 1

import java.util.zip.Inflater;

public class UncaughtException {
    public static void main(String[] args) {
        System.out.println("about to fail");
        fail();
    }

    private static void fail() {
        Inflater inflater = new Inflater();
        if (inflater.needsInput()) {
            throw new IllegalStateException("no input");
        }
        inflater.end();
    }
}
