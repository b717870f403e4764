// Ended deep in the stack: by Cleaners, which is late, and by threads of the program, which is not.
// One thread for each.
// expect: inflater created 10, ended 5, late 5
// expect on Epsilon: inflater created 10, ended 5, live 5

import java.lang.ref.Cleaner;
import java.util.zip.Inflater;

public class EndedDeep {
    /**
     * More than fit into one request to the JVM, a usual stack trace, and the agent's own buffer.
     */
    private static final int[] DEPTHS = {100, 300, 1_100, 2_100, 5_000};

    private static final Cleaner[] CLEANERS = new Cleaner[DEPTHS.length];

    static final class End implements Runnable {
        private final Inflater inflater;
        private final int depth;

        End(Inflater inflater, int depth) {
            this.inflater = inflater;
            this.depth = depth;
        }

        @Override
        public void run() {
            down(depth);
        }

        private void down(int levels) {
            if (levels > 0) {
                down(levels - 1);
            } else {
                inflater.end();
            }
        }
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < DEPTHS.length; i++) {
            CLEANERS[i] = Cleaner.create(task -> {
                Thread thread = new Thread(null, task, "tidy", 8 << 20);
                thread.setDaemon(true);
                return thread;
            });
            forget(CLEANERS[i], DEPTHS[i]);
            Thread program = new Thread(null, new End(new Inflater(), DEPTHS[i]), "program", 8 << 20);
            program.start();
            program.join();
        }
        System.out.println("forgotten");
    }

    private static void forget(Cleaner cleaner, int depth) {
        cleaner.register(new Object(), new End(new Inflater(), depth));
    }
}
