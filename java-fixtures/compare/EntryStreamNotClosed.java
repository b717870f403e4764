// Streams of an entry are not closed, and their ZipFile stays open.

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class EntryStreamNotClosed {
    private static ZipFile file;

    public static void main(String[] args) throws Exception {
        file = new ZipFile(archive());
        Steps.run(args, EntryStreamNotClosed::once);
    }

    private static int once() throws IOException {
        InputStream in = file.getInputStream(file.getEntry("entry")); // the leak
        in.read(new byte[Steps.DATA.length]);
        return 1;
    }

    private static File archive() throws IOException {
        File file = File.createTempFile("compare", ".zip");
        file.deleteOnExit();
        try (ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file))) {
            out.putNextEntry(new ZipEntry("entry"));
            out.write(Steps.DATA);
            out.write(Steps.DATA);
        }
        return file;
    }
}
