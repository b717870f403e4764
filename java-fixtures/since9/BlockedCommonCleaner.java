// An action of the JDK's own Cleaner waits for ever, so that no forgotten instance is freed.
// expect: inflater created 20, live 20
// options: gc_timeout=300ms
// java: --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED

import java.lang.ref.Cleaner;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Inflater;

public class BlockedCommonCleaner {
    private static final CountDownLatch BEGUN = new CountDownLatch(1);
    private static final CountDownLatch NEVER = new CountDownLatch(1);

    public static void main(String[] args) throws Exception {
        Class<?> factory = Class.forName("jdk.internal.ref.CleanerFactory");
        Cleaner cleaner = (Cleaner) factory.getMethod("cleaner").invoke(null);
        if (!Boolean.parseBoolean(System.getProperty("fixture.collects", "true"))) {
            forgetAll();
            System.out.println("forgotten");
            return;
        }
        cleaner.register(new Object(), BlockedCommonCleaner::block);
        while (BEGUN.getCount() > 0) {
            System.gc();
            Thread.sleep(10);
        }
        forgetAll();
        System.out.println("forgotten");
    }

    private static void block() {
        BEGUN.countDown();
        try {
            NEVER.await();
        } catch (InterruptedException never) {
            throw new AssertionError(never);
        }
    }

    private static void forgetAll() {
        for (int i = 0; i < 20; i++) {
            new Inflater().needsInput();
        }
    }
}
