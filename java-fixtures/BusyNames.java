// Threads of the program are always busy, and have the names of the JDK's threads that run
// finalizers and Cleaners: the agent does not wait for them.
// expect: inflater created 1, collected 1
// expect on 8: inflater created 1, late 1

import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class BusyNames {
    private static volatile long spun;

    public static void main(String[] args) throws Exception {
        String[] names = {"LogCleaner-1", "Finalizer", "Common-Cleaner", "Reference Handler"};
        final CountDownLatch busy = new CountDownLatch(names.length);
        for (String name : names) {
            Thread thread = new Thread(name) {
                @Override
                public void run() {
                    busy.countDown();
                    while (true) {
                        spun++;
                        Thread.yield();
                    }
                }
            };
            thread.setDaemon(true);
            thread.start();
        }
        forget();
        busy.await();
        System.out.println("all are busy");
    }

    private static void forget() {
        new Inflater().needsInput();
    }
}
