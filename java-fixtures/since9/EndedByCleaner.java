// A Cleaner of the program ends it, but only because a GC happened.
// expect: inflater created 3, late 3

import java.lang.ref.Cleaner;
import java.util.zip.Inflater;

public class EndedByCleaner {
    static final class Owner {
        final Inflater inflater = new Inflater();
    }

    static final class End implements Runnable {
        private final Inflater inflater;

        End(Inflater inflater) {
            this.inflater = inflater;
        }

        @Override
        public void run() {
            inflater.end();
        }
    }

    private static final Cleaner CLEANER = Cleaner.create();

    public static void main(String[] args) {
        for (int i = 0; i < 3; i++) {
            forget();
        }
        System.out.println("forgotten");
    }

    private static void forget() {
        Owner owner = new Owner();
        CLEANER.register(owner, new End(owner.inflater));
    }
}
