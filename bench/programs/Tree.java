package bench;

import java.util.zip.Inflater;

/** Makes Inflaters on as many different stacks as one likes, all of the same depth. */
final class Tree {
    /** Frames in which a stack takes one of two ways: enough for 1,048,576 stacks. */
    private static final int FORKS = 20;

    private final int padding;

    /** For stacks of {@code frames} Java frames, the constructor's included. */
    Tree(int frames) {
        // This constructor stands where `create` will.
        this(frames, new Throwable().getStackTrace().length);
    }

    private Tree(int frames, int here) {
        // `pad` and `fork` have a frame more than they call themselves; the last: constructor.
        padding = frames - FORKS - here - 3;
        if (padding < 0) {
            throw new IllegalArgumentException("frames: at least " + (frames - padding));
        }
    }

    /** A new Inflater on stack {@code number}; to be called as deep as {@code new Tree}. */
    Inflater create(int number) {
        return pad(number, padding);
    }

    private static Inflater pad(int number, int padding) {
        return padding > 0 ? pad(number, padding - 1) : fork(number, FORKS);
    }

    private static Inflater fork(int number, int forks) {
        if (forks == 0) {
            return new Inflater(true);
        }
        if ((number & 1) == 0) {
            return fork(number >>> 1, forks - 1);
        }
        return fork(number >>> 1, forks - 1);
    }
}
