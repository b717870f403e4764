// Virtual threads make one each, wait, and end it, most likely on another carrier.
// expect: inflater created 500, ended 500; deflater created 500, ended 500

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class VirtualThreads {
    public static void main(String[] args) throws Exception {
        CountDownLatch all = new CountDownLatch(500);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            threads.add(Thread.ofVirtual().start(() -> {
                Inflater inflater = new Inflater();
                Deflater deflater = new Deflater(1);
                all.countDown();
                try {
                    all.await();
                } catch (InterruptedException never) {
                    throw new AssertionError(never);
                }
                inflater.end();
                deflater.end();
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("ended");
    }
}
