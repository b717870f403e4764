// Created and ended with hardly any stack left, after a StackOverflowError: hooks must not crash
// there.
// expect: inflater created some, ended some, collected any, live any, late any
// options: gc,depth=16
// truncated: 16

import java.util.zip.Inflater;

public class SmallStack {
    private static int attempts;

    public static void main(String[] args) throws Exception {
        // All classes are initialized before the stack is used up.
        new Inflater().end();
        Thread thread = new Thread(null, null, "small", 256 * 1024) {
            @Override
            public void run() {
                try {
                    down();
                } catch (StackOverflowError expected) {
                    System.out.println("at the bottom");
                }
            }
        };
        thread.start();
        thread.join();
        System.out.println("and back");
    }

    private static void down() {
        try {
            down();
        } finally {
            // On the way up from the overflow, the first of these with hardly any stack left.
            if (attempts++ < 200) {
                new Inflater().end();
            }
        }
    }
}
