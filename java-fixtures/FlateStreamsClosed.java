// The four inflating and deflating streams, closed: each ends the one that it made itself.
// expect: inflater created 2, ended 2; deflater created 2, ended 2

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.zip.DeflaterInputStream;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import java.util.zip.InflaterOutputStream;

public class FlateStreamsClosed {
    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        OutputStream deflating = new DeflaterOutputStream(packed);
        deflating.write(new byte[3000]);
        deflating.close();

        InputStream packing = new DeflaterInputStream(new ByteArrayInputStream(new byte[3000]));
        System.out.println("packed to " + drain(packing));
        packing.close();

        InputStream inflating = new InflaterInputStream(new ByteArrayInputStream(packed.toByteArray()));
        System.out.println("read " + drain(inflating));
        inflating.close();

        ByteArrayOutputStream plain = new ByteArrayOutputStream();
        OutputStream unpacking = new InflaterOutputStream(plain);
        unpacking.write(packed.toByteArray());
        unpacking.close();
        System.out.println("wrote " + plain.size());
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
