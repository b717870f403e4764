// A Cleaner whose ThreadFactory wraps its loop in five layers, as executors and tracers do: still
// late.
// expect: inflater created 2, late 2

import java.lang.ref.Cleaner;
import java.util.zip.Inflater;

public class WrappedCleaner {
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
        Thread thread = new Thread(wrapped(task, 5), "tidy");
        thread.setDaemon(true);
        return thread;
    });

    private static Runnable wrapped(Runnable task, int layers) {
        return layers == 0 ? task : () -> wrapped(task, layers - 1).run();
    }

    public static void main(String[] args) {
        forget();
        forget();
        System.out.println("forgotten");
    }

    private static void forget() {
        CLEANER.register(new Object(), new End(new Inflater()));
    }
}
