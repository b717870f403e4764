// A ZipFile that is closed ends the Inflaters of its pool: one, since the entries are read one
// after the other.
// expect: inflater created 1, ended 1; deflater created 1, ended 1; zip_entry created 3, ended 3

import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class ZipFileClosed {
    public static void main(String[] args) throws Exception {
        ZipFile zip = new ZipFile(archive());
        for (String name : new String[] {"a", "b", "c"}) {
            InputStream in = zip.getInputStream(zip.getEntry(name));
            System.out.println(name + " " + read(in));
            in.close();
        }
        zip.close();
    }

    private static File archive() throws Exception {
        File file = File.createTempFile("fixture", ".zip");
        file.deleteOnExit();
        ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file));
        for (String name : new String[] {"a", "b", "c"}) {
            out.putNextEntry(new ZipEntry(name));
            out.write(new byte[4000]);
            out.closeEntry();
        }
        out.close();
        return file;
    }

    private static int read(InputStream in) throws Exception {
        int size = 0;
        while (in.read() >= 0) {
            size++;
        }
        return size;
    }
}
