// The class that Redefining redefines: its first version.

import java.util.zip.Inflater;

class Made {
    static Inflater make() {
        return new Inflater(); // make
    }

    static void stay(Runnable between) {
        new Inflater().end(); // before
        between.run();
        new Inflater().end(); // after
    }
}
