import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

import org.xerial.snappy.OSInfo;
import org.xerial.snappy.Snappy;

/** A call looks up the version of the library, which is in a file of its jar. */
public final class SnappyVersion {
    private SnappyVersion() {}

    public static void main(String[] arguments) throws IOException {
        unpack();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!Snappy.getNativeLibraryVersion().startsWith("1.")) {
                throw new IllegalStateException("no version");
            }
        }
    }

    /** When the library unpacks its native part itself, it leaves another stream open, once. */
    private static void unpack() throws IOException {
        String name = System.mapLibraryName("snappyjava");
        String path = "/org/xerial/snappy/native/" + OSInfo.getNativeLibFolderPathForCurrentOS();
        Path folder = Files.createTempDirectory("snappy");
        try (InputStream unpacked = Snappy.class.getResourceAsStream(path + "/" + name)) {
            Files.copy(unpacked, folder.resolve(name));
        }
        System.setProperty("org.xerial.snappy.lib.path", folder.toString());
        System.setProperty("org.xerial.snappy.lib.name", name);
        folder.resolve(name).toFile().deleteOnExit();
    }
}
