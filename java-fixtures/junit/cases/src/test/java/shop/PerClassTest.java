package shop;

import java.util.zip.Deflater;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import zaudit.junit.NoZlibLeaks;

/** What a constructor makes belongs to the class that it is called for. */
@NoZlibLeaks
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PerClassTest {
    private final Deflater field = new Deflater();

    @Test
    void ends() {}

    @Test
    void endsToo() {}

    @AfterAll
    void close() {
        field.end();
    }
}
