// Daemon threads start short-lived threads and join them, one after the other, until the JVM ends:
// some of them are always just ending when the stacks of all threads are requested.
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1

import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class ThreadsDying {
    public static void main(String[] args) throws Exception {
        final CountDownLatch started = new CountDownLatch(200);
        for (int i = 0; i < 4; i++) {
            daemon(new Runnable() {
                @Override
                public void run() {
                    while (true) {
                        Thread brief = daemon(new Runnable() {
                            @Override
                            public void run() {
                                started.countDown();
                            }
                        });
                        try {
                            brief.join();
                        } catch (InterruptedException never) {
                            throw new AssertionError(never);
                        }
                    }
                }
            });
        }
        forget();
        started.await();
        System.out.println("threads end all the time");
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private static void forget() {
        new Inflater().needsInput();
    }
}
