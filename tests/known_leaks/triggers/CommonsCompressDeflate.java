import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

import org.apache.commons.compress.compressors.deflate.DeflateCompressorInputStream;
import org.apache.commons.compress.compressors.deflate.DeflateCompressorOutputStream;

/** A call writes a deflated stream and reads it back; both streams are closed. */
public final class CommonsCompressDeflate {
    private CommonsCompressDeflate() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteArrayOutputStream written = new ByteArrayOutputStream();
            try (OutputStream deflated = new DeflateCompressorOutputStream(written)) {
                deflated.write(42);
            }
            try (InputStream inflated = new DeflateCompressorInputStream(
                    new ByteArrayInputStream(written.toByteArray()))) {
                if (inflated.read() != 42 || inflated.read() != -1) {
                    throw new IllegalStateException("came back changed");
                }
            }
        }
    }
}
