// Eight threads make them, eight others end them, 40,000 in all.
// expect: inflater created 20_000, ended 20_000; deflater created 20_000, ended 20_000

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class ManyThreads {
    private static final int PAIRS = 2500;

    public static void main(String[] args) throws Exception {
        List<Thread> threads = new ArrayList<Thread>();
        for (int i = 0; i < 8; i++) {
            final BlockingQueue<Object> queue = new ArrayBlockingQueue<Object>(16);
            threads.add(new Thread("maker-" + i) {
                @Override
                public void run() {
                    try {
                        for (int made = 0; made < PAIRS; made++) {
                            queue.put(new Inflater());
                            queue.put(new Deflater(1));
                        }
                    } catch (InterruptedException never) {
                        throw new AssertionError(never);
                    }
                }
            });
            threads.add(new Thread("ender-" + i) {
                @Override
                public void run() {
                    try {
                        for (int ended = 0; ended < PAIRS; ended++) {
                            ((Inflater) queue.take()).end();
                            ((Deflater) queue.take()).end();
                        }
                    } catch (InterruptedException never) {
                        throw new AssertionError(never);
                    }
                }
            });
        }
        for (Thread thread : threads) {
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("ended all of " + 16 * PAIRS);
    }
}
