// Virtual threads that still hold theirs when the program ends: live, on the heap with their
// stacks.
// expect: inflater created 50, live 50

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class VirtualThreadsParked {
    static final List<Thread> THREADS = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        CountDownLatch made = new CountDownLatch(50);
        CountDownLatch never = new CountDownLatch(1);
        for (int i = 0; i < 50; i++) {
            THREADS.add(Thread.ofVirtual().start(() -> {
                Inflater inflater = new Inflater();
                made.countDown();
                try {
                    never.await();
                } catch (InterruptedException interrupted) {
                    throw new AssertionError(interrupted);
                }
                inflater.end();
            }));
        }
        made.await();
        System.out.println("parked");
    }
}
