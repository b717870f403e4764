// System.exit while four threads go on creating and ending.
// expect: inflater created some, ended some, live any, collected any, late any
// exit: 7

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Inflater;

public class ExitWhileCreating {
    public static void main(String[] args) throws Exception {
        final CountDownLatch busy = new CountDownLatch(4);
        for (int i = 0; i < 4; i++) {
            new Thread("busy-" + i) {
                @Override
                public void run() {
                    for (int made = 0; ; made++) {
                        new Inflater().end();
                        // On JDK 8 each of them passes the finalizer, which could not keep up with
                        // four threads at full speed: then the report would say, rightly, that
                        // finalizers were not done.
                        LockSupport.parkNanos(50_000);
                        if (made == 100) {
                            busy.countDown();
                        }
                    }
                }
            }.start();
        }
        busy.await();
        System.out.println("exit");
        System.exit(7);
    }
}
