// A GZIPInputStream that is read to its end and not closed.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

public class GzipInputNotClosed {
    private static byte[] packed;

    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(Steps.DATA);
        }
        packed = out.toByteArray();
        Steps.run(args, GzipInputNotClosed::once);
    }

    private static int once() throws IOException {
        GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed)); // the leak
        byte[] buffer = new byte[Steps.DATA.length];
        while (in.read(buffer) >= 0) {
            // only to read it
        }
        return 1;
    }
}
