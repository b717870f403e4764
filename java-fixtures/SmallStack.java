// The constructor is called with little stack left, down to the StackOverflowError: hooks must not crash there.
// expect: inflater created any, ended any, collected any, live any, late any
// java: -Xss256k

import java.util.zip.Inflater;

public class SmallStack {
    private static int endings;

    public static void main(String[] args) throws Exception {
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
        Inflater inflater = new Inflater();
        inflater.end();
        down();
        endings++;
    }
}
