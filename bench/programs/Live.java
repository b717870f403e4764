package bench;

import java.util.zip.Inflater;

/**
 * Holds Inflaters to the end, on a given number of stacks of 42 frames.
 *
 * <p>{@code Live INSTANCES STACKS} prints VmRSS in KiB before and after it made them, each after a
 * forced GC. Its main method returns right after that.
 */
public final class Live {
    private static Inflater[] held;

    private Live() {}

    public static void main(String[] args) throws Exception {
        held = new Inflater[Integer.parseInt(args[0])];
        int stacks = Integer.parseInt(args[1]);
        Tree tree = new Tree(42);
        tree.create(0).end();
        long before = Memory.settledRss();
        for (int i = 0; i < held.length; i++) {
            held[i] = tree.create(i % stacks);
        }
        System.out.println("before=" + before + " after=" + Memory.settledRss()
                + " lifecycles=" + (held.length + 1));
    }
}
