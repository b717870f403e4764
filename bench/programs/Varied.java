package bench;

import java.util.Arrays;
import java.util.Random;

/**
 * Times lifecycles that take turns on many different stacks.
 *
 * <p>{@code Varied STACKS FRAMES MEASURE_MS} goes once through all stacks, and continues until at
 * least {@code WARM} lifecycles have warmed it up. Then it measures with the stacks in turn, which
 * is the worst order for any cache, and in random order. It prints the nanoseconds per lifecycle in
 * the fastest and in the median batch of each order, the way down to the constructor included, and
 * on average in the pass in which the stacks were new.
 */
public final class Varied {
    /** Shorter than a time slice. */
    private static final int BATCH = 128;
    /** How often each stack comes before the measurement begins: its code is compiled by then. */
    private static final int WARM_ROUNDS = 4;
    private static final int WARM = 200_000;
    /** A prime, so that all stacks come up, and neighbours have different outermost frames. */
    private static final long STRIDE = 2_654_435_761L;

    private Varied() {}

    public static void main(String[] args) {
        int stacks = Integer.parseInt(args[0]);
        Tree tree = new Tree(Integer.parseInt(args[1]));
        // In turn, then in random order.
        double[][] nanos = new double[2][1_000_000];
        int[] numbers = new int[BATCH];
        int[] batches = new int[2];
        int order = 0;
        Random random = new Random(1);
        long first = 0;
        long next = 0;
        long end = Long.MAX_VALUE;
        long warm = Math.max(WARM, (long) WARM_ROUNDS * stacks);
        // One loop for all of it: another call would be another stack.
        while (order < 2) {
            for (int i = 0; i < BATCH; i++) {
                long at = order == 0 ? next + i : random.nextInt(stacks);
                numbers[i] = (int) (at % stacks * STRIDE % stacks);
            }
            next += BATCH;
            long begin = System.nanoTime();
            for (int number : numbers) {
                tree.create(number).end();
            }
            long time = System.nanoTime() - begin;
            if (next <= stacks) {
                first += time;
            } else if (next >= warm) {
                if (batches[order] == 0) {
                    end = begin + Long.parseLong(args[2]) * 1_000_000;
                }
                nanos[order][batches[order]++] = (double) time / BATCH;
                if (begin > end || batches[order] == nanos[order].length) {
                    order++;
                }
            }
        }
        for (order = 0; order < 2; order++) {
            Arrays.sort(nanos[order], 0, batches[order]);
        }
        System.out.println("min=" + nanos[0][0] + " median=" + nanos[0][batches[0] / 2]
                + " random_min=" + nanos[1][0] + " random_median=" + nanos[1][batches[1] / 2]
                + " first=" + (double) first / (stacks / BATCH * BATCH)
                + " batches=" + (batches[0] + batches[1]) + " lifecycles=" + next);
    }
}
