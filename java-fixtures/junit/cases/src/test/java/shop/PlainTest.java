package shop;

import java.util.zip.Deflater;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Has no annotation: what happens depends on zaudit.junit.mode. */
class PlainTest {
    @BeforeAll
    static void open() {
        new Deflater();
    }

    @Test
    void leaks() {
        new Deflater();
    }

    @Test
    void ends() {
        new Deflater().end();
    }
}
