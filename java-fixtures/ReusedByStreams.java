// One Deflater and one Inflater for many streams, reset in between, and ended once.
// expect: inflater created 1, ended 1; deflater created 1, ended 1

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

public class ReusedByStreams {
    public static void main(String[] args) throws Exception {
        Deflater deflater = new Deflater();
        Inflater inflater = new Inflater();
        for (int i = 0; i < 20; i++) {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            DeflaterOutputStream out = new DeflaterOutputStream(packed, deflater, 64, true);
            out.write(new byte[500]);
            out.flush();
            out.close();
            deflater.reset();
            InflaterInputStream in = new InflaterInputStream(
                    new ByteArrayInputStream(packed.toByteArray()), inflater);
            int size = 0;
            while (in.read() >= 0) {
                size++;
            }
            in.close();
            inflater.reset();
            System.out.println(size);
        }
        deflater.end();
        inflater.end();
    }
}
