// The four inflating and deflating streams, used and never closed.
// expect: inflater created 2, collected 2; deflater created 2, collected 2
// expect on 8: inflater created 2, late 2; deflater created 2, late 2

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.zip.DeflaterInputStream;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import java.util.zip.InflaterOutputStream;

public class FlateStreamsForgotten {
    public static void main(String[] args) throws Exception {
        byte[] packed = deflate();
        System.out.println("packed to " + pack());
        System.out.println("read " + inflate(packed));
        System.out.println("wrote " + unpack(packed));
    }

    private static byte[] deflate() throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        DeflaterOutputStream out = new DeflaterOutputStream(packed);
        out.write(new byte[3000]);
        out.finish();
        return packed.toByteArray();
    }

    private static int pack() throws Exception {
        return drain(new DeflaterInputStream(new ByteArrayInputStream(new byte[3000])));
    }

    private static int inflate(byte[] packed) throws Exception {
        return drain(new InflaterInputStream(new ByteArrayInputStream(packed)));
    }

    private static int unpack(byte[] packed) throws Exception {
        ByteArrayOutputStream plain = new ByteArrayOutputStream();
        OutputStream out = new InflaterOutputStream(plain);
        out.write(packed);
        return plain.size();
    }

    private static int drain(InputStream in) throws Exception {
        byte[] buffer = new byte[512];
        int size = 0;
        for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
            size += count;
        }
        return size;
    }
}
