package shop;

import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.zip.Deflater;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import zaudit.junit.NoZlibLeaks;

/** Two tests at a time: each waits for the other, before and after. */
@NoZlibLeaks
@Execution(ExecutionMode.CONCURRENT)
class ParallelTest {
    private static final CyclicBarrier BOTH = new CyclicBarrier(2);
    private static final CyclicBarrier NUMBERS = new CyclicBarrier(2);

    private static void await(CyclicBarrier barrier) throws Exception {
        barrier.await(60, TimeUnit.SECONDS);
    }

    @Test
    void leaks() throws Exception {
        await(BOTH);
        Thread thread = new Thread(() -> Library.leak());
        thread.start();
        thread.join();
        await(BOTH);
    }

    @Test
    void ends() throws Exception {
        await(BOTH);
        Deflater deflater = Library.open();
        await(BOTH);
        deflater.end();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void leaksTheSecond(int number) throws Exception {
        await(NUMBERS);
        if (number == 2) {
            Library.leak();
        }
        await(NUMBERS);
    }
}
