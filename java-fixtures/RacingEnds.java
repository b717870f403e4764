// Four threads call end() on the same object at the same time, 500 times: each object is ended
// once.
// expect: inflater created 500, ended 500

import java.util.concurrent.CyclicBarrier;
import java.util.zip.Inflater;

public class RacingEnds {
    private static final int ROUNDS = 500;
    private static final Inflater[] SHARED = new Inflater[ROUNDS];

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < ROUNDS; i++) {
            SHARED[i] = new Inflater();
        }
        final CyclicBarrier barrier = new CyclicBarrier(4);
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread() {
                @Override
                public void run() {
                    try {
                        for (Inflater inflater : SHARED) {
                            barrier.await();
                            inflater.end();
                        }
                    } catch (Exception never) {
                        throw new AssertionError(never);
                    }
                }
            };
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("ended " + ROUNDS);
    }
}
