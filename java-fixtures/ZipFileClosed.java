// A ZipFile that is closed ends the Inflaters of its pool: one, since the entries are read one
// after the other.
// expect: inflater created 1, ended 1; deflater created 1, ended 1; zip_entry created 3, ended 3

import java.io.InputStream;
import java.util.zip.ZipFile;

public class ZipFileClosed {
    public static void main(String[] args) throws Exception {
        ZipFile zip = new ZipFile(Archive.of("a", "b", "c"));
        for (String name : new String[] {"a", "b", "c"}) {
            InputStream in = zip.getInputStream(zip.getEntry(name));
            System.out.println(name + " " + read(in));
            in.close();
        }
        zip.close();
    }

    private static int read(InputStream in) throws Exception {
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        return size;
    }
}
