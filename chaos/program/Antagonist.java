import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** What a program may do to make life hard for an agent. Each act is short. */
enum Antagonist {
    /** Platform threads come and go. */
    THREADS {
        @Override
        void act(Random random) throws Exception {
            Thread[] threads = new Thread[8];
            for (int i = 0; i < threads.length; i++) {
                threads[i] = new Thread(lifecycles(random.nextInt(40), random.nextLong()));
                threads[i].start();
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
    },

    /** Virtual threads block at any depth: in locks, monitors, I/O and sleep. From JDK 21 on. */
    VIRTUAL {
        @Override
        void act(Random random) throws Exception {
            if (START_VIRTUAL == null) {
                Thread.sleep(10);
                return;
            }
            int count = 50;
            final CountDownLatch ended = new CountDownLatch(count);
            final AtomicReference<Throwable> failure = new AtomicReference<Throwable>();
            for (int i = 0; i < count; i++) {
                final int depth = 30 * random.nextInt(4);
                final long seed = random.nextLong();
                startVirtual(() -> {
                    try {
                        blocked(depth, new Random(seed));
                    } catch (Throwable failed) {
                        failure.set(failed);
                    } finally {
                        ended.countDown();
                    }
                });
            }
            ended.await();
            if (failure.get() != null) {
                throw new AssertionError("a virtual thread failed", failure.get());
            }
        }
    },

    /** Class loaders are made, used and dropped, with their classes on stacks. */
    LOADERS {
        @Override
        void act(Random random) throws Exception {
            byte[] bytes = classFile("Dropped");
            for (int i = 0; i < 5; i++) {
                Callable<?> made = (Callable<?>) new Defining(bytes).define()
                        .getConstructor().newInstance();
                Book.end(Book.created((Inflater) made.call()));
                Book.created((Inflater) made.call());
            }
        }
    },

    /** Hidden classes create; before JDK 15 their forerunners, anonymous classes of the JVM. */
    HIDDEN {
        @Override
        void act(Random random) throws Exception {
            byte[] bytes = classFile("Dropped");
            for (int i = 0; i < 5; i++) {
                Callable<?> made = (Callable<?>) hidden(bytes).getConstructor().newInstance();
                Book.end(Book.created((Inflater) made.call()));
                Book.created((Inflater) made.call());
            }
        }
    },

    /** Lambdas, method handles and reflection create. */
    LAMBDAS {
        @Override
        void act(Random random) throws Exception {
            Callable<Inflater> reference = Inflater::new;
            boolean nowrap = random.nextBoolean();
            Callable<Deflater> lambda = () -> new Deflater(1, nowrap);
            Book.end(Book.created(reference.call()));
            Book.end(Book.created(lambda.call()));
            Book.created(Inflater.class.getConstructor(boolean.class).newInstance(nowrap));
        }
    },

    /** Deep recursion ends in StackOverflowError around the constructors. */
    OVERFLOW {
        @Override
        void act(Random random) throws Exception {
            Thread thread = new Thread(null, new Runnable() {
                @Override
                public void run() {
                    descend();
                }
            }, "overflow", 256 << 10);
            thread.start();
            thread.join();
            for (; OVERFLOWED[0] > 0; OVERFLOWED[0]--) {
                Book.unsure(Book.Kind.INFLATER);
            }
            for (; OVERFLOWED[1] > 0; OVERFLOWED[1]--) {
                Book.created(Book.Kind.INFLATER);
                Book.unsureEnd(Book.Kind.INFLATER);
            }
            for (; OVERFLOWED[2] > 0; OVERFLOWED[2]--) {
                Book.created(Book.Kind.INFLATER);
                Book.ended(Book.Kind.INFLATER);
            }
        }
    },

    /** Constructors of subclasses throw; what the superclass made is lost. */
    THROWING {
        @Override
        void act(Random random) {
            try {
                new Throwing(random.nextBoolean());
                throw new AssertionError("it did not throw");
            } catch (IllegalStateException expected) {
                Book.created(Book.Kind.INFLATER);
            }
            try {
                new Deflater(42);
                throw new AssertionError("it did not throw");
            } catch (IllegalArgumentException expected) {
                // The arguments are checked first.
            }
        }
    },

    /** {@code Thread.stop()} at any point of a lifecycle. Up to JDK 19. */
    STOPPED {
        @Override
        void act(Random random) throws Exception {
            if (STOP == null) {
                Thread.sleep(10);
                return;
            }
            Stopped thread = new Stopped();
            thread.start();
            while (thread.progress < 30 && thread.isAlive()) {
                Thread.yield();
            }
            Thread.sleep(random.nextInt(3), random.nextInt(999999));
            try {
                STOP.invoke(thread);
            } finally {
                thread.join();
                thread.enter();
            }
        }
    },

    /** Garbage, and forced collections. */
    GARBAGE {
        @Override
        void act(Random random) throws Exception {
            for (int i = 0; i < 200; i++) {
                garbage = new byte[random.nextInt(64 << 10)];
            }
            if (random.nextInt(20) == 0) {
                System.gc();
            }
            Thread.sleep(1);
        }
    },

    /** Streams of entries are closed, forgotten, or closed by their file. */
    ARCHIVES {
        @Override
        void act(Random random) throws Exception {
            try (ZipFile zip = new ZipFile(archive())) {
                read(random, () -> zip.getInputStream(zip.getEntry("entry")));
            }
        }
    },

    /** The same in a file system. */
    FILE_SYSTEMS {
        @Override
        void act(Random random) throws Exception {
            try (FileSystem system =
                    FileSystems.newFileSystem(archive().toPath(), (ClassLoader) null)) {
                read(random, () -> Files.newInputStream(system.getPath("entry")));
            }
        }
    },

    /** Another agent redefines and retransforms classes, those of the JDK's zlib among them. */
    CHANGES {
        @Override
        void act(Random random) throws Exception {
            Changer.change(random.nextInt(5));
            Book.end(Book.created(Changed.inflater()));
            Thread.sleep(20);
        }
    },

    /** Instances pass between threads: one creates, another one ends or forgets. */
    HANDED_ON {
        @Override
        void act(Random random) throws Exception {
            final Inflater inflater = Book.created(new Inflater(random.nextBoolean()));
            final boolean ends = random.nextBoolean();
            Thread thread = new Thread() {
                @Override
                public void run() {
                    if (ends) {
                        Book.end(inflater);
                    }
                }
            };
            thread.start();
            thread.join();
        }
    },

    /** The Java heap is full while threads create, until each of them gets OutOfMemoryError. */
    HEAP {
        @Override
        boolean isAlone() {
            return true;
        }

        @Override
        void act(Random random) throws Exception {
            Creating[] threads = new Creating[3];
            for (int i = 0; i < threads.length; i++) {
                threads[i] = new Creating();
                threads[i].start();
            }
            heap = full();
            for (Creating thread : threads) {
                thread.begin();
            }
            for (Creating thread : threads) {
                thread.join();
            }
            heap = null;
            // Up to JDK 21, G1 cannot collect while other threads are in JNI critical regions, and
            // gives up after a few attempts (JDK-8192647). Here, none are.
            System.gc();
            for (Creating thread : threads) {
                thread.enter();
            }
        }
    },

    /** malloc fails: what runs this program limits its address space meanwhile. */
    MEMORY {
        @Override
        boolean isAlone() {
            return true;
        }

        @Override
        void act(Random random) throws Exception {
            File wanted = new File("limit-wanted");
            File limited = new File("limited");
            Deflater[] kept = new Deflater[4000];
            Inflater[] small = new Inflater[200];
            int count = 0;
            int smallCount = 0;
            // Half of the time it has created at the same places before, so that their names are
            // known.
            for (int round = random.nextInt(2); round < 2; round++) {
                if (round == 1) {
                    if (!wanted.createNewFile()) {
                        throw new AssertionError("there is a limit already");
                    }
                    while (!limited.exists()) {
                        Thread.sleep(5);
                    }
                }
                count = create(kept, count, round == 0 ? 1 : kept.length);
                smallCount = create(small, smallCount, round == 0 ? 1 : small.length);
            }
            for (int i = 0; i < count; i++) {
                Book.end(Book.created(kept[i]));
            }
            for (int i = 0; i < smallCount; i++) {
                Book.end(Book.created(small[i]));
            }
            if (!wanted.delete()) {
                throw new AssertionError("the limit stays");
            }
            while (limited.exists()) {
                Thread.sleep(5);
            }
        }
    };

    /** How often it has acted. Written by its own thread, read when that has ended. */
    long acts;
    /** What has ended it. */
    Throwable failure;

    abstract void act(Random random) throws Exception;

    /** Whether the others wait meanwhile: they cannot go on without memory. */
    boolean isAlone() {
        return false;
    }

    private static final Method START_VIRTUAL = threadMethod("startVirtualThread", Runnable.class);
    private static final Method STOP = hasStop() ? threadMethod("stop") : null;
    private static final ReentrantLock LOCK = new ReentrantLock();
    private static final Object MONITOR = new Object();
    private static volatile byte[] garbage;
    private static volatile Object heap;
    private static File archive;

    private static Method threadMethod(String name, Class<?>... parameters) {
        try {
            return Thread.class.getMethod(name, parameters);
        } catch (NoSuchMethodException otherRelease) {
            return null;
        }
    }

    /** From JDK 20 on the method only throws. */
    private static boolean hasStop() {
        return Double.parseDouble(System.getProperty("java.specification.version")) < 20;
    }

    private static void startVirtual(Runnable task) throws Exception {
        START_VIRTUAL.invoke(null, task);
    }

    private static Class<?> hidden(byte[] bytes) throws Exception {
        for (Method method : MethodHandles.Lookup.class.getMethods()) {
            if (method.getName().equals("defineHiddenClass")) {
                Object options = Array.newInstance(
                        method.getParameterTypes()[2].getComponentType(), 0);
                MethodHandles.Lookup lookup = MethodHandles.lookup();
                return ((MethodHandles.Lookup) method.invoke(lookup, bytes, true, options))
                        .lookupClass();
            }
        }
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field field = unsafe.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        return (Class<?>) unsafe.getMethod("defineAnonymousClass", Class.class, byte[].class,
                Object[].class).invoke(field.get(null), Antagonist.class, bytes, null);
    }

    /** Fills the heap until not even a small array fits. */
    private static Object full() {
        Object[] chain = null;
        for (int length = 1 << 18; length > 1; ) {
            try {
                Object[] next = new Object[length];
                next[0] = chain;
                chain = next;
            } catch (OutOfMemoryError expected) {
                length >>= 4;
            }
        }
        return chain;
    }

    /** Creates until there is no memory. Returns how many there are. */
    private static int create(Deflater[] kept, int from, int to) {
        int count = from;
        try {
            while (count < to) {
                kept[count] = new Deflater();
                count++;
            }
        } catch (OutOfMemoryError expected) {
            Book.unsure(Book.Kind.DEFLATER);
        }
        return count;
    }

    private static int create(Inflater[] kept, int from, int to) {
        int count = from;
        try {
            while (count < to) {
                kept[count] = new Inflater();
                count++;
            }
        } catch (OutOfMemoryError expected) {
            Book.unsure(Book.Kind.INFLATER);
        }
        return count;
    }

    /** Reads streams of an archive, and closes two of three. */
    private static void read(Random random, Callable<InputStream> open) throws Exception {
        for (int i = 0; i < 10; i++) {
            InputStream stream = open.call();
            Book.created(Book.Kind.ENTRY);
            stream.read();
            if (random.nextInt(3) > 0) {
                stream.close();
            }
        }
    }

    private static Runnable lifecycles(final int count, final long seed) {
        return new Runnable() {
            @Override
            public void run() {
                Random random = new Random(seed);
                List<Inflater> later = new ArrayList<Inflater>();
                for (int i = 0; i < count; i++) {
                    Deflater deflater = Book.created(new Deflater(random.nextInt(10)));
                    Inflater inflater = Book.created(new Inflater());
                    if (random.nextInt(8) > 0) {
                        Book.end(deflater);
                    }
                    if (random.nextBoolean()) {
                        later.add(inflater);
                    }
                }
                for (Inflater inflater : later) {
                    Book.end(inflater);
                }
            }
        };
    }

    /** Creates, blocks and ends at this depth. */
    private static void blocked(int depth, Random random) throws Exception {
        if (depth > 0) {
            blocked(depth - 1, random);
            return;
        }
        for (int i = 0; i < 5; i++) {
            Inflater inflater = Book.created(new Inflater());
            Deflater deflater = Book.created(new Deflater());
            switch (random.nextInt(6)) {
                case 0:
                    Thread.sleep(1);
                    break;
                case 1:
                    LOCK.lock();
                    try {
                        Book.end(Book.created(new Inflater(true)));
                        Thread.yield();
                    } finally {
                        LOCK.unlock();
                    }
                    break;
                case 2:
                    synchronized (MONITOR) {
                        Book.end(Book.created(new Inflater(true)));
                        MONITOR.wait(1);
                    }
                    break;
                case 3:
                    readPipe();
                    break;
                case 4:
                    Files.readAllBytes(archive().toPath());
                    break;
                default:
                    TimeUnit.MICROSECONDS.sleep(random.nextInt(500));
                    break;
            }
            Book.end(inflater);
            if (random.nextInt(6) > 0) {
                Book.end(deflater);
            }
        }
    }

    /** Waits for another virtual thread in a read. */
    private static void readPipe() throws Exception {
        final Pipe pipe = Pipe.open();
        try (Pipe.SourceChannel source = pipe.source(); Pipe.SinkChannel sink = pipe.sink()) {
            final CountDownLatch written = new CountDownLatch(1);
            startVirtual(() -> {
                try {
                    Thread.sleep(1);
                    sink.write(ByteBuffer.allocate(1));
                } catch (Exception failed) {
                    throw new AssertionError(failed);
                } finally {
                    written.countDown();
                }
            });
            if (source.read(ByteBuffer.allocate(1)) != 1) {
                throw new AssertionError("nothing was read");
            }
            written.await();
        }
    }

    /**
     * Creates and ends near the end of the stack. Counts in fields, because any call may overflow
     * it; one thread at a time is here.
     */
    private static void descend() {
        try {
            descend();
        } catch (StackOverflowError deeper) {
            // From here on there is a little room again.
            above = 0;
        }
        if (++above > 200 || above % 5 != 0) {
            return;
        }
        int done = 0;
        try {
            Inflater inflater = new Inflater();
            done = 1;
            inflater.end();
            done = 2;
        } catch (StackOverflowError inside) {
            // Whether the call had done its work by then is not known.
        }
        OVERFLOWED[done]++;
    }

    /** How many frames above the overflow. */
    private static int above;
    /** In the constructor, in {@code end()}, and not at all. */
    private static final long[] OVERFLOWED = new long[3];

    private static final class Sub extends Inflater {
        private final Random random = new Random();
    }

    private static final class Throwing extends Inflater {
        Throwing(boolean nowrap) {
            super(nowrap);
            throw new IllegalStateException("thrown behind super()");
        }
    }

    /** Creates and ends until it is stopped. */
    private static final class Stopped extends Thread {
        /**
         * Three for each lifecycle: one more when the constructor is called, when it has returned,
         * and when {@code end()} has. One field, because each write may be the last act.
         */
        volatile long progress;

        @Override
        public void run() {
            for (long done = 0; ; done += 3) {
                progress = done + 1;
                Inflater inflater = done % 2 == 0 ? new Inflater() : new Sub();
                progress = done + 2;
                inflater.end();
                progress = done + 3;
            }
        }

        /** Enters in the book what it has done; the rest of its last lifecycle is not known. */
        void enter() {
            for (long done = 3; done <= progress; done += 3) {
                Book.created(Book.Kind.INFLATER);
                Book.ended(Book.Kind.INFLATER);
            }
            if (progress % 3 == 2) {
                Book.created(Book.Kind.INFLATER);
                Book.unsureEnd(Book.Kind.INFLATER);
            } else if (progress % 3 == 1) {
                Book.unsure(Book.Kind.INFLATER);
            }
        }
    }

    /** Creates until the heap is full, without need of the heap itself. */
    private static final class Creating extends Thread {
        private final Inflater[] kept = new Inflater[4000];
        private int count;
        private boolean hasFailed;
        private boolean begins;

        synchronized void begin() {
            begins = true;
            notifyAll();
        }

        @Override
        public void run() {
            try {
                synchronized (this) {
                    while (!begins) {
                        wait();
                    }
                }
                while (count < kept.length) {
                    kept[count] = new Inflater();
                    count++;
                }
            } catch (OutOfMemoryError expected) {
                hasFailed = true;
            } catch (InterruptedException never) {
                throw new AssertionError(never);
            }
        }

        void enter() {
            for (int i = 0; i < count; i++) {
                Book.end(Book.created(kept[i]));
            }
            if (hasFailed) {
                Book.unsure(Book.Kind.INFLATER);
            }
        }
    }

    /** Loads one class, and is dropped. */
    private static final class Defining extends ClassLoader {
        private final byte[] bytes;

        Defining(byte[] bytes) {
            super(Antagonist.class.getClassLoader());
            this.bytes = bytes;
        }

        Class<?> define() {
            return defineClass("Dropped", bytes, 0, bytes.length);
        }
    }

    static byte[] classFile(String name) throws Exception {
        return bytesOf(Antagonist.class.getResourceAsStream(name + ".class"));
    }

    static byte[] bytesOf(InputStream stream) throws Exception {
        try (InputStream in = stream) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            byte[] buffer = new byte[4096];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                out.write(buffer, 0, read);
            }
            return out.toByteArray();
        }
    }

    private static synchronized File archive() throws Exception {
        if (archive == null) {
            File file = File.createTempFile("chaos", ".zip");
            file.deleteOnExit();
            Deflater own = Book.created(new Deflater());
            own.end();
            Book.ended(Book.Kind.DEFLATER);
            // Its stream has a Deflater of its own.
            Book.created(Book.Kind.DEFLATER);
            try (ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file))) {
                out.putNextEntry(new ZipEntry("entry"));
                out.write(new byte[20000]);
            }
            Book.ended(Book.Kind.DEFLATER);
            archive = file;
        }
        return archive;
    }
}
