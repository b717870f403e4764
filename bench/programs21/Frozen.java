package bench;

import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Inflater;

/**
 * Times {@code new Inflater(true)} + {@code end()} on virtual threads that have blocked once.
 *
 * <p>{@code Frozen DEPTH WARMUP_MS MEASURE_MS} prints the nanoseconds per lifecycle in the fastest
 * and in the median batch. Each batch has a virtual thread of its own, which goes down to that
 * depth, blocks there, and then times the batch: by then its outer frames are in the heap.
 */
public final class Frozen {
    private static final int BATCH = 100;

    /** What each frame holds while it calls the next one: HotSpot thaws a small stack whole. */
    private static final long[] VALUES = new long[24];

    private static double measured;
    private static int here;

    private Frozen() {}

    public static void main(String[] args) throws Exception {
        int depth = Integer.parseInt(args[0]);
        Thread.ofVirtual().start(() -> descend(0, true)).join();
        int levels = depth - 2 - here; // `batch` and the constructor
        if (levels < 0) {
            throw new IllegalArgumentException("this program's own frames are more than " + depth);
        }
        double[] nanos = new double[1_000_000];
        long lifecycles = 0;
        do { // fewer do not warm it up, however long they take on a busy machine
            lifecycles += (long) BATCH * runFor(Long.parseLong(args[1]), levels, nanos);
        } while (lifecycles < 50_000);
        int batches = runFor(Long.parseLong(args[2]), levels, nanos);
        lifecycles += (long) BATCH * batches;
        Arrays.sort(nanos, 0, batches);
        System.out.println("min=" + nanos[0] + " median=" + nanos[batches / 2]
                + " batches=" + batches + " lifecycles=" + lifecycles);
    }

    private static int runFor(long millis, int levels, double[] nanos) throws Exception {
        long end = System.nanoTime() + millis * 1_000_000;
        int batches = 0;
        do {
            Thread.ofVirtual().start(() -> descend(levels, false)).join();
            nanos[batches++] = measured;
        } while (System.nanoTime() < end && batches < nanos.length);
        return batches;
    }

    private static long descend(int levels, boolean count) {
        long[] v = VALUES;
        long a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
        long i = v[8], j = v[9], k = v[10], l = v[11], m = v[12], n = v[13], o = v[14], p = v[15];
        long q = v[16], r = v[17], s = v[18], t = v[19], u = v[20], w = v[21], x = v[22], y = v[23];
        long z = levels > 0 ? descend(levels - 1, count) : bottom(count);
        z = ((((((((z * a) ^ b) * c) ^ d) * e) ^ f) * g) ^ h);
        z = ((((((((z * i) ^ j) * k) ^ l) * m) ^ n) * o) ^ p);
        return ((((((((z * q) ^ r) * s) ^ t) * u) ^ w) * x) ^ y);
    }

    private static long bottom(boolean count) {
        if (count) {
            here = new Throwable().getStackTrace().length;
            return 0;
        }
        LockSupport.parkNanos(20_000);
        return batch();
    }

    private static long batch() {
        long start = System.nanoTime();
        for (int i = 0; i < BATCH; i++) {
            new Inflater(true).end();
        }
        measured = (double) (System.nanoTime() - start) / BATCH;
        return 1;
    }
}
