package shop;

import java.util.zip.Deflater;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import zaudit.junit.NoZlibLeaks;

/** Leaks what belongs to none of its tests. */
@NoZlibLeaks
class FixtureTest {
    @BeforeAll
    static void open() {
        new Deflater();
    }

    @Test
    void ends() {}
}
