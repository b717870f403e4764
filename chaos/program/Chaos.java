import java.io.File;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * Lets antagonists loose at the same time, and counts what they create and end.
 *
 * <p>Arguments: seconds, seed, the file for the counts, and the names of antagonists. Prints one
 * line for each of them, and nothing else.
 */
final class Chaos {
    private static final MemoryMXBean MEMORY_BEAN = ManagementFactory.getMemoryMXBean();
    private static final int MAX_PENDING = 10_000;
    /** How often an antagonist has waited for a millisecond. */
    private static final AtomicLong WAITED = new AtomicLong();
    private static final Turns TURNS = new Turns();
    private static volatile boolean over;

    private Chaos() {}

    /** Whether antagonists go on. */
    static boolean goesOn() {
        return !over;
    }

    /**
     * JDK 8 has one finalizer thread. If antagonists did not wait for it, what it has not come to
     * yet would fill the heap. They poll: System.runFinalization() would add finalizer threads.
     */
    @SuppressWarnings("deprecation") // since JDK 25
    private static void waitForFinalizer() throws InterruptedException {
        while (goesOn() && MEMORY_BEAN.getObjectPendingFinalizationCount() > MAX_PENDING) {
            Thread.sleep(1);
            WAITED.incrementAndGet();
        }
    }

    public static void main(String[] arguments) throws Exception {
        long seconds = Long.parseLong(arguments[0]);
        long seed = Long.parseLong(arguments[1]);
        List<String> names = Arrays.asList(arguments).subList(3, arguments.length);
        List<Thread> threads = new ArrayList<Thread>();
        // A class whose initializer gets no stack or no memory can never be used again. The first
        // instance initializes the classes that it needs.
        Class.forName("java.util.zip.ZipFile");
        Book.end(Book.created(new Inflater()));
        Book.end(Book.created(new Deflater()));
        // The heap is not full before all have begun, and this thread needs nothing of it.
        TURNS.begin(false);
        for (final String name : names) {
            final Antagonist antagonist = Antagonist.valueOf(name);
            final Random random = new Random(seed + antagonist.ordinal());
            Thread thread = new Thread(null, null, name, 4 << 20) {
                @Override
                public void run() {
                    try {
                        do {
                            waitForFinalizer();
                            if (antagonist.isAlone()) {
                                Thread.sleep(500 + random.nextInt(2000));
                            }
                            TURNS.begin(antagonist.isAlone());
                            try {
                                antagonist.act(random);
                            } finally {
                                TURNS.end(antagonist.isAlone());
                            }
                            antagonist.acts++;
                        } while (goesOn());
                    } catch (Throwable failed) {
                        antagonist.failure = failed;
                    }
                }
            };
            threads.add(thread);
            thread.start();
        }
        Thread.sleep(1);
        Thread[] all = threads.toArray(new Thread[0]);
        all[0].join(1);
        TURNS.end(false);
        Thread.sleep(seconds * 1000);
        over = true;
        for (Thread thread : all) {
            thread.join();
        }
        boolean failed = false;
        for (String name : names) {
            Throwable failure = Antagonist.valueOf(name).failure;
            if (failure != null) {
                failed = true;
                System.err.print(name + " failed: ");
                failure.printStackTrace();
            }
        }
        Book.write(new File(arguments[2]));
        for (String name : names) {
            Antagonist antagonist = Antagonist.valueOf(name);
            System.out.println(name + (antagonist.acts > 0 ? " acted" : " did nothing"));
        }
        System.err.println("acts: " + acts(names) + ", waits for the finalizer: " + WAITED);
        System.exit(failed ? 1 : 7);
    }

    private static String acts(List<String> names) {
        StringBuilder text = new StringBuilder();
        for (String name : names) {
            text.append(name).append('=').append(Antagonist.valueOf(name).acts).append(' ');
        }
        return text.toString().trim();
    }
}
