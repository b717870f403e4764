// The finalizer of the owner ends it, but only because a GC happened.

import java.util.zip.Deflater;

public class OwnerFinalized {
    private final Deflater deflater = new Deflater(); // the leak

    @Override
    @SuppressWarnings({"deprecation", "removal"})
    protected void finalize() {
        deflater.end();
    }

    public static void main(String[] args) throws Exception {
        Steps.run(args, OwnerFinalized::once);
    }

    private static int once() {
        Steps.compress(new OwnerFinalized().deflater);
        return 1;
    }
}
