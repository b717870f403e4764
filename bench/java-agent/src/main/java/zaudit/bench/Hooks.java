package zaudit.bench;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.concurrent.ConcurrentHashMap;

/** What the changed constructors and {@code end()} call. */
public final class Hooks {
    private static final ConcurrentHashMap<Object, Life> LIVE = new ConcurrentHashMap<>();
    private static final ReferenceQueue<Object> COLLECTED = new ReferenceQueue<>();

    static {
        Thread thread = new Thread(Hooks::forget, "forget collected instances");
        thread.setDaemon(true);
        thread.start();
    }

    private Hooks() {}

    /** An instance was created; its constructor returns. */
    public static void created(Object instance) {
        Life life = new Life(instance, new Throwable());
        LIVE.put(life, life);
    }

    /** {@code end()} begins. */
    public static void ended(Object instance) {
        Life life = LIVE.remove(new Identity(instance));
        if (life != null) {
            life.clear();
        }
    }

    private static void forget() {
        while (true) {
            try {
                LIVE.remove(COLLECTED.remove());
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** An open instance with its allocation stack, as key and value. */
    private static final class Life extends PhantomReference<Object> {
        private final int hash;
        private final Throwable stack;

        Life(Object instance, Throwable stack) {
            super(instance, COLLECTED);
            this.hash = System.identityHashCode(instance);
            this.stack = stack;
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public String toString() {
            return "open since " + stack;
        }
    }

    /** The key with which an instance finds its {@link Life}. */
    private record Identity(Object instance) {
        @Override
        public int hashCode() {
            return System.identityHashCode(instance);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Life life && life.refersTo(instance);
        }
    }
}
