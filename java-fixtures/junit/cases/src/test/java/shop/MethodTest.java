package shop;

import java.util.zip.Deflater;

import org.junit.jupiter.api.Test;
import zaudit.junit.NoZlibLeaks;

/** Only two of its tests are checked. */
class MethodTest {
    @Test
    @NoZlibLeaks
    void leaks() {
        new Deflater();
    }

    @Test
    @NoZlibLeaks
    void ends() {
        new Deflater().end();
    }

    @Test
    void isNotChecked() {
        new Deflater();
    }
}
