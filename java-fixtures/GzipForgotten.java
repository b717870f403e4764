// GZIP streams that are never closed: finish() and reading to the end are not enough.
// expect: inflater created 3, collected 3; deflater created 3, collected 3
// expect on 8: inflater created 3, late 3; deflater created 3, late 3
// frame: java.util.zip.GZIPInputStream.<init>
// frame: java.util.zip.GZIPOutputStream.<init>

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

public class GzipForgotten {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 3; i++) {
            System.out.println(unpack(pack()));
        }
    }

    private static byte[] pack() throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        GZIPOutputStream out = new GZIPOutputStream(packed);
        out.write(new byte[5000]);
        out.finish();
        return packed.toByteArray();
    }

    private static int unpack(byte[] packed) throws Exception {
        GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed));
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        return size;
    }
}
