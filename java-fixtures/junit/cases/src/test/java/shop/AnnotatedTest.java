package shop;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import java.util.zip.Deflater;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import zaudit.junit.NoZlibLeaks;

/** Tests whose names begin with "leaks" leak. So does the class, by a thread of its pool. */
@NoZlibLeaks
class AnnotatedTest {
    private static Deflater fixture;
    private static ExecutorService pool;

    private Deflater field;

    @BeforeAll
    static void open() throws Exception {
        fixture = Library.open();
        pool = Executors.newFixedThreadPool(1);
        pool.submit(() -> {}).get();
    }

    @AfterAll
    static void close() {
        fixture.end();
        pool.shutdown();
    }

    @BeforeEach
    void before() {
        field = Library.open();
    }

    @AfterEach
    void after() {
        field.end();
    }

    @Test
    void ends() {
        Library.open().end();
    }

    @Test
    void leaks() {
        Library.leak();
    }

    @Test
    void leaksWhatTheCollectorFrees() throws Exception {
        for (int i = 0; i < 5; i++) {
            Library.leak();
        }
        for (int i = 0; i < 3; i++) {
            System.gc();
            Thread.sleep(50);
        }
    }

    @Test
    void leaksAndFails() {
        Library.leak();
        fail("for another reason");
    }

    @Test
    void leaksAndIsAborted() {
        Library.leak();
        Assumptions.assumeTrue(false);
    }

    @Test
    void leaksOnAnExecutor() throws Exception {
        ExecutorService own = Executors.newSingleThreadExecutor();
        own.submit(() -> Library.leak()).get();
        own.shutdown();
    }

    @Test
    void leaksOnAnOldThread() throws Exception {
        pool.submit(() -> Library.leak()).get();
    }

    @Test
    void leaksOnAThreadWithoutItsFrames() throws Exception {
        Thread thread = new Thread(Library.leaking());
        thread.start();
        thread.join();
    }

    @Test
    void leaksOnAVirtualThread() throws Exception {
        ExecutorService own;
        try {
            own = (ExecutorService)
                    Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (NoSuchMethodException e) {
            own = Executors.newSingleThreadExecutor();
        }
        own.submit(() -> Library.leak()).get();
        own.submit(Library.leaking()).get();
        own.shutdown();
    }

    @Test
    void leaksWhileItsTimeIsLimited() {
        assertTimeoutPreemptively(Duration.ofSeconds(60), () -> Library.leak());
    }

    @Test
    void waitsForAnotherThread() throws Exception {
        CountDownLatch made = new CountDownLatch(1);
        new Thread(
                        () -> {
                            Deflater deflater = Library.open();
                            made.countDown();
                            try {
                                Thread.sleep(20);
                            } catch (InterruptedException e) {
                                throw new IllegalStateException(e);
                            }
                            deflater.end();
                        })
                .start();
        made.await();
    }

    /** The class leaks by this one: nothing tells whose the pool's work is. */
    @Test
    void letsThePoolWork() throws Exception {
        pool.submit(Library.leaking()).get();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void leaksTheSecond(int number) {
        if (number == 2) {
            Library.leak();
        }
    }

    @RepeatedTest(2)
    void leaksRepeatedly() {
        Library.leak();
    }

    @TestFactory
    Stream<DynamicTest> leaksTheThird() {
        return Stream.of(1, 2, 3)
                .map(number -> DynamicTest.dynamicTest("number " + number, () -> {
                    if (number == 3) {
                        Library.leak();
                    }
                }));
    }

    @TestFactory
    List<DynamicTest> leaksInTheFactory() {
        Library.leak();
        return Arrays.asList(DynamicTest.dynamicTest("ends", () -> Library.open().end()));
    }

    @Nested
    class Inner {
        @Test
        void leaks() {
            Library.leak();
        }

        @Test
        void ends() {
            Library.open().end();
        }
    }
}
