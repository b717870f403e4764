// A Cleaner whose loop runs on a virtual thread, wrapped in four layers: still late.
// expect: inflater created 10, late 10
// expect on Epsilon: inflater created 10, live 10

import java.lang.ref.Cleaner;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.zip.Inflater;

public class VirtualCleaner {
    private static final CountDownLatch ENDED = new CountDownLatch(10);

    static final class End implements Runnable {
        private final Inflater inflater;

        End(Inflater inflater) {
            this.inflater = inflater;
        }

        @Override
        public void run() {
            inflater.end();
            ENDED.countDown();
        }
    }

    private static final Cleaner CLEANER =
            Cleaner.create(task -> Thread.ofVirtual().unstarted(wrapped(task, 4)));

    private static Runnable wrapped(Runnable task, int layers) {
        return layers == 0 ? task : () -> wrapped(task, layers - 1).run();
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 10; i++) {
            forget();
        }
        // The agent sees and waits for platform threads only, so the program does the waiting.
        do {
            System.gc();
        } while (!ENDED.await(20, TimeUnit.MILLISECONDS));
        System.out.println("ended");
    }

    private static void forget() {
        CLEANER.register(new Object(), new End(new Inflater()));
    }
}
