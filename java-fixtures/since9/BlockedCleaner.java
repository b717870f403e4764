// The actions of a Cleaner wait for a lock that main never releases: after a forced GC, the
// Cleaner's thread hangs, parked like an idle one.
// expect: inflater created 20, live 20
// options: gc_timeout=300ms

import java.lang.ref.Cleaner;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.Inflater;

public class BlockedCleaner {
    private static final ReentrantLock LOCK = new ReentrantLock();

    static final class End implements Runnable {
        private final Inflater inflater;

        End(Inflater inflater) {
            this.inflater = inflater;
        }

        @Override
        public void run() {
            LOCK.lock();
            inflater.end();
        }
    }

    private static final Cleaner CLEANER = Cleaner.create();

    public static void main(String[] args) {
        LOCK.lock();
        for (int i = 0; i < 20; i++) {
            forget();
        }
        System.out.println("forgotten");
        System.exit(0);
    }

    private static void forget() {
        CLEANER.register(new Object(), new End(new Inflater()));
    }
}
