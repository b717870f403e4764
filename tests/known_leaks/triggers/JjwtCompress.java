import io.jsonwebtoken.CompressionCodec;
import io.jsonwebtoken.impl.compression.DeflateCompressionCodec;

import java.util.Arrays;

/** A call compresses the payload of one token and decompresses it. */
public final class JjwtCompress {
    private JjwtCompress() {}

    public static void main(String[] arguments) {
        CompressionCodec codec = new DeflateCompressionCodec();
        byte[] payload = new byte[1000];
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!Arrays.equals(codec.decompress(codec.compress(payload)), payload)) {
                throw new IllegalStateException("came back changed");
            }
        }
    }
}
