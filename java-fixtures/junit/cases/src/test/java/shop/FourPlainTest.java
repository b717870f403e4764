package shop;

import java.util.zip.Deflater;

import org.junit.Test;

/** JUnit 4 without a rule: no extension can fail it. */
public class FourPlainTest {
    @Test
    public void leaks() {
        new Deflater();
    }
}
