// A finished ZipOutputStream and a ZipInputStream that was read to its end, neither of them closed.
// expect: inflater created 1, collected 1; deflater created 1, collected 1
// expect on 8: inflater created 1, late 1; deflater created 1, late 1

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

public class ZipStreamsForgotten {
    public static void main(String[] args) throws Exception {
        System.out.println(read(write()) + " bytes");
    }

    private static byte[] write() throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        ZipOutputStream out = new ZipOutputStream(packed);
        out.putNextEntry(new ZipEntry("a"));
        out.write(new byte[4000]);
        out.closeEntry();
        out.finish();
        return packed.toByteArray();
    }

    private static int read(byte[] packed) throws Exception {
        ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(packed));
        int size = 0;
        while (in.getNextEntry() != null) {
            while (in.read() >= 0) {
                size++;
            }
        }
        return size;
    }
}
