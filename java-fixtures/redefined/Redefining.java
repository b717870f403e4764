// Agent and program in one: it redefines Made, and makes Inflaters by it before, meanwhile and
// afterwards. The folder `versions` (a property) has its versions. What it does is its argument.
// Loaded by -javaagent it sees a new version before the agent under test does, and after that if
// the launcher loads it (Launcher-Agent-Class, JDK 9).

import java.io.File;
import java.lang.instrument.ClassDefinition;
import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.nio.file.Files;
import java.security.ProtectionDomain;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.AtomicLong;

public class Redefining {
    private static Instrumentation instrumentation;
    /** Runs while a new version is on its way. */
    private static volatile Runnable meanwhile;

    public static void premain(String arguments, Instrumentation given) {
        instrumentation = given;
    }

    public static void agentmain(String arguments, Instrumentation given) {
        instrumentation = given;
    }

    public static void main(String[] args) throws Exception {
        instrumentation.addTransformer(new ClassFileTransformer() {
            @Override
            public byte[] transform(
                    ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain,
                    byte[] bytes) {
                Runnable now = meanwhile;
                if (now != null && redefined == Made.class) {
                    now.run();
                }
                return null;
            }
        }, true);
        byte[] first = read("first");
        byte[] moved = read("moved");
        switch (args[0]) {
            case "window": window(moved); break;
            case "failing": failing(moved); break;
            case "staying": staying(moved); break;
            case "flipping": flipping(first, moved); break;
            case "hooked": hooked(); break;
            default: throw new IllegalArgumentException(args[0]);
        }
        System.out.println("done");
    }

    /** Makes the requested number, always on the same stack: only the version of Made differs. */
    private static final class Maker extends Thread {
        private final SynchronousQueue<Integer> wanted = new SynchronousQueue<>();
        private final SynchronousQueue<Integer> made = new SynchronousQueue<>();

        Maker() {
            setDaemon(true);
            start();
        }

        @Override
        public void run() {
            try {
                while (true) {
                    int count = wanted.take();
                    Redefining.make(count);
                    made.put(count);
                }
            } catch (InterruptedException failed) {
                throw new IllegalStateException(failed);
            }
        }

        void make(int count) {
            try {
                wanted.put(count);
                made.take();
            } catch (InterruptedException failed) {
                throw new IllegalStateException(failed);
            }
        }
    }

    /**
     * 3 before, 4 on each of two threads while the new version is on its way, 5 and 7 afterwards.
     */
    private static void window(byte[] moved) throws Exception {
        final Maker one = new Maker();
        final Maker other = new Maker();
        one.make(3);
        meanwhile = () -> {
            one.make(4);
            other.make(4);
        };
        redefine(moved);
        one.make(5);
        other.make(7);
    }

    /**
     * 3 before, 2 while a version is on its way that is refused, 4 after that, 5 after one that is
     * not.
     */
    private static void failing(byte[] moved) throws Exception {
        final Maker maker = new Maker();
        maker.make(3);
        meanwhile = () -> maker.make(2);
        try {
            redefine(read("grown"));
            throw new IllegalStateException("one more method was accepted");
        } catch (UnsupportedOperationException expected) {
            maker.make(4);
        }
        meanwhile = null;
        redefine(moved);
        maker.make(5);
    }

    /** One call that goes on in its old version, and one of the new version. */
    private static void staying(byte[] moved) throws Exception {
        Runnable[] meanwhile = {
            () -> {
                try {
                    redefine(moved);
                } catch (Exception failed) {
                    throw new IllegalStateException(failed);
                }
            },
            () -> {},
        };
        for (Runnable now : meanwhile) {
            Made.stay(now);
        }
    }

    /** Even: a version is in place. Odd: another one is on its way. */
    private static volatile int phase;

    /** Four threads make Inflaters all the time while the versions take turns. */
    private static void flipping(byte[] first, byte[] moved) throws Exception {
        final int rounds = 30;
        final AtomicLong[] sure = {new AtomicLong(), new AtomicLong()};
        final AtomicLong either = new AtomicLong();
        Thread[] threads = new Thread[4];
        final AtomicLong[] made = new AtomicLong[threads.length];
        for (int i = 0; i < threads.length; i++) {
            final AtomicLong mine = made[i] = new AtomicLong();
            threads[i] = new Thread(() -> {
                for (int seen = phase; seen < 2 * rounds; seen = phase) {
                    make(1);
                    (seen % 2 == 0 && phase == seen ? sure[seen / 2 % 2] : either).incrementAndGet();
                    mine.incrementAndGet();
                }
            });
            threads[i].start();
        }
        for (int round = 1; round <= rounds; round++) {
            for (AtomicLong one : made) {
                long enough = one.get() + 20;
                while (one.get() < enough) {
                    Thread.yield();
                }
            }
            phase++;
            redefine(round % 2 == 0 ? first : moved);
            phase++;
        }
        for (Thread thread : threads) {
            join(thread);
        }
        System.out.println("sure " + sure[0] + " " + sure[1] + " either " + either);
    }

    /** 3 before the JDK's own class is retransformed, 4 afterwards. */
    private static void hooked() throws Exception {
        make(3);
        instrumentation.retransformClasses(java.util.zip.Inflater.class);
        make(4);
    }

    private static void make(int count) {
        for (int i = 0; i < count; i++) {
            Made.make().end();
        }
    }

    private static void redefine(byte[] bytes) throws Exception {
        instrumentation.redefineClasses(new ClassDefinition(Made.class, bytes));
    }

    private static byte[] read(String version) throws Exception {
        return Files.readAllBytes(new File(System.getProperty("versions"), version + "/Made.class").toPath());
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException failed) {
            throw new IllegalStateException(failed);
        }
    }
}
