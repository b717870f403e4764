// A ZipFile that is open when the program ends: the Inflater of its pool is live, and a built-in
// rule expects that.
// expect: inflater created 1, live 1, expected 1; deflater created 1, ended 1; zip_entry created 3, ended 3

import java.io.InputStream;
import java.util.zip.ZipFile;

public class ZipFileKept {
    static ZipFile zip;

    public static void main(String[] args) throws Exception {
        zip = new ZipFile(Archive.of("a", "b", "c"));
        for (String name : new String[] {"a", "b", "c"}) {
            InputStream in = zip.getInputStream(zip.getEntry(name));
            System.out.println(name + " " + read(in));
            in.close();
        }
    }

    private static int read(InputStream in) throws Exception {
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        return size;
    }
}
