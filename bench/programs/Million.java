package bench;

import java.util.concurrent.CyclicBarrier;
import java.util.zip.Inflater;

/**
 * What is left of many lifecycles in the process's resident memory.
 *
 * <p>{@code Million LIFECYCLES THREADS} prints VmRSS in KiB at the start, after a tenth of the
 * lifecycles (by then all code is compiled and every thread has its native heap) and after all of
 * them that followed, each after a forced GC. The same threads live through the whole run.
 */
public final class Million {
    private Million() {}

    public static void main(String[] args) throws Exception {
        int lifecycles = Integer.parseInt(args[0]);
        int threads = Integer.parseInt(args[1]);
        int each = lifecycles / threads;
        CyclicBarrier gate = new CyclicBarrier(threads + 1);
        for (int i = 0; i < threads; i++) {
            Thread thread = new Thread(() -> work(gate, each));
            thread.setDaemon(true);
            thread.start();
        }
        long start = Memory.settledRss();
        pass(gate);
        long warm = Memory.settledRss();
        pass(gate);
        long after = Memory.settledRss();
        long total = (long) threads * (each / 10 + each);
        System.out.println("start=" + start + " warm=" + warm + " after=" + after
                + " grown=" + (after - warm) + " lifecycles=" + total);
    }

    /** Lets the threads work, and waits until they have. */
    private static void pass(CyclicBarrier gate) throws Exception {
        gate.await();
        gate.await();
    }

    private static void work(CyclicBarrier gate, int each) {
        try {
            gate.await();
            live(each / 10);
            gate.await();
            gate.await();
            live(each);
            gate.await();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static void live(int lifecycles) {
        for (int i = 0; i < lifecycles; i++) {
            new Inflater(true).end();
        }
    }
}
