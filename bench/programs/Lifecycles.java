package bench;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.Inflater;

/**
 * Times {@code new Inflater(true)} + {@code end()} at a given stack depth, on a given number of
 * threads, in rounds that are shorter than a time slice.
 *
 * <p>{@code Lifecycles DEPTH THREADS WARMUP_MS MEASURE_MS} prints the nanoseconds of wall time per
 * lifecycle of the whole process: in the fastest round, in the median round and on average. A round
 * begins when all threads begin, and ends when the last one has finished, so that the fastest round
 * is one in which no thread was interrupted.
 */
public final class Lifecycles {
    /** How long a round should take, and the largest number of lifecycles in one. */
    private static final int ROUND_NANOS = 400_000;
    private static final int MOST = 4_000;

    /** Fewer do not warm it up, however long they take on a busy machine. */
    private static final int WARM = 50_000;

    private static int levels;
    private static volatile int batch;
    /** The round that has begun. */
    private static volatile int round;
    private static final AtomicInteger done = new AtomicInteger();

    private Lifecycles() {}

    public static void main(String[] args) throws Exception {
        int depth = Integer.parseInt(args[0]);
        int helpers = Integer.parseInt(args[1]) - 1;
        // The constructor is the innermost of the frames that count.
        levels = depth - 1 - descend(0, 0);
        if (levels < 0) {
            throw new IllegalArgumentException("this program's own frames are more than " + depth);
        }
        for (int i = 0; i < helpers; i++) {
            Thread thread = new Thread(Lifecycles::help);
            thread.setDaemon(true);
            thread.start();
        }
        long lifecycles = 0;
        batch = 50;
        long end = System.nanoTime() + Long.parseLong(args[2]) * 1_000_000;
        while (System.nanoTime() < end || lifecycles < WARM) {
            run(helpers);
            lifecycles += 50L * (helpers + 1);
        }
        double fastest = Double.MAX_VALUE;
        for (int i = 0; i < 50; i++) {
            fastest = Math.min(fastest, run(helpers) / 50.0);
            lifecycles += 50L * (helpers + 1);
        }
        int each = Math.max(10, Math.min(MOST, (int) (ROUND_NANOS / fastest)));
        batch = each;
        double[] nanos = new double[1_000_000];
        int rounds = 0;
        double sum = 0;
        end = System.nanoTime() + Long.parseLong(args[3]) * 1_000_000;
        while (rounds < nanos.length && (rounds < 10 || System.nanoTime() < end)) {
            nanos[rounds] = (double) run(helpers) / ((long) each * (helpers + 1));
            lifecycles += (long) each * (helpers + 1);
            sum += nanos[rounds++];
        }
        Arrays.sort(nanos, 0, rounds);
        System.out.println("min=" + nanos[0] + " median=" + nanos[rounds / 2] + " mean="
                + sum / rounds + " batch=" + each + " rounds=" + rounds
                + " lifecycles=" + lifecycles);
    }

    /** One round; returns its nanoseconds. */
    private static long run(int helpers) {
        done.set(0);
        long start = System.nanoTime();
        round++; // only this thread writes it
        descend(levels, batch);
        for (int spins = 1; done.get() < helpers; spins++) {
            pause(spins);
        }
        return System.nanoTime() - start;
    }

    private static void help() {
        int seen = 0;
        while (true) {
            for (int spins = 1; round == seen; spins++) {
                pause(spins);
            }
            seen = round;
            descend(levels, batch);
            done.incrementAndGet();
        }
    }

    /** On a machine with too few cores, the other thread has to run. */
    private static void pause(int spins) {
        if (spins % 10_000 == 0) {
            Thread.yield();
        }
    }

    /** Makes and ends Inflaters that many levels further down; without a batch: how deep it is. */
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
