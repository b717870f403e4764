package bench;

import java.util.concurrent.CountDownLatch;

/**
 * Makes and ends one Inflater on each of many different stacks, on many threads that all live until
 * the last has finished.
 *
 * <p>{@code Stacks STACKS FRAMES THREADS} prints VmRSS in KiB at the start and at the end, each
 * after a forced GC.
 */
public final class Stacks {
    private Stacks() {}

    public static void main(String[] args) throws Exception {
        int stacks = Integer.parseInt(args[0]);
        int frames = Integer.parseInt(args[1]);
        int threads = Integer.parseInt(args[2]);
        CountDownLatch working = new CountDownLatch(threads);
        CountDownLatch measured = new CountDownLatch(1);
        long before = Memory.settledRss();
        for (int i = 0; i < threads; i++) {
            int first = i;
            new Thread(() -> {
                Tree tree = new Tree(frames);
                for (int number = first; number < stacks; number += threads) {
                    tree.create(number).end();
                }
                working.countDown();
                try {
                    measured.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }).start();
        }
        working.await();
        System.out.println("before=" + before + " after=" + Memory.settledRss()
                + " lifecycles=" + stacks);
        measured.countDown();
    }
}
