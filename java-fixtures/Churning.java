// Four threads create, end and forget until stdin has a line or is closed. With an argument, prints
// how many were created.
// expect: inflater created some, ended any, live any, collected any, late any; deflater created some, ended some

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Churning {
    private static volatile boolean stopped;

    static final class Churner extends Thread {
        final CountDownLatch begun;
        long made;

        Churner(CountDownLatch begun) {
            this.begun = begun;
        }

        @Override
        public void run() {
            do {
                Inflater inflater = new Inflater();
                if (made % 50 != 0) {
                    inflater.end();
                }
                new Deflater(1).end();
                made++;
                begun.countDown();
            } while (!stopped);
        }
    }

    public static void main(String[] args) throws Exception {
        CountDownLatch begun = new CountDownLatch(1000);
        List<Churner> churners = new ArrayList<Churner>();
        for (int i = 0; i < 4; i++) {
            Churner churner = new Churner(begun);
            churners.add(churner);
            churner.start();
        }
        begun.await();
        System.out.println("ready");
        System.in.read();
        stopped = true;
        long made = 0;
        for (Churner churner : churners) {
            churner.join();
            made += churner.made;
        }
        System.out.println(args.length == 0 ? "done" : "made " + made);
    }
}
