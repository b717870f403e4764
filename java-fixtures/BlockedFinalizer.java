// The finalizer waits for a lock that main never releases: after a forced GC, the Finalizer thread
// hangs, and no other object is finalized.
// expect: inflater created 20, live 20
// options: gc_timeout=300ms

import java.util.zip.Inflater;

public class BlockedFinalizer {
    private static final Object LOCK = new Object();

    private final Inflater inflater = new Inflater();

    @Override
    @SuppressWarnings({"deprecation", "removal"})
    protected void finalize() {
        synchronized (LOCK) {
            inflater.end();
        }
    }

    public static void main(String[] args) {
        for (int i = 0; i < 20; i++) {
            System.out.println(forget());
        }
        synchronized (LOCK) {
            System.exit(0);
        }
    }

    private static boolean forget() {
        return new BlockedFinalizer().inflater.needsInput();
    }
}
