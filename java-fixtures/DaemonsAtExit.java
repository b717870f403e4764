// Daemon threads go on creating and forgetting while the JVM shuts down.
// expect: inflater created some, ended any, live any, collected any, late any

import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class DaemonsAtExit {
    public static void main(String[] args) throws Exception {
        final CountDownLatch busy = new CountDownLatch(2);
        for (int i = 0; i < 2; i++) {
            Thread daemon = new Thread("daemon-" + i) {
                @Override
                public void run() {
                    for (int made = 0; ; made++) {
                        Inflater inflater = new Inflater();
                        if (made % 50 != 0) {
                            inflater.end();
                        } else {
                            Thread.yield();
                        }
                        if (made == 200) {
                            busy.countDown();
                        }
                    }
                }
            };
            daemon.setDaemon(true);
            daemon.start();
        }
        busy.await();
        System.out.println("main ends");
    }
}
