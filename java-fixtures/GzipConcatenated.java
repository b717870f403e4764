// Three gzip members behind one another: one Inflater reads all of them, and is ended once.
// expect: inflater created 1, ended 1; deflater created 3, ended 3

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

public class GzipConcatenated {
    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        for (int i = 0; i < 3; i++) {
            GZIPOutputStream member = new GZIPOutputStream(packed);
            member.write(new byte[1000]);
            member.close();
        }
        GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(packed.toByteArray()));
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        in.close();
        System.out.println(size);
    }
}
