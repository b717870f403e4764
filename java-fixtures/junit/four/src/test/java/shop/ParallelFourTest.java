package shop;

import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.zip.Deflater;

import org.junit.ClassRule;
import org.junit.Rule;
import org.junit.Test;
import zaudit.junit.NoZlibLeaksRule;

/** Surefire runs both tests at a time: each waits for the other, before and after. */
public class ParallelFourTest {
    @ClassRule public static final NoZlibLeaksRule CLASS_RULE = new NoZlibLeaksRule();

    private static final CyclicBarrier BOTH = new CyclicBarrier(2);

    @Rule public final NoZlibLeaksRule rule = new NoZlibLeaksRule();

    @Test
    public void leaks() throws Exception {
        BOTH.await(60, TimeUnit.SECONDS);
        Thread thread = new Thread(() -> new Deflater());
        thread.start();
        thread.join();
        BOTH.await(60, TimeUnit.SECONDS);
    }

    @Test
    public void ends() throws Exception {
        BOTH.await(60, TimeUnit.SECONDS);
        Deflater deflater = new Deflater();
        BOTH.await(60, TimeUnit.SECONDS);
        deflater.end();
    }
}
