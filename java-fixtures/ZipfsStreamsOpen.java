// Streams of a zip file system are open when it is closed, which closes them. On JDK 8, the zip
// file system itself is loaded from an archive.
// expect: inflater created 5, ended 5; deflater created 1, ended 1; zip_entry created 5, ended 5
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created any, ended any, late any, live any, expected any

import java.io.InputStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;

public class ZipfsStreamsOpen {
    private static final List<InputStream> STREAMS = new ArrayList<InputStream>();

    public static void main(String[] args) throws Exception {
        FileSystem archive =
                FileSystems.newFileSystem(Archive.of("entry").toPath(), (ClassLoader) null);
        for (int i = 0; i < 5; i++) {
            STREAMS.add(Files.newInputStream(archive.getPath("entry")));
            System.out.println("first byte " + STREAMS.get(i).read());
        }
        archive.close();
    }
}
