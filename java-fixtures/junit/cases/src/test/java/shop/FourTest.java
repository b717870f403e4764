package shop;

import static org.junit.Assert.assertEquals;

import java.util.zip.Deflater;

import org.junit.Rule;
import org.junit.Test;
import zaudit.junit.NoZlibLeaksRule;

/** JUnit 4. */
public class FourTest {
    @Rule public final NoZlibLeaksRule rule = new NoZlibLeaksRule();

    @Test
    public void leaks() {
        new Deflater();
    }

    @Test
    public void ends() {
        new Deflater().end();
        assertEquals(4, 2 + 2);
    }
}
