// A finalizer creates a Deflater, uses it and ends it: ended, not late, although it runs on the
// Finalizer thread.
// expect: deflater created 20, ended 20
// expect on Epsilon: nothing

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.zip.Deflater;

public class EndedInFinalizer {
    private static final CountDownLatch FINALIZED = new CountDownLatch(20);

    @Override
    @SuppressWarnings({"deprecation", "removal"})
    protected void finalize() {
        Deflater deflater = new Deflater();
        try {
            deflater.setInput(new byte[100]);
            deflater.finish();
            deflater.deflate(new byte[200]);
        } finally {
            deflater.end();
            FINALIZED.countDown();
        }
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 20; i++) {
            System.out.println(new EndedInFinalizer().getClass());
        }
        if (!Boolean.parseBoolean(System.getProperty("fixture.collects", "true"))) {
            return;
        }
        do {
            System.gc();
        } while (!FINALIZED.await(20, TimeUnit.MILLISECONDS));
    }
}
