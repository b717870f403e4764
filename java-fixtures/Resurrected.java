// A finalizer stores its Inflater in a static field: it is reachable again, and was never ended. On
// JDK 8 the Inflater's own finalizer still ends it.
// expect: inflater created 1, live 1
// expect on 8: inflater created 1, late 1

import java.util.zip.Inflater;

public class Resurrected {
    static volatile Inflater saved;

    static final class Owner {
        final Inflater inflater = new Inflater();

        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            saved = inflater;
        }
    }

    public static void main(String[] args) {
        forget();
        System.out.println("forgotten");
    }

    private static void forget() {
        new Owner().inflater.needsInput();
    }
}
