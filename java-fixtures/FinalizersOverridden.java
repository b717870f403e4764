// Subclasses with a finalizer of their own: one that calls end(), and one that does nothing, which
// on JDK 8 keeps the native memory for good.
// expect: inflater created 5, late 3, collected 2

import java.util.zip.Inflater;

public class FinalizersOverridden {
    static final class Ending extends Inflater {
        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            end();
        }
    }

    static final class Idle extends Inflater {
        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            System.out.println(forget(new Ending()));
        }
        for (int i = 0; i < 2; i++) {
            System.out.println(forget(new Idle()));
        }
    }

    private static boolean forget(Inflater inflater) {
        return inflater.needsInput();
    }
}
