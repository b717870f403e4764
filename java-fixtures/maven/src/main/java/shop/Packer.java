package shop;

import java.util.Arrays;
import java.util.zip.Deflater;

/** Packs orders, and forgets to end its Deflater: the build should find that. */
public final class Packer {
    private Packer() {}

    public static byte[] pack(byte[] order) {
        Deflater deflater = new Deflater();
        deflater.setInput(order);
        deflater.finish();
        byte[] packed = new byte[order.length + 64];
        int length = deflater.deflate(packed);
        return Arrays.copyOf(packed, length);
    }
}
