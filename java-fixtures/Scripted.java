// Does what each line of its stdin says, prints `done LINE`, and ends when there are no more lines.
// expect: nothing

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import java.util.zip.ZipFile;

public class Scripted {
    private static final List<Inflater> inflaters = new ArrayList<Inflater>();
    private static final List<Deflater> deflaters = new ArrayList<Deflater>();
    private static final List<InputStream> streams = new ArrayList<InputStream>();
    private static ZipFile file;
    private static FileSystem archive;
    /** What was ended, and is still referenced. */
    private static final List<Object> ended = new ArrayList<Object>();
    private static final List<Inflater> windowInflaters = new ArrayList<Inflater>();
    private static final List<Deflater> windowDeflaters = new ArrayList<Deflater>();
    private static final AtomicInteger busy = new AtomicInteger();
    private static volatile boolean calm;
    private static Callable<?> foreign;

    /** How threads make and end. */
    enum Sort { TIDY, FORGETFUL, VIRTUAL }

    static class OwnInflater extends Inflater {
        OwnInflater() {
            super(true);
        }
    }

    static class OwnDeflater extends Deflater {
        OwnDeflater() {
            super(1, true);
        }
    }

    /** Loaded by a class loader of its own, it creates instances of classes of its own. */
    public static class Maker implements Callable<Object[]> {
        @Override
        public Object[] call() {
            return new Object[] {new Inflater(), new OwnInflater(), new Deflater(1), new OwnDeflater()};
        }
    }

    public static void main(String[] args) throws Exception {
        URL here = Scripted.class.getProtectionDomain().getCodeSource().getLocation();
        Class<?> maker = new URLClassLoader(new URL[] {here}, null).loadClass("Scripted$Maker");
        if (maker == Maker.class) {
            throw new AssertionError("not a class of its own");
        }
        foreign = (Callable<?>) maker.getConstructor().newInstance();
        collect();
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            int[] numbers = new int[words.length];
            for (int i = 1; i < words.length; i++) {
                numbers[i] = Integer.parseInt(words[i]);
            }
            // In one piece: -Xcheck:jni may print something in between.
            System.out.print("done " + line + obey(words[0], numbers) + "\n");
            System.out.flush();
        }
        stop();
        System.out.println("ended");
    }

    private static String obey(String what, int[] numbers) throws Exception {
        switch (what) {
            case "open":
                open(numbers[1]);
                return "";
            case "inflaters":
                for (int i = 0; i < numbers[1]; i++) {
                    inflaters.add(new Inflater());
                }
                return "";
            case "ended":
                endedOnes(numbers[1]);
                return "";
            case "garbage":
                garbage(numbers[1]);
                return "";
            case "end":
                end(
                    inflaters.subList(0, numbers[1]),
                    deflaters.subList(0, Math.min(numbers[1], deflaters.size())));
                return "";
            case "drop":
                inflaters.subList(0, numbers[1]).clear();
                deflaters.subList(0, numbers[1]).clear();
                collect();
                return "";
            case "streams":
                streams(numbers[1]);
                return "";
            case "close":
                for (InputStream stream : take(numbers[1])) {
                    stream.close();
                }
                return "";
            case "lose":
                take(numbers[1]);
                collect();
                return "";
            case "usefile":
                file.getInputStream(file.getEntry("entry")).close();
                return "";
            case "closefile":
                file.close();
                return "";
            case "zipfs":
                zipfs(numbers[1]);
                return "";
            case "closezipfs":
                archive.close();
                return "";
            case "window":
                window(numbers[1], numbers[2]);
                return "";
            case "release":
                end(windowInflaters, windowDeflaters);
                return "";
            case "churn":
                churn(numbers[1], Sort.TIDY);
                return "";
            case "virtual":
                churn(numbers[1], Sort.VIRTUAL);
                return "";
            case "press":
                press(numbers[1]);
                return "";
            case "calm":
                stop();
                collect();
                return "";
            case "forget":
                inflaters.subList(0, numbers[1]).clear();
                deflaters.subList(0, numbers[1]).clear();
                return "";
            case "full":
                fill();
                return "";
            case "leak":
                churn(numbers[1], Sort.FORGETFUL);
                return "";
            case "collections":
                return ": " + collections();
            case "closed":
                return ": " + closed();
            case "hooked":
                return hooked(numbers[1]) ? ": yes" : ": no";
            case "exit":
                System.exit(numbers[1]);
                return "";
            default:
                throw new IllegalArgumentException(what);
        }
    }

    /**
     * As many of each kind: plain ones, subclasses, and both made by another class loader's code.
     */
    private static void open(int count) throws Exception {
        for (int i = 0; i < count; i += 4) {
            Object[] made = (Object[]) foreign.call();
            inflaters.addAll(
                Arrays.asList(new Inflater(), new OwnInflater(), (Inflater) made[0], (Inflater) made[1]));
            deflaters.addAll(
                Arrays.asList(new Deflater(), new OwnDeflater(), (Deflater) made[2], (Deflater) made[3]));
        }
    }

    /** Streams of an entry, and one that is closed again. */
    private static void streams(int count) throws Exception {
        file = new ZipFile(Archive.of("entry"));
        for (int i = 0; i <= count; i++) {
            streams.add(file.getInputStream(file.getEntry("entry")));
        }
        streams.remove(0).close();
    }

    /** Streams of a zip file system. */
    private static void zipfs(int count) throws Exception {
        if (archive == null) {
            archive = FileSystems.newFileSystem(Archive.of("entry").toPath(), (ClassLoader) null);
        }
        for (int i = 0; i <= count; i++) {
            streams.add(Files.newInputStream(archive.getPath("entry")));
        }
        streams.remove(0).close();
    }

    private static List<InputStream> take(int count) {
        List<InputStream> first = streams.subList(0, count);
        List<InputStream> taken = new ArrayList<InputStream>(first);
        first.clear();
        return taken;
    }

    private static void endedOnes(int count) throws Exception {
        for (int i = 0; i < count; i += 4) {
            Object[] made = (Object[]) foreign.call();
            List<Inflater> some = new ArrayList<Inflater>(
                Arrays.asList(new Inflater(), new OwnInflater(), (Inflater) made[0], (Inflater) made[1]));
            List<Deflater> others = new ArrayList<Deflater>(
                Arrays.asList(new Deflater(), new OwnDeflater(), (Deflater) made[2], (Deflater) made[3]));
            ended.addAll(some);
            ended.addAll(others);
            end(some, others);
        }
    }

    private static void garbage(int count) {
        for (int i = 0; i < count; i++) {
            new Inflater().end();
        }
    }

    private static void window(int count, int endedOfThem) {
        List<Inflater> some = new ArrayList<Inflater>();
        List<Deflater> others = new ArrayList<Deflater>();
        for (int i = 0; i < count; i++) {
            some.add(new Inflater());
            others.add(new Deflater(1));
        }
        end(some.subList(0, endedOfThem), others.subList(0, endedOfThem));
        windowInflaters.addAll(some);
        windowDeflaters.addAll(others);
    }

    private static void end(List<Inflater> some, List<Deflater> others) {
        for (Inflater inflater : some) {
            inflater.end();
        }
        for (Deflater deflater : others) {
            deflater.end();
        }
        some.clear();
        others.clear();
    }

    /**
     * Starts more threads, which make and end, and end what others made, until {@code calm} is set.
     */
    private static void churn(int threads, final Sort sort) throws Exception {
        final AtomicReference<Inflater> exchange = new AtomicReference<Inflater>();
        Runnable churner = new Runnable() {
            @Override
            public void run() {
                try {
                    while (!calm) {
                        lives(exchange);
                        if (sort == Sort.FORGETFUL) {
                            new Inflater();
                            new OwnDeflater();
                        }
                        // On JDK 8 each of them passes the finalizer, which must be able to keep
                        // up.
                        LockSupport.parkNanos(300_000);
                    }
                    Inflater last = exchange.getAndSet(null);
                    if (last != null) {
                        last.end();
                    }
                } finally {
                    busy.decrementAndGet();
                }
            }
        };
        for (int i = 0; i < threads; i++) {
            busy.incrementAndGet();
            if (sort == Sort.VIRTUAL) {
                Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, churner);
            } else {
                new Thread(churner, "churner").start();
            }
        }
    }

    private static void lives(AtomicReference<Inflater> exchange) {
        for (int i = 0; i < 8; i++) {
            new Inflater().end();
            new OwnInflater().end();
            new Deflater(1).end();
            Inflater another = exchange.getAndSet(new Inflater());
            if (another != null) {
                another.end();
            }
        }
    }

    /** Keeps the Java heap full until there is another line. Says {@code full} when it is. */
    private static void fill() throws Exception {
        byte[] full = {'f', 'u', 'l', 'l', '\n'};
        FileOutputStream out = new FileOutputStream(FileDescriptor.out);
        out.write(full, 0, 0);
        Object[] chain = null;
        int length = 1 << 16;
        boolean more = true;
        while (more) {
            try {
                more = System.in.available() == 0;
                Object[] next = new Object[length];
                next[0] = chain;
                chain = next;
            } catch (OutOfMemoryError expected) {
                if (length > 1) {
                    length >>= 2;
                    if (length == 1) {
                        out.write(full);
                    }
                }
            }
        }
    }

    /** More threads that keep the GC busy. */
    private static void press(int threads) {
        for (int i = 0; i < threads; i++) {
            busy.incrementAndGet();
            new Thread("presser") {
                @Override
                public void run() {
                    byte[][] kept = new byte[256][];
                    for (int n = 0; !calm; n++) {
                        kept[n % kept.length] = new byte[50_000 + n % 100_000];
                    }
                    busy.decrementAndGet();
                }
            }.start();
        }
    }

    private static void stop() throws Exception {
        calm = true;
        while (busy.get() > 0) {
            Thread.sleep(1);
        }
        calm = false;
    }

    /** How many there were. */
    private static long collections() {
        long collections = 0;
        for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans()) {
            collections += collector.getCollectionCount();
        }
        return collections;
    }

    /** The message of an Inflater that is used after its end. */
    private static String closed() {
        Inflater inflater = new Inflater();
        inflater.end();
        try {
            inflater.getTotalIn();
            return "nothing";
        } catch (RuntimeException said) {
            return said.getMessage();
        }
    }

    /**
     * Whether one of {@code looks} looks at all threads finds one inside a hook. Needs churners.
     */
    private static boolean hooked(int looks) {
        for (int i = 0; i < looks; i++) {
            for (StackTraceElement[] stack : Thread.getAllStackTraces().values()) {
                for (StackTraceElement frame : stack) {
                    if (frame.getClassName().startsWith("zaudit.")) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    @SuppressWarnings({"deprecation", "removal"}) // JDK 8 finalizes streams
    private static void collect() {
        for (int i = 0; i < 2; i++) {
            System.gc();
            System.runFinalization();
        }
    }
}
