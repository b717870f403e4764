// Starts other programs while two threads create and end, which is what a fork copies. Prints its
// own counts.
// expect: inflater created some, ended some; deflater created some, ended some

import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Forking {
    private static volatile boolean stopped;

    static final class Worker extends Thread {
        private final CountDownLatch begun;
        private long made;

        Worker(CountDownLatch begun) {
            this.begun = begun;
        }

        @Override
        public void run() {
            do {
                new Inflater().end();
                new Deflater(1).end();
                made++;
                begun.countDown();
            } while (!stopped);
        }
    }

    public static void main(String[] args) throws Exception {
        int children = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        CountDownLatch begun = new CountDownLatch(100);
        Worker[] workers = {new Worker(begun), new Worker(begun)};
        for (Worker worker : workers) {
            worker.start();
        }
        begun.await();
        int ended = 0;
        for (int i = 0; i < children; i++) {
            ended += new ProcessBuilder("true").start().waitFor() == 0 ? 1 : 0;
        }
        stopped = true;
        long made = 0;
        for (Worker worker : workers) {
            worker.join();
            made += worker.made;
        }
        if (args.length > 0) {
            System.out.println("inflater " + made + " " + made + " 0 0");
            System.out.println("deflater " + made + " " + made + " 0 0");
        }
        System.out.println("children " + ended);
    }
}
