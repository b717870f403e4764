package shop;

import java.util.zip.Deflater;

/** Code that no test has a frame of. */
final class Library {
    private Library() {}

    static void leak() {
        new Deflater();
    }

    /** A task that runs without a frame of the test. */
    static Runnable leaking() {
        return () -> new Deflater();
    }

    static Deflater open() {
        return new Deflater();
    }
}
