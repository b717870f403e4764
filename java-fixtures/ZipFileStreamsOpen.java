// Three entry streams open at once and never closed: closing the ZipFile ends their Inflaters, and
// with them the streams.
// expect: inflater created 3, ended 3; deflater created 1, ended 1; zip_entry created 3, ended 3, ended_with_file 3

import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class ZipFileStreamsOpen {
    public static void main(String[] args) throws Exception {
        ZipFile zip = new ZipFile(archive());
        InputStream[] open = new InputStream[3];
        for (int i = 0; i < open.length; i++) {
            open[i] = zip.getInputStream(zip.getEntry("abc".substring(i, i + 1)));
            System.out.println("first byte " + open[i].read());
        }
        zip.close();
        for (InputStream in : open) {
            System.out.println(isClosed(in));
        }
    }

    private static String isClosed(InputStream in) {
        try {
            return "still reads " + in.read();
        } catch (java.io.IOException closed) {
            return "closed";
        }
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
}
