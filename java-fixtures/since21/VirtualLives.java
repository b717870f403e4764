// Virtual threads that block at many depths and in many ways, as the lines of its stdin say. It
// prints `done LINE` for each, and what it created, ended and lost at each depth.
// expect: nothing

import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.invoke.MethodHandles;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class VirtualLives {
    /** Calls of `down` between the first frame of a life and the point where it blocks. */
    private static final int[] DEPTHS = {1, 20, 150, 400, 1000};

    /** How a life blocks. */
    enum Way {
        SLEEP, PARK, PARK_NANOS, LOCK, WAIT, QUEUE, SOCKET, NESTED, BRIEF, PINNED, IN_MONITOR, MONITOR
    }

    /** From here on a life keeps its carrier, on JDK 21 at least: there are two of each. */
    private static final Way FIRST_OF_FEW = Way.PINNED;

    /** What the program itself knows of the instances that were created at one depth. */
    static final class Count {
        private final AtomicInteger created = new AtomicInteger();
        private final AtomicInteger ended = new AtomicInteger();
        private final AtomicInteger lost = new AtomicInteger();

        @Override
        public String toString() {
            return created + "/" + ended + "/" + lost;
        }
    }

    private static final Map<String, Count> COUNTS = new ConcurrentHashMap<>();

    private static Count count(String kind, int depth) {
        return COUNTS.computeIfAbsent(kind + "@" + depth, key -> new Count());
    }

    /** An Inflater and a Deflater that were made at one depth. */
    static final class Pair {
        private final int depth;
        private final Inflater inflater = new Inflater();
        private final Deflater deflater = new Deflater(1);

        Pair(int depth) {
            this.depth = depth;
            count("inflater", depth).created.incrementAndGet();
            count("deflater", depth).created.incrementAndGet();
        }

        void end() {
            inflater.end();
            deflater.end();
            count("inflater", depth).ended.incrementAndGet();
            count("deflater", depth).ended.incrementAndGet();
        }

        void lose() {
            count("inflater", depth).lost.incrementAndGet();
            count("deflater", depth).lost.incrementAndGet();
        }
    }

    private static final Queue<Pair> KEPT = new ConcurrentLinkedQueue<>();

    /** A thread that ends what others made. */
    static final class Ender {
        private final LinkedBlockingQueue<Pair> work = new LinkedBlockingQueue<>();
        private final AtomicInteger pending = new AtomicInteger();

        Ender(Thread.Builder builder) {
            builder.start(() -> {
                try {
                    while (true) {
                        work.take().end();
                        pending.decrementAndGet();
                    }
                } catch (InterruptedException never) {
                    throw new AssertionError(never);
                }
            });
        }

        void end(Pair pair) {
            pending.incrementAndGet();
            work.add(pair);
        }
    }

    private static Ender virtualEnder;
    private static Ender platformEnder;

    /** Lives that block until they are let go. */
    static final class Batch {
        /** Lives that have not come to where they block, or to their end if they do not block. */
        private final CountDownLatch blocked;
        private final CountDownLatch gate = new CountDownLatch(1);
        private final ReentrantLock lock = new ReentrantLock();
        private final Object monitor = new Object();
        private final Object condition = new Object();
        private final LinkedBlockingQueue<Object> tokens = new LinkedBlockingQueue<>();
        private final InetAddress here = InetAddress.getLoopbackAddress();
        private final ServerSocket server = new ServerSocket(0, 500, here);
        private final Queue<Thread> threads = new ConcurrentLinkedQueue<>();
        private final List<Thread> first = new ArrayList<>();
        private final Thread keeper;
        private volatile boolean open;

        Batch(int seed, int size, int deepest) throws Exception {
            CountDownLatch kept = new CountDownLatch(1);
            keeper = Thread.ofPlatform().start(() -> {
                lock.lock();
                synchronized (monitor) {
                    kept.countDown();
                    awaitGate();
                }
                lock.unlock();
            });
            kept.await();
            Thread.ofVirtual().start(this::serve);
            List<Life> lives = new ArrayList<>();
            int blocking = 0;
            for (int i = 0; i < size; i++) {
                Way way = Way.values()[i % Way.values().length];
                if (way.compareTo(FIRST_OF_FEW) >= 0 && i >= 2 * Way.values().length) {
                    way = Way.PARK;
                }
                Life life = new Life(this, way, new Random(31L * seed + i), deepest);
                blocking += way == Way.NESTED ? Life.CHILDREN : 1;
                lives.add(life);
            }
            blocked = new CountDownLatch(blocking);
            for (Life life : lives) {
                first.add(Thread.ofVirtual().unstarted(life));
            }
            for (Thread thread : first) {
                thread.start();
            }
        }

        private void serve() {
            try {
                while (true) {
                    Socket socket = server.accept();
                    Thread.ofVirtual().start(() -> answer(socket));
                }
            } catch (java.io.IOException closed) {
                // The batch is over.
            }
        }

        private void answer(Socket socket) {
            awaitGate();
            try (socket) {
                socket.getOutputStream().write(1);
            } catch (java.io.IOException failed) {
                throw new AssertionError(failed);
            }
        }

        private void awaitGate() {
            try {
                gate.await();
            } catch (InterruptedException never) {
                throw new AssertionError(never);
            }
        }

        /** Returns when all that block have, and what the others left is done. */
        void awaitBlocked() throws InterruptedException {
            blocked.await();
            awaitEnders();
            for (Thread thread : threads) {
                while (thread.getState() == Thread.State.RUNNABLE) {
                    Thread.sleep(1);
                }
            }
        }

        void release() throws Exception {
            open = true;
            gate.countDown();
            synchronized (condition) {
                condition.notifyAll();
            }
            for (Thread thread : threads) {
                tokens.add(condition);
                LockSupport.unpark(thread);
            }
            for (Thread thread : first) {
                thread.join();
            }
            keeper.join();
            server.close();
            awaitEnders();
        }

        private static void awaitEnders() throws InterruptedException {
            while (virtualEnder.pending.get() + platformEnder.pending.get() > 0) {
                Thread.sleep(1);
            }
        }
    }

    /**
     * A virtual thread that creates instances on the way to where it blocks, and on the way back.
     */
    static final class Life implements Runnable {
        static final int CHILDREN = 3;
        private final Batch batch;
        private final Way way;
        private final Random random;
        private final int depth;

        Life(Batch batch, Way way, Random random, int deepest) {
            this.batch = batch;
            this.way = way;
            this.random = random;
            this.depth = DEPTHS[random.nextInt(deepest)];
        }

        @Override
        public void run() {
            try {
                down(1);
                if (way == Way.BRIEF) {
                    batch.blocked.countDown();
                }
            } catch (Exception failed) {
                failed.printStackTrace();
                System.exit(70);
            }
        }

        private void down(int level) throws Exception {
            boolean here = isStop(level);
            Pair held = here ? new Pair(level) : null;
            if (here) {
                lost(level);
            }
            if (level < depth) {
                down(level + 1);
            } else {
                block(level);
            }
            if (here) {
                settle(new Pair(level));
                settle(held);
            }
        }

        /** No frame refers to it when this returns. */
        private static void lost(int level) {
            new Pair(level).lose();
        }

        private void settle(Pair pair) {
            switch (random.nextInt(5)) {
                case 0 -> pair.end();
                case 1 -> virtualEnder.end(pair);
                case 2 -> platformEnder.end(pair);
                case 3 -> KEPT.add(pair);
                default -> pair.lose();
            }
        }

        private void block(int level) throws Exception {
            switch (way) {
                case SLEEP -> {
                    blocks();
                    while (!batch.open) {
                        Thread.sleep(3);
                    }
                }
                case PARK -> {
                    blocks();
                    park();
                }
                case PARK_NANOS -> {
                    blocks();
                    while (!batch.open) {
                        LockSupport.parkNanos(3_000_000);
                    }
                }
                case LOCK -> {
                    blocks();
                    batch.lock.lock();
                    batch.lock.unlock();
                }
                case WAIT -> {
                    synchronized (batch.condition) {
                        blocks();
                        while (!batch.open) {
                            batch.condition.wait();
                        }
                    }
                }
                case QUEUE -> {
                    blocks();
                    batch.tokens.take();
                }
                case SOCKET -> {
                    try (Socket socket = new Socket(batch.here, batch.server.getLocalPort())) {
                        blocks();
                        socket.getInputStream().read();
                    }
                }
                case NESTED -> nest();
                case BRIEF -> { }
                case PINNED -> pin(level);
                case IN_MONITOR -> {
                    synchronized (new Object()) {
                        blocks();
                        park();
                        new Pair(level).end();
                    }
                }
                case MONITOR -> {
                    blocks();
                    synchronized (batch.monitor) {
                        new Pair(level).end();
                    }
                }
            }
            new Pair(level).end();
        }

        private void blocks() {
            batch.threads.add(Thread.currentThread());
            batch.blocked.countDown();
        }

        private void park() {
            while (!batch.open) {
                LockSupport.park();
            }
        }

        /** Waits for virtual threads of its own. */
        private void nest() {
            try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
                for (int i = 0; i < CHILDREN; i++) {
                    Way way = Way.values()[random.nextInt(Way.NESTED.ordinal())];
                    executor.submit(new Life(batch, way, new Random(random.nextLong()), 3));
                }
            }
        }

        /** Blocks below a native frame: the JVM's that runs the initializer of a class. */
        private void pin(int level) throws Exception {
            byte[] bytes;
            try (InputStream file = Pin.class.getResourceAsStream("VirtualLives$Pin.class")) {
                bytes = file.readAllBytes();
            }
            PINNED.set(() -> {
                Pair pair = new Pair(level);
                blocks();
                park();
                pair.end();
                new Pair(level).end();
            });
            MethodHandles.lookup().defineHiddenClass(bytes, true);
        }

        private static boolean isStop(int level) {
            for (int depth : DEPTHS) {
                if (depth == level) {
                    return true;
                }
            }
            return false;
        }
    }

    static final ThreadLocal<Runnable> PINNED = new ThreadLocal<>();

    /** Defined once more for each life that is pinned, so that its initializer runs again. */
    static class Pin {
        static {
            Runnable pinned = PINNED.get();
            if (pinned != null) {
                pinned.run();
            }
        }
    }

    /** What goes on beside the batches, and is not counted with them. */
    static final class Churn implements Runnable {
        private static final AtomicInteger BUSY = new AtomicInteger();
        private static final AtomicReference<Inflater> EXCHANGE = new AtomicReference<>();
        private static volatile boolean calm;
        private final int number;

        Churn(int number) {
            this.number = number;
        }

        @Override
        public void run() {
            try {
                for (int round = 0; !calm; round++) {
                    around(5 + (number * 37 + round) % 60);
                    if (round % 8 == 0) {
                        brief();
                    }
                }
            } catch (InterruptedException never) {
                throw new AssertionError(never);
            } finally {
                BUSY.decrementAndGet();
            }
        }

        private void around(int levels) throws InterruptedException {
            Inflater own = levels % 16 == 0 ? new Inflater() : null;
            if (levels > 0) {
                around(levels - 1);
            } else {
                Thread.sleep(1);
            }
            if (own != null) {
                own.end();
                new Deflater(1).end();
                exchange();
            }
        }

        private static void exchange() {
            Inflater another = EXCHANGE.getAndSet(new Inflater());
            if (another != null) {
                another.end();
            }
        }

        private static void brief() throws InterruptedException {
            Thread.ofVirtual().start(() -> new Inflater().end()).join();
        }
    }

    private static Batch batch;

    public static void main(String[] args) throws Exception {
        virtualEnder = new Ender(Thread.ofVirtual());
        platformEnder = new Ender(Thread.ofPlatform().daemon());
        new Pin();
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            int[] numbers = new int[words.length];
            for (int i = 1; i < words.length; i++) {
                numbers[i] = Integer.parseInt(words[i]);
            }
            obey(words[0], numbers);
            System.out.println("done " + line + ": " + new TreeMap<>(COUNTS));
        }
        System.out.println("ended");
    }

    private static void obey(String what, int[] numbers) throws Exception {
        switch (what) {
            case "begin" -> {
                batch = new Batch(numbers[1], numbers[2], numbers[3]);
                batch.awaitBlocked();
            }
            case "resume" -> batch.release();
            case "brief" -> {
                List<Thread> threads = new ArrayList<>();
                for (int i = 0; i < numbers[1]; i++) {
                    threads.add(Thread.ofVirtual().start(() -> new Pair(0).end()));
                }
                for (Thread thread : threads) {
                    thread.join();
                }
            }
            case "end" -> {
                for (Pair pair = KEPT.poll(); pair != null; pair = KEPT.poll()) {
                    pair.end();
                }
            }
            case "forget" -> COUNTS.clear();
            case "churn" -> {
                for (int i = 0; i < numbers[1]; i++) {
                    Churn.BUSY.incrementAndGet();
                    Thread.ofVirtual().start(new Churn(i));
                }
            }
            case "calm" -> {
                Churn.calm = true;
                while (Churn.BUSY.get() > 0) {
                    Thread.sleep(1);
                }
                Churn.calm = false;
                Inflater last = Churn.EXCHANGE.getAndSet(null);
                if (last != null) {
                    last.end();
                }
            }
            default -> throw new IllegalArgumentException(what);
        }
    }
}
