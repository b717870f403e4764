import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.util.Collections;

/**
 * A call writes a file into an archive mounted as a file system, closes it, mounts it again and
 * reads the file.
 */
public final class JdkZipFileSystem {
    private JdkZipFileSystem() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            URI archive = URI.create("jar:" + new File("archive" + call + ".zip").toURI());
            try (FileSystem zip =
                    FileSystems.newFileSystem(archive, Collections.singletonMap("create", "true"))) {
                Files.write(zip.getPath("/entry"), new byte[1000]);
            }
            try (FileSystem zip =
                    FileSystems.newFileSystem(archive, Collections.<String, Object>emptyMap())) {
                if (Files.readAllBytes(zip.getPath("/entry")).length != 1000) {
                    throw new IllegalStateException("came back changed");
                }
            }
        }
    }
}
