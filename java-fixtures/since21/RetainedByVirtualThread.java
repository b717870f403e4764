// A virtual thread is parked, and a local variable of it retains an Inflater, while other threads
// construct virtual threads all the time. Reads a line from standard input, and then ends.
// expect: inflater created 1, ended 0, live any, collected any, late any

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.Inflater;

public class RetainedByVirtualThread {
    static final CountDownLatch CREATED = new CountDownLatch(1);
    static final ReentrantLock LOCK = new ReentrantLock();
    static final Condition END = LOCK.newCondition();
    static volatile Thread last;
    static volatile boolean over;

    static void hold() {
        LOCK.lock();
        try {
            Inflater inflater = new Inflater();
            CREATED.countDown();
            while (!over) {
                END.awaitUninterruptibly();
            }
            inflater.needsInput();
        } finally {
            LOCK.unlock();
        }
    }

    static void construct() {
        while (!over) {
            last = Thread.ofVirtual().unstarted(() -> {});
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Thread holder = Thread.ofVirtual().start(RetainedByVirtualThread::hold);
        CREATED.await();
        // It gives the lock back when it waits.
        LOCK.lock();
        LOCK.unlock();
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
        LOCK.lock();
        END.signal();
        LOCK.unlock();
        for (Thread maker : makers) {
            maker.join();
        }
        holder.join();
        System.out.println("ended");
    }
}
