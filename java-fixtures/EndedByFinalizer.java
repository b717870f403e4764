// The owner's finalize() ends it, but only because a GC happened.
// expect: inflater created 3, late 3

import java.util.zip.Inflater;

public class EndedByFinalizer {
    static final class Owner {
        final Inflater inflater = new Inflater();

        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            inflater.end();
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            System.out.println(forget());
        }
    }

    private static boolean forget() {
        return new Owner().inflater.needsInput();
    }
}
