package shop;

import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class PackerTest {
    @Test
    public void packs() {
        assertTrue(Packer.pack(new byte[1000]).length < 100);
    }
}
