// Virtual threads that make one each and forget it, parked in between.
// expect: inflater created 100, collected 100
// frame: VirtualThreadsForget.forget

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class VirtualThreadsForget {
    public static void main(String[] args) throws Exception {
        CountDownLatch all = new CountDownLatch(100);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            threads.add(Thread.ofVirtual().name("virtual-" + i).start(() -> forget(all)));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("forgotten");
    }

    private static void forget(CountDownLatch all) {
        Inflater inflater = new Inflater();
        all.countDown();
        try {
            all.await();
        } catch (InterruptedException never) {
            throw new AssertionError(never);
        }
        inflater.reset();
    }
}
