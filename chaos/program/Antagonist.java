import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.lang.reflect.Method;
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

    /** Virtual threads block at any depth: in locks, monitors and sleep. None before JDK 21. */
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
                START_VIRTUAL.invoke(null, new Runnable() {
                    @Override
                    public void run() {
                        try {
                            blocked(depth, new Random(seed));
                        } catch (Throwable failed) {
                            failure.set(failed);
                        } finally {
                            ended.countDown();
                        }
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
                Callable<?> made = (Callable<?>) new Defining(bytes).define().newInstance();
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
            Changer.change(random.nextInt(4));
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
    };

    /** How often it has acted. Written by its own thread, read when that has ended. */
    long acts;

    abstract void act(Random random) throws Exception;

    private static final Method START_VIRTUAL = startVirtual();
    private static final ReentrantLock LOCK = new ReentrantLock();
    private static final Object MONITOR = new Object();
    private static volatile byte[] garbage;
    private static File archive;

    private static Method startVirtual() {
        try {
            return Thread.class.getMethod("startVirtualThread", Runnable.class);
        } catch (NoSuchMethodException older) {
            return null;
        }
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
            switch (random.nextInt(4)) {
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

    private static final class Throwing extends Inflater {
        Throwing(boolean nowrap) {
            super(nowrap);
            throw new IllegalStateException("thrown behind super()");
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
        try (InputStream in = Antagonist.class.getResourceAsStream(name + ".class")) {
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
