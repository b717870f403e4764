import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/**
 * A program that ends in the way that its first argument names, as soon as a line arrives on
 * standard input. Its second argument is how many allocation sites it has, as a power of two, and
 * its third one how many threads create and end meanwhile.
 */
public class Ends {
    static final List<Inflater> KEPT = new ArrayList<Inflater>();
    static List<byte[]> filled = new ArrayList<byte[]>();

    public static void main(final String[] args) throws Exception {
        String way = args[0];
        int height = Integer.parseInt(args[1]);
        for (int turns = 0; turns < 1 << height; turns++) {
            create(turns, height);
        }
        new Deflater().deflate(new byte[16]);
        int threads = Integer.parseInt(args[2]);
        CountDownLatch busy = new CountDownLatch(threads);
        for (int i = 0; i < threads; i++) {
            daemon(creating(busy)).start();
        }
        busy.await();
        Runtime.getRuntime().addShutdownHook(new Thread("hook") {
            @Override
            public void run() {
                for (int i = 0; i < 20; i++) {
                    new Inflater().end();
                }
                if (args[0].equals("halt-in-hook")) {
                    Runtime.getRuntime().halt(9);
                }
            }
        });
        System.out.println("ready");
        System.out.flush();
        // Ways from outside of the process have no such line.
        System.in.read();
        end(way);
    }

    /** Each way through these calls of two lines is a stack of its own. */
    private static void create(int turns, int left) {
        if (left == 0) {
            KEPT.add(new Inflater());
            new Inflater(true).needsInput();
        } else if ((turns & 1) == 0) {
            create(turns >> 1, left - 1);
        } else {
            create(turns >> 1, left - 1);
        }
    }

    private static Runnable creating(final CountDownLatch busy) {
        return new Runnable() {
            @Override
            public void run() {
                for (int made = 0; ; made++) {
                    Inflater inflater = new Inflater();
                    if (made % 50 != 0) {
                        inflater.end();
                    }
                    // JDK 8 to 11 pass each of them to the finalizer, which must keep up.
                    LockSupport.parkNanos(50_000);
                    if (made == 20) {
                        busy.countDown();
                    }
                }
            }
        };
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private static Runnable exiting() {
        return new Runnable() {
            @Override
            public void run() {
                System.exit(7);
            }
        };
    }

    private static void end(String way) throws Exception {
        switch (way) {
            case "return":
                return;
            case "exit":
            case "halt-in-hook":
                System.exit(7);
                break;
            case "halt":
                Runtime.getRuntime().halt(8);
                break;
            case "uncaught":
                throw new IllegalStateException("uncaught");
            case "overflow":
                deeper(0);
                break;
            case "last-thread":
                new Thread("last") {
                    @Override
                    public void run() {
                        for (int i = 0; i < 200; i++) {
                            new Inflater().end();
                        }
                    }
                }.start();
                break;
            case "exit-by-four":
                for (int i = 0; i < 4; i++) {
                    new Thread(exiting()).start();
                }
                System.exit(7);
                break;
            case "exit-in-constructor":
                new Exiting();
                break;
            case "exit-in-finalizer":
                forget();
                while (true) {
                    System.gc();
                    Thread.sleep(20);
                }
            case "exit-in-virtual-thread":
                Thread.class.getMethod("startVirtualThread", Runnable.class)
                        .invoke(null, exiting());
                Thread.sleep(60_000);
                break;
            case "out-of-memory":
                while (true) {
                    filled.add(new byte[1 << 20]);
                }
            default:
                throw new IllegalArgumentException(way);
        }
    }

    private static int deeper(int depth) {
        if (depth % 100 == 0) {
            new Inflater().end();
        }
        return deeper(depth + 1) + 1;
    }

    private static void forget() {
        new ExitsWhenCollected().toString();
    }

    /** Ends the JVM between the constructors of Inflater and its own. */
    static final class Exiting extends Inflater {
        Exiting() {
            System.exit(7);
        }
    }

    static final class ExitsWhenCollected {
        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            System.exit(7);
        }
    }
}
