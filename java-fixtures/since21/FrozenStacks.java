// Virtual threads block at random depths, in many ways, and create and end there: their outer
// frames are frozen, interpreted, compiled, deoptimised or of classes that are unloaded later. The
// arguments say how many instances each of 8 threads makes, how many frames a stack may have, and
// how many milliseconds pass between two collections (0: none on purpose).
// expect: inflater created 1_200, ended 1_200

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Random;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.Inflater;

public class FrozenStacks {
    private static final int THREADS = 8;

    /** Different stacks; each thread has them again and again. */
    private static final int STACKS = 150;

    private static final ReentrantLock LOCK = new ReentrantLock();
    private static final Object MONITOR = new Object();
    private static final SynchronousQueue<Object> QUEUE = new SynchronousQueue<>();

    /** Up to JDK 23 a thread that waits for a monitor keeps its carrier. */
    private static final boolean MONITORS = Runtime.version().feature() >= 24;

    private static volatile boolean done;
    private static volatile Step loaded;

    /** One more frame, or several. */
    public interface Step {
        void go(Walker walker, int levels);
    }

    /** Loaded again and again, each time by another loader. */
    public static class Unloaded implements Step {
        @Override
        public void go(Walker walker, int levels) {
            walker.next(levels - 1);
            if (levels % 3 == 0) {
                walker.make();
            }
        }
    }

    static class Loader extends ClassLoader {
        Loader() {
            super(FrozenStacks.class.getClassLoader());
        }

        Step again() throws Exception {
            String name = "FrozenStacks$Unloaded";
            try (InputStream in = FrozenStacks.class.getResourceAsStream(name + ".class")) {
                byte[] bytes = in.readAllBytes();
                return (Step) defineClass(name, bytes, 0, bytes.length).getConstructor().newInstance();
            }
        }
    }

    public static final class Walker implements Runnable {
        private final Random random;
        private final int number;
        private final int depth;
        private final Socket near;
        private final Socket far;
        private int made;
        private int stack;
        private int seed;

        Walker(int seed, int number, int depth, ServerSocket server) throws IOException {
            random = new Random(seed);
            this.number = number;
            this.depth = depth;
            near = new Socket(server.getInetAddress(), server.getLocalPort());
            far = server.accept();
        }

        @Override
        public void run() {
            while (made < number) {
                stack = random.nextInt(STACKS);
                seed = stack;
                Step step = stack % 5 == 0 ? loaded : Walker::next;
                try {
                    step.go(this, 1 + chance() % depth);
                } catch (IllegalStateException rare) {
                    make();
                }
            }
        }

        /** The same sequence for the same stack. */
        private int chance() {
            seed = seed * 0x41c64e6d + 0x3039;
            int mixed = seed ^ stack * 0x85ebca6b;
            return (mixed ^ mixed >>> 15) & 0x7fffffff;
        }

        public void next(int levels) {
            if (levels <= 0) {
                leaf();
                return;
            }
            switch (chance() % 9) {
                case 0: one(levels - 1); break;
                case 1: two(levels - 1, 1L, 2.0, "3", 4L, 5L, 6.0, 7L, 8L, 9L); break;
                case 2: Step step = Walker::next; step.go(this, levels - 1); break;
                case 3: Runnable run = () -> next(levels - 1); run.run(); break;
                case 4: wide(levels - 1); break;
                case 5: caught(levels - 1); break;
                case 6: if (MONITORS) { locked(levels - 1); } else { one(levels - 1); } break;
                default: next(levels - 1);
            }
            int then = chance() % 16;
            if (then == 0) {
                block();
                make();
            } else if (then == 1) {
                make();
            } else if (then == 2 && levels > 2) {
                again(2);
            }
        }

        private void one(int levels) {
            try {
                next(levels);
            } finally {
                if (levels % 7 == 2) {
                    make();
                }
            }
        }

        private double two(int levels, long a, double b, String c, long d, long e, double f, long g, long h, long i) {
            next(levels);
            if (levels % 5 == 1) {
                make();
            }
            return a + b + c.length() + d + e + f + g + h + i;
        }

        private int wide(int levels) {
            long a = levels, b = a * 3, c = b ^ a, d = c + 7, e = d * 5, f = e ^ 9, g = f + a;
            long h = g * b, i = h ^ c, j = i + d, k = j * e, l = k ^ f;
            next(levels);
            return (int) (a + b + c + d + e + f + g + h + i + j + k + l);
        }

        private synchronized void locked(int levels) {
            next(levels);
        }

        private void caught(int levels) {
            try {
                next(levels);
                // Compiled code does not have it at first.
                if (random.nextInt(400) == 0) {
                    throw new IllegalStateException();
                }
            } catch (IllegalStateException rare) {
                make();
            }
        }

        private void again(int levels) {
            if (levels > 0) {
                again(levels - 1);
                return;
            }
            block();
            make();
        }

        private void leaf() {
            make();
            block();
            make();
            block();
            make();
        }

        /** Not part of what makes the stack: the same one is frozen here and there. */
        private void block() {
            try {
                switch (random.nextInt(9)) {
                    case 0: LockSupport.parkNanos(1_000); break;
                    case 1: Thread.sleep(0, 1_000); break;
                    case 2: QUEUE.offer(this, 1, TimeUnit.MICROSECONDS); break;
                    case 3: QUEUE.poll(1, TimeUnit.MICROSECONDS); break;
                    case 4:
                        LOCK.lock();
                        try {
                            Thread.yield();
                        } finally {
                            LOCK.unlock();
                        }
                        break;
                    case 5:
                        Thread.startVirtualThread(() -> send());
                        if (near.getInputStream().read() != 7) {
                            throw new AssertionError();
                        }
                        break;
                    case 6:
                        if (MONITORS) {
                            synchronized (MONITOR) {
                                MONITOR.wait(0, 1_000);
                            }
                        }
                        break;
                    default: Thread.yield();
                }
            } catch (InterruptedException | IOException failed) {
                throw new AssertionError(failed);
            }
        }

        private void send() {
            try {
                far.getOutputStream().write(7);
            } catch (IOException failed) {
                throw new AssertionError(failed);
            }
        }

        public void make() {
            // The same stack more than once, as programs have it.
            for (int i = 0; i < 3 && made < number; i++) {
                made++;
                new Inflater(true).end();
            }
        }
    }

    public static void main(String[] args) throws Exception {
        int number = args.length > 0 ? Integer.parseInt(args[0]) : 150;
        int depth = args.length > 1 ? Integer.parseInt(args[1]) : 60;
        int millis = args.length > 2 ? Integer.parseInt(args[2]) : 20;
        loaded = new Loader().again();
        Thread loading = Thread.ofPlatform().daemon().start(() -> {
            try {
                while (!done) {
                    Thread.sleep(50);
                    loaded = new Loader().again();
                }
            } catch (Exception failed) {
                throw new AssertionError(failed);
            }
        });
        Thread collecting = Thread.ofPlatform().daemon().start(() -> {
            byte[][] kept = new byte[64][];
            for (int i = 0; !done && millis > 0; i++) {
                for (int j = 0; j < 500; j++) {
                    kept[(i + j) % kept.length] = new byte[4_000];
                }
                // With 1 there is no end of collections, and their memory is used again at once.
                LockSupport.parkNanos(millis > 1 ? millis * 1_000_000L / 4 : 0);
                if (i % 4 == 3) {
                    System.gc();
                }
            }
        });
        try (ServerSocket server = new ServerSocket(0, THREADS, InetAddress.getLoopbackAddress())) {
            Thread[] threads = new Thread[THREADS];
            for (int i = 0; i < THREADS; i++) {
                threads[i] = Thread.ofVirtual().start(new Walker(42 + i, number, depth, server));
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
        done = true;
        loading.join();
        collecting.join();
        System.out.println("ended");
    }
}
