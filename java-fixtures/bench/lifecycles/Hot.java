package lifecycles;

import java.util.Arrays;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.Inflater;

/**
 * Times {@code new Inflater(true)} + {@code end()} at a given stack depth, on a given number of
 * threads at once.
 *
 * <p>{@code Hot DEPTH THREADS WARMUP_MS ROUND_MS ROUNDS} prints one line {@code hot NANOS
 * LIFECYCLES}: the whole process's wall time per lifecycle in the median round, and how many
 * lifecycles there were in all, warm-up included.
 */
public final class Hot extends Thread {
    /** Lifecycles from one descent to that depth: enough to make the descent's own cost vanish. */
    private static final int BATCH = 100;

    private final int depth;
    private final long warmUp;
    private final long round;
    private final int rounds;
    private final CyclicBarrier together;
    private final AtomicLong made;

    private Hot(int depth, long warmUp, long round, int rounds, CyclicBarrier together, AtomicLong made) {
        this.depth = depth;
        this.warmUp = warmUp;
        this.round = round;
        this.rounds = rounds;
        this.together = together;
        this.made = made;
    }

    public static void main(String[] args) throws Exception {
        int threads = Integer.parseInt(args[1]);
        int rounds = Integer.parseInt(args[4]);
        AtomicLong made = new AtomicLong();
        CyclicBarrier together = new CyclicBarrier(threads + 1);
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> {
            thrown.printStackTrace();
            Runtime.getRuntime().halt(1); // the others would wait for ever
        });
        for (int i = 0; i < threads; i++) {
            new Hot(Integer.parseInt(args[0]), millis(args[2]), millis(args[3]), rounds, together, made).start();
        }
        together.await(); // warm
        double[] nanos = new double[rounds];
        for (int i = 0; i < rounds; i++) {
            long before = made.get();
            long start = System.nanoTime();
            together.await();
            together.await();
            nanos[i] = (double) (System.nanoTime() - start) / (made.get() - before);
        }
        Arrays.sort(nanos);
        System.out.println("hot " + Math.round(nanos[rounds / 2] * 10) / 10.0 + " " + made);
    }

    private static long millis(String text) {
        return Long.parseLong(text) * 1_000_000;
    }

    @Override
    public void run() {
        runFor(warmUp);
        await();
        for (int i = 0; i < rounds; i++) {
            await();
            runFor(round);
            await();
        }
    }

    private void await() {
        try {
            together.await();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private void runFor(long time) {
        // The constructor is the innermost of the frames that count.
        int levels = depth - 1 - descend(0, 0);
        if (levels < 0) {
            throw new IllegalArgumentException("this program's own frames are more than " + depth);
        }
        long start = System.nanoTime();
        long done = 0;
        do {
            done += descend(levels, BATCH);
        } while (System.nanoTime() - start < time);
        made.addAndGet(done);
    }

    /**
     * Makes and ends {@code batch} Inflaters that many levels further down; without a batch returns
     * the depth.
     */
    private static int descend(int levels, int batch) {
        if (levels > 0) {
            return descend(levels - 1, batch);
        }
        if (batch == 0) {
            return new Throwable().getStackTrace().length;
        }
        for (int i = 0; i < batch; i++) {
            new Inflater(true).end();
        }
        return batch;
    }
}
