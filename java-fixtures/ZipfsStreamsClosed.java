// Thirty streams of a zip file system are open at the same time, and all are closed. The file
// system keeps at most twenty Inflaters, ends the others when their streams are closed, and those
// in its pool when it is closed itself. On JDK 8, the zip file system itself is loaded from an
// archive.
// expect: inflater created 30, ended 30; deflater created 1, ended 1; zip_entry created 60, ended 60
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created any, ended any, late any, live any, expected any

import java.io.InputStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;

public class ZipfsStreamsClosed {
    public static void main(String[] args) throws Exception {
        FileSystem archive =
                FileSystems.newFileSystem(Archive.of("entry").toPath(), (ClassLoader) null);
        InputStream[] open = new InputStream[30];
        for (int i = 0; i < open.length; i++) {
            open[i] = Files.newInputStream(archive.getPath("entry"));
            System.out.println("first byte " + open[i].read());
        }
        for (InputStream stream : open) {
            stream.close();
        }
        for (int i = 0; i < 30; i++) {
            Files.newInputStream(archive.getPath("entry")).close();
        }
        archive.close();
    }
}
