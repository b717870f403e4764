// A virtual thread is parked, and a local variable of it retains an Inflater, while other threads
// construct virtual threads all the time. Reads a line from standard input, and then ends.
// expect: inflater created 1, ended 0, live any, collected any, late any

import java.io.IOException;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Inflater;

public class RetainedByVirtualThread {
    static volatile Thread last;
    static volatile boolean over;

    static void hold() {
        Inflater inflater = new Inflater();
        while (!over) {
            LockSupport.park();
        }
        inflater.needsInput();
    }

    static void construct() {
        while (!over) {
            last = Thread.ofVirtual().unstarted(() -> {});
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Thread holder = Thread.ofVirtual().start(RetainedByVirtualThread::hold);
        while (holder.getState() != Thread.State.WAITING) {
            Thread.sleep(1);
        }
        Thread[] makers = {
            new Thread(RetainedByVirtualThread::construct),
            new Thread(RetainedByVirtualThread::construct),
        };
        for (Thread maker : makers) {
            maker.start();
        }
        System.out.println("ready");
        System.in.read();
        over = true;
        LockSupport.unpark(holder);
        for (Thread maker : makers) {
            maker.join();
        }
        holder.join();
        System.out.println("ended");
    }
}
