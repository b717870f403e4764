// A version that no JVM accepts as a redefinition of the first: it has one more method.

import java.util.zip.Inflater;

class Made {
    static Inflater make() {
        // One, two.
        return new Inflater(); // make
    }

    static void stay(Runnable between) {
        more();
    }

    static void more() {}
}
