// Sixteen threads create instances of subclasses, and end them, until stdin has a line or is
// closed.
// expect: inflater created some, ended some; deflater created some, ended some

import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class SubclassesChurned {
    private static volatile boolean stopped;

    static class OwnInflater extends Inflater {}

    static class OwnDeflater extends Deflater {}

    public static void main(String[] args) throws Exception {
        final CountDownLatch begun = new CountDownLatch(1000);
        Thread[] threads = new Thread[16];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread("churner") {
                @Override
                public void run() {
                    do {
                        new OwnInflater().end();
                        new OwnDeflater().end();
                        begun.countDown();
                    } while (!stopped);
                }
            };
            threads[i].start();
        }
        begun.await();
        System.out.println("ready");
        System.in.read();
        stopped = true;
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("done");
    }
}
