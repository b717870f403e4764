// A class that ends its Inflater when it is closed, and a method that returns one. One caller of
// each ends what it gets, another one forgets it.
// expect: inflater created 12, ended 6, collected 6
// expect on 8: inflater created 12, ended 6, late 6

import java.io.Closeable;
import java.util.zip.Inflater;

public class CallersDiffer {
    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            closes();
            forgets();
            ends();
            loses();
        }
        System.out.println("done");
    }

    private static void closes() {
        try (Codec codec = new Codec(9)) {
            codec.reset();
        }
    }

    private static void forgets() {
        new Codec().reset();
    }

    private static void ends() {
        inflater().end();
    }

    private static void loses() {
        inflater().reset();
    }

    private static Inflater inflater() {
        return new Inflater();
    }

    private static final class Codec implements Closeable {
        private final Inflater inflater;

        Codec() {
            this(true);
        }

        Codec(int level) {
            this(level > 0);
        }

        private Codec(boolean nowrap) {
            inflater = new Inflater(nowrap);
        }

        void reset() {
            inflater.reset();
        }

        @Override
        public void close() {
            inflater.end();
        }
    }
}
