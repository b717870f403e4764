// Its second version: make() has the same bytecode on another line, stay() has other bytecode, too.

import java.util.zip.Inflater;

class Made {
    static Inflater make() {
        // As if edited while the program runs,
        // with a debugger or a hot-swap agent.
        return new Inflater(); // make
    }

    static void stay(Runnable between) {
        long begun = System.nanoTime();
        new Inflater().end(); // before
        between.run();
        if (System.nanoTime() < begun) {
            throw new IllegalStateException();
        }
        new Inflater().end(); // after
    }
}
