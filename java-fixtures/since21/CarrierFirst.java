// A carrier creates and ends an Inflater before it runs a virtual thread. What its virtual threads
// do is still counted as theirs: the Cleaner on one of them ends late.
// expect: inflater created 11, ended 1, late 10
// expect on Epsilon: inflater created 11, ended 1, live 10
// java: --add-opens=java.base/java.lang=ALL-UNNAMED -Djdk.virtualThreadScheduler.parallelism=1 -Djdk.virtualThreadScheduler.maxPoolSize=1

import java.lang.ref.Cleaner;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.zip.Inflater;

public class CarrierFirst {
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

    public static void main(String[] args) throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        scheduler().execute(() -> {
            if (Thread.currentThread().isVirtual()) {
                throw new AssertionError("not on the carrier itself");
            }
            new Inflater().end();
            begun.countDown();
        });
        begun.await();
        Cleaner cleaner = Cleaner.create(Thread.ofVirtual().factory());
        for (int i = 0; i < 10; i++) {
            cleaner.register(new Object(), new End(new Inflater()));
        }
        // The agent does not wait for virtual threads, so the program does.
        do {
            System.gc();
        } while (!ENDED.await(20, TimeUnit.MILLISECONDS));
        System.out.println("ended");
    }

    /** What runs virtual threads on carriers: a static field of each JDK's own name. */
    private static Executor scheduler() throws Exception {
        for (Field field : Class.forName("java.lang.VirtualThread").getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                if (field.get(null) instanceof Executor) {
                    return (Executor) field.get(null);
                }
            }
        }
        throw new AssertionError("no scheduler");
    }
}
