// A million lives over eight threads, all ended but eight.
// expect: inflater created 1_000_000, ended 999_992, collected 8
// expect on 8: inflater created 1_000_000, ended 999_992, late 8

import java.util.zip.Inflater;

public class MillionLifecycles {
    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[8];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread("worker-" + i) {
                @Override
                public void run() {
                    for (int made = 1; made <= 125_000; made++) {
                        live(made == 77_777);
                    }
                }
            };
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("a million");
    }

    private static void live(boolean forget) {
        Inflater inflater = new Inflater();
        if (!forget) {
            inflater.end();
        }
    }
}
