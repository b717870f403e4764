package shop;

import java.util.zip.Deflater;

import org.junit.jupiter.api.Test;
import zaudit.junit.NoZlibLeaks;

/** What a constructor makes belongs to the test that it is called for. */
@NoZlibLeaks
class FieldTest {
    private final Deflater field = new Deflater();

    @Test
    void leaks() {}

    @Test
    void ends() {
        field.end();
    }
}
