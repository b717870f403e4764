// System.runFinalization() runs finalizers on a thread of its own: late, not ended by the program.
// expect: inflater created 200, late 200

import java.util.zip.Inflater;

public class RunFinalization {
    static final class Owner {
        final Inflater inflater = new Inflater();

        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            inflater.end();
        }
    }

    @SuppressWarnings({"deprecation", "removal"})
    public static void main(String[] args) {
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < 10; i++) {
                forget();
            }
            System.gc();
            System.runFinalization();
        }
        System.out.println("done");
    }

    private static void forget() {
        new Owner().inflater.needsInput();
    }
}
