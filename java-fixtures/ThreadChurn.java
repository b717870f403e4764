// Many threads hold instances at the same time, and then many more come and go, each of which ends
// one that the thread before it created. Prints its own counts.
// expect: inflater created 650, ended 644, live 6; deflater created 50, ended 50

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class ThreadChurn {
    private static final Queue<Inflater> FOR_OTHERS = new ConcurrentLinkedQueue<Inflater>();
    private static final Queue<Inflater> KEPT = new ConcurrentLinkedQueue<Inflater>();
    private static final AtomicReference<Inflater> HANDED_ON = new AtomicReference<Inflater>();

    public static void main(String[] args) throws Exception {
        int atOnce = args.length > 0 ? Integer.parseInt(args[0]) : 50;
        int passing = args.length > 1 ? Integer.parseInt(args[1]) : 50;
        CountDownLatch all = new CountDownLatch(atOnce);
        List<Thread> threads = new ArrayList<Thread>();
        for (int i = 0; i < atOnce; i++) {
            boolean keeps = i % 10 == 0;
            threads.add(started(() -> together(all, keeps)));
        }
        join(threads);
        for (Inflater inflater : FOR_OTHERS) {
            inflater.end();
        }
        for (int i = 0; i < passing; i++) {
            threads.add(started(ThreadChurn::shortLife));
            if (threads.size() == 8) {
                join(threads);
            }
        }
        join(threads);
        long live = KEPT.size() + (HANDED_ON.get() == null ? 0 : 1);
        long created = 3L * atOnce + 10L * passing;
        System.out.println("inflater " + created + " " + (created - live) + " " + live + " 0");
        System.out.println("deflater " + passing + " " + passing + " 0 0");
    }

    private static Thread started(Runnable work) {
        Thread thread = new Thread(null, work, "churn", 256 << 10);
        thread.start();
        return thread;
    }

    private static void join(List<Thread> threads) throws InterruptedException {
        for (Thread thread : threads) {
            thread.join();
        }
        threads.clear();
    }

    private static void together(CountDownLatch all, boolean keeps) {
        Inflater first = new Inflater();
        FOR_OTHERS.add(new Inflater());
        Inflater third = new Inflater();
        all.countDown();
        try {
            all.await();
        } catch (InterruptedException never) {
            throw new AssertionError(never);
        }
        first.end();
        if (keeps) {
            KEPT.add(third);
        } else {
            third.end();
        }
    }

    private static void shortLife() {
        for (int i = 0; i < 9; i++) {
            new Inflater().end();
        }
        new Deflater(1).end();
        Inflater before = HANDED_ON.getAndSet(new Inflater());
        if (before != null) {
            before.end();
        }
    }
}
