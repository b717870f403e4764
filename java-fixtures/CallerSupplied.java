// The caller's own Inflater and Deflater in streams that are closed: a stream does not end what it
// did not create.
// expect: inflater created 3, collected 3; deflater created 3, collected 3
// expect on 8: inflater created 3, late 3; deflater created 3, late 3

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

public class CallerSupplied {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 3; i++) {
            System.out.println(unpack(pack()));
        }
    }

    private static byte[] pack() throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        OutputStream out = new DeflaterOutputStream(packed, new Deflater(9, true));
        out.write(new byte[2000]);
        out.close();
        return packed.toByteArray();
    }

    private static int unpack(byte[] packed) throws Exception {
        InputStream in = new InflaterInputStream(new ByteArrayInputStream(packed), new Inflater(true));
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        in.close();
        return size;
    }
}
