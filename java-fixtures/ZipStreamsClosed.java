// ZipOutputStream and ZipInputStream, closed; both entries go through one Deflater and one
// Inflater.
// expect: inflater created 1, ended 1; deflater created 1, ended 1

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

public class ZipStreamsClosed {
    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        ZipOutputStream out = new ZipOutputStream(packed);
        for (String name : new String[] {"a", "b"}) {
            out.putNextEntry(new ZipEntry(name));
            out.write(new byte[4000]);
            out.closeEntry();
        }
        out.close();
        ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(packed.toByteArray()));
        for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
            int size = 0;
            while (in.read() >= 0) {
                size++;
            }
            System.out.println(entry.getName() + " " + size);
        }
        in.close();
    }
}
