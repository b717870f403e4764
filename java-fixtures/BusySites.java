// Creates at 512 sites, again and again, and ends every other one, until stdin has a line or is
// closed. With the argument `exit` it exits in the middle of that, with exit code 7.
// expect: inflater created some, ended some, live any, collected any, late any

import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class BusySites {
    private static volatile boolean stopped;

    public static void main(String[] args) throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        Thread maker = new Thread(() -> {
            do {
                for (int way = 0; way < 512; way++) {
                    walk(way, 9);
                }
                begun.countDown();
            } while (!stopped);
        });
        maker.start();
        begun.await();
        System.out.println("ready");
        System.in.read();
        if (args.length > 0) {
            System.exit(7);
        }
        stopped = true;
        maker.join();
        System.out.println("done");
    }

    private static void walk(int way, int left) {
        if (left == 0) {
            new Inflater().end();
            new Inflater(true);
        } else if ((way & 1) == 0) {
            walk(way >> 1, left - 1);
        } else {
            walk(way >> 1, left - 1);
        }
    }
}
