// A Cleaner whose thread was created and named by the program: still late.
// expect: inflater created 2, late 2

import java.lang.ref.Cleaner;
import java.util.zip.Inflater;

public class NamedCleaner {
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

    private static final Cleaner CLEANER = Cleaner.create(task -> {
        Thread thread = new Thread(task, "tidy");
        thread.setDaemon(true);
        return thread;
    });

    public static void main(String[] args) {
        forget();
        forget();
        System.out.println("forgotten");
    }

    private static void forget() {
        CLEANER.register(new Object(), new End(new Inflater()));
    }
}
