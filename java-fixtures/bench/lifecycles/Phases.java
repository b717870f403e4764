package lifecycles;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.zip.Inflater;

/**
 * Times {@code new Inflater(true)} + {@code end()}, and reads the process's resident memory, at
 * each request: what happens to the process in between is the caller's part.
 *
 * <p>{@code Phases DEPTH WARMUP_MS ROUND_MS ROUNDS} prints for each line of its stdin {@code phase
 * NANOS RSS LIFECYCLES}: nanoseconds per lifecycle in the median round, VmRSS in KiB after a forced
 * GC, and how many lifecycles there were.
 */
public final class Phases {
    /** Lifecycles from one descent to that depth: enough to make the descent's own cost vanish. */
    private static final int BATCH = 100;

    private Phases() {}

    public static void main(String[] args) throws Exception {
        int levels = Integer.parseInt(args[0]) - 1 - descend(0, 0);
        long warmUp = Long.parseLong(args[1]) * 1_000_000;
        long round = Long.parseLong(args[2]) * 1_000_000;
        int rounds = Integer.parseInt(args[3]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            long[] done = {0};
            runFor(warmUp, levels, done);
            double[] nanos = new double[rounds];
            for (int i = 0; i < rounds; i++) {
                nanos[i] = runFor(round, levels, done);
            }
            Arrays.sort(nanos);
            double median = Math.round(nanos[rounds / 2] * 10) / 10.0;
            System.out.println("phase " + median + " " + settledRss() + " " + done[0]);
        }
    }

    private static double runFor(long time, int levels, long[] done) {
        long start = System.nanoTime();
        long before = done[0];
        do {
            done[0] += descend(levels, BATCH);
        } while (System.nanoTime() - start < time);
        return (double) (System.nanoTime() - start) / (done[0] - before);
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

    // JDK 8 finalizes Inflaters; where finalization is gone, this does nothing.
    @SuppressWarnings({"deprecation", "removal"})
    private static long settledRss() throws Exception {
        for (int i = 0; i < 2; i++) {
            System.gc();
            System.runFinalization();
        }
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new IllegalStateException("/proc/self/status has no VmRSS");
    }
}
