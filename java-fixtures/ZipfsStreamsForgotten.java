// Streams of an entry of a zip file system are read and never closed. The file system keeps them
// until it is closed. On JDK 8, the zip file system itself is loaded from an archive.
// expect: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created any, ended any, late any, live any, expected any
// frame: ZipfsStreamsForgotten.read
// says: close the stream that ZipfsStreamsForgotten.read() gets from Files.newInputStream(); reading

import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;

public class ZipfsStreamsForgotten {
    private static FileSystem archive;

    private static int read() throws IOException {
        return Files.newInputStream(archive.getPath("entry")).read();
    }

    public static void main(String[] args) throws Exception {
        archive = FileSystems.newFileSystem(Archive.of("entry").toPath(), (ClassLoader) null);
        for (int i = 0; i < 10; i++) {
            System.out.println(read());
        }
    }
}
