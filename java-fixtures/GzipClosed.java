// GZIP streams that are closed end what they created.
// expect: inflater created 3, ended 3; deflater created 3, ended 3

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

public class GzipClosed {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 3; i++) {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            GZIPOutputStream out = new GZIPOutputStream(packed);
            try {
                out.write(new byte[5000]);
            } finally {
                out.close();
            }
            GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed.toByteArray()));
            try {
                int size = 0;
                while (in.read() >= 0) {
                    size++;
                }
                System.out.println(size);
            } finally {
                in.close();
            }
        }
    }
}
