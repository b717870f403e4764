// Stacks of random depth through recursion, interfaces, lambdas, reflection, static initialisers
// and classes that are unloaded again, with code that is compiled and deoptimised meanwhile. The
// argument says how many instances each of two threads makes.
// expect: inflater created 2_000, ended 2_000

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.zip.Inflater;

public class RandomStacks {
    /** One more frame, or several. */
    public interface Step {
        int go(Walker walker, int levels);
    }

    /**
     * Loaded again and again, each time by another loader; a new class makes compiled calls of Step
     * wrong.
     */
    public static class Unloaded implements Step {
        @Override
        public int go(Walker walker, int levels) {
            return levels % 3 == 0 ? walker.next(levels) : walker.next(levels - 1) + 1;
        }
    }

    /** Its initialiser goes on. */
    public static class Initialised {
        static int result;

        static {
            Walker walker = Walker.CURRENT.get();
            result = walker.next(walker.levels);
        }
    }

    static class Loader extends ClassLoader {
        Loader() {
            super(RandomStacks.class.getClassLoader());
        }

        Class<?> again(String name) throws Exception {
            try (InputStream in = RandomStacks.class.getResourceAsStream(name + ".class")) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                byte[] buffer = new byte[4096];
                for (int read = in.read(buffer); read > 0; read = in.read(buffer)) {
                    bytes.write(buffer, 0, read);
                }
                return defineClass(name, bytes.toByteArray(), 0, bytes.size());
            }
        }
    }

    public static final class Walker implements Runnable {
        public static final ThreadLocal<Walker> CURRENT = new ThreadLocal<>();
        private final Random random;
        private final int number;
        private final Method method;
        private Step loaded = (walker, levels) -> walker.next(levels);
        private Loader loader = new Loader();
        public int levels;
        private int made;

        Walker(int seed, int number) throws Exception {
            random = new Random(seed);
            this.number = number;
            method = Walker.class.getMethod("next", int.class);
        }

        @Override
        public void run() {
            CURRENT.set(this);
            try {
                while (made < number) {
                    if (made % 250 == 0) {
                        loader = new Loader();
                        loaded = (Step) loader.again("RandomStacks$Unloaded").getConstructor().newInstance();
                    }
                    next(random.nextInt(random.nextInt(20) == 0 ? 120 : 12));
                }
            } catch (Exception failed) {
                throw new AssertionError(failed);
            }
        }

        public int next(int levels) {
            if (levels <= 0) {
                return make();
            }
            switch (random.nextInt(12)) {
                case 0: return one(levels);
                case 1: return two(levels, 1L, 2.0);
                case 2: return loaded.go(this, levels - 1);
                case 3: return reflected(levels);
                case 4: return AccessController.doPrivileged((PrivilegedAction<Integer>) () -> next(levels - 1));
                case 5: return called(() -> next(levels - 1));
                case 6: return levels > 8 ? initialised(levels) : one(levels);
                case 7: return locked(levels);
                case 8: return caught(levels);
                default: return plain(levels);
            }
        }

        private int plain(int levels) {
            return next(levels - 1) + 1;
        }

        private int one(int levels) {
            return levels > 1 ? two(levels - 1, 3L, levels) : next(0);
        }

        private int two(int levels, long more, double still) {
            int result = levels > 1 ? one(levels - 1) : next(0);
            return result + (int) (more + still);
        }

        private int reflected(int levels) {
            try {
                return (Integer) method.invoke(this, levels - 1);
            } catch (ReflectiveOperationException failed) {
                throw new AssertionError(failed);
            }
        }

        private int called(Callable<Integer> callable) {
            try {
                return callable.call();
            } catch (Exception failed) {
                throw new AssertionError(failed);
            }
        }

        private int initialised(int levels) {
            try {
                this.levels = levels - 2;
                Class.forName("RandomStacks$Initialised", true, new Loader() {
                    @Override
                    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
                        if (!name.equals("RandomStacks$Initialised")) {
                            return super.loadClass(name, resolve);
                        }
                        try {
                            return again(name);
                        } catch (Exception failed) {
                            throw new ClassNotFoundException(name, failed);
                        }
                    }
                });
                return 1;
            } catch (ReflectiveOperationException failed) {
                throw new AssertionError(failed);
            }
        }

        private synchronized int locked(int levels) {
            return next(levels - 2);
        }

        private int caught(int levels) {
            try {
                int result = next(levels - 1);
                // Rarely taken, so that compiled code does not have it at first.
                if (made % 300 == 299) {
                    throw new IllegalStateException();
                }
                return result;
            } catch (IllegalStateException rare) {
                return -1;
            }
        }

        private int make() {
            if (made == number) {
                return 0;
            }
            made++;
            int result = 0;
            // The same stack more than once, as programs have it.
            new Inflater(true).end();
            for (int i = 0; i < 4 && made < number; i++) {
                made++;
                new Inflater(true).end();
                result += i;
            }
            return result;
        }
    }

    public static void main(String[] args) throws Exception {
        int number = args.length > 0 ? Integer.parseInt(args[0]) : 1_000;
        Thread[] threads = new Thread[2];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(null, new Walker(42 + i, number), "walker " + i, 16L << 20);
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("ended");
    }
}
