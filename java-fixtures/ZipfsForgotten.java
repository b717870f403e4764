// Zip file systems are opened, read and forgotten, with the streams that they keep. The finalizer
// of each closes it. On JDK 8, the zip file system itself is loaded from an archive.
// expect: inflater created 10, late 10; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created any, ended any, late any, live any, expected any
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10
// frame: ZipfsForgotten.read
// says: close the stream that ZipfsForgotten.read() gets from Files.newInputStream(); reading

import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;

public class ZipfsForgotten {
    private static int read(Path file) throws IOException {
        FileSystem archive = FileSystems.newFileSystem(file, (ClassLoader) null);
        return Files.newInputStream(archive.getPath("entry")).read();
    }

    public static void main(String[] args) throws Exception {
        Path file = Archive.of("entry").toPath();
        for (int i = 0; i < 10; i++) {
            System.out.println(read(file));
        }
    }
}
