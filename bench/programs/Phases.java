package bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.zip.Inflater;

/**
 * Times {@code new Inflater(true)} + {@code end()}, and reads the process's resident memory, at
 * each request: what happens to the process in between is the caller's part.
 *
 * <p>{@code Phases DEPTH WARMUP_MS MEASURE_MS} answers each line of its stdin with the nanoseconds
 * per lifecycle in the fastest and in the median batch, VmRSS in KiB after a forced GC, and the
 * number of lifecycles so far.
 */
public final class Phases {
    /** Shorter than a time slice, and long enough to make the descent's own cost vanish. */
    private static final int BATCH = 100;

    private Phases() {}

    public static void main(String[] args) throws Exception {
        int levels = Integer.parseInt(args[0]) - 1 - descend(0, 0);
        long warmUp = Long.parseLong(args[1]) * 1_000_000;
        long measure = Long.parseLong(args[2]) * 1_000_000;
        double[] nanos = new double[1_000_000];
        long lifecycles = 0;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            lifecycles += (long) BATCH * runFor(warmUp, levels, nanos);
            int batches = runFor(measure, levels, nanos);
            lifecycles += (long) BATCH * batches;
            Arrays.sort(nanos, 0, batches);
            System.out.println("min=" + nanos[0] + " median=" + nanos[batches / 2]
                    + " rss=" + Memory.settledRss() + " lifecycles=" + lifecycles);
        }
    }

    private static int runFor(long time, int levels, double[] nanos) {
        long end = System.nanoTime() + time;
        int batches = 0;
        do {
            long start = System.nanoTime();
            descend(levels, BATCH);
            nanos[batches++] = (double) (System.nanoTime() - start) / BATCH;
        } while (System.nanoTime() < end && batches < nanos.length);
        return batches;
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
