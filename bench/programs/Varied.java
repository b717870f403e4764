package bench;

import java.util.Arrays;

/**
 * Times lifecycles that take turns on many different stacks.
 *
 * <p>{@code Varied STACKS FRAMES MEASURE_MS} goes once through all stacks, and continues until at
 * least 200,000 lifecycles have warmed it up. Then it prints the nanoseconds per lifecycle in the
 * fastest and in the median batch, the way down to the constructor included, and on average in the
 * pass in which the stacks were new.
 */
public final class Varied {
    /** Shorter than a time slice. */
    private static final int BATCH = 128;
    /** A prime, so that all stacks come up, and neighbours have different outermost frames. */
    private static final long STRIDE = 2_654_435_761L;

    private Varied() {}

    public static void main(String[] args) {
        int stacks = Integer.parseInt(args[0]);
        Tree tree = new Tree(Integer.parseInt(args[1]));
        long start = System.nanoTime();
        long next = 0;
        while (next < stacks) {
            tree.create(number(next++, stacks)).end();
        }
        double first = (double) (System.nanoTime() - start) / stacks;
        while (next < 200_000) {
            tree.create(number(next++, stacks)).end();
        }
        double[] nanos = new double[1_000_000];
        int batches = 0;
        long end = System.nanoTime() + Long.parseLong(args[2]) * 1_000_000;
        while (batches < nanos.length && System.nanoTime() < end) {
            long begin = System.nanoTime();
            for (int i = 0; i < BATCH; i++) {
                tree.create(number(next++, stacks)).end();
            }
            nanos[batches++] = (double) (System.nanoTime() - begin) / BATCH;
        }
        Arrays.sort(nanos, 0, batches);
        System.out.println("min=" + nanos[0] + " median=" + nanos[batches / 2]
                + " first=" + first + " batches=" + batches + " lifecycles=" + next);
    }

    private static int number(long at, int stacks) {
        return (int) (at % stacks * STRIDE % stacks);
    }
}
