// A multi-release archive: the entry of the release is read, once closed and once forgotten. The
// JDK reads the manifest, and closes it.
// expect: inflater created 1, live 1, expected 1; deflater created 1, ended 1; zip_entry created 3, ended 2, late 1
// expect on Epsilon: inflater created 1, live 1, expected 1; deflater created 1, ended 1; zip_entry created 3, ended 2, live 1
// says: close the stream that MultiRelease.main() gets from JarFile.getInputStream()

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class MultiRelease {
    private static JarFile jar;

    private static InputStream read() throws IOException {
        InputStream stream = jar.getInputStream(jar.getEntry("entry"));
        System.out.println(stream.read());
        return stream;
    }

    public static void main(String[] args) throws Exception {
        jar = new JarFile(archive(), false, ZipFile.OPEN_READ, Runtime.version());
        read().close();
        read();
    }

    private static File archive() throws IOException {
        File file = File.createTempFile("fixture", ".jar");
        file.deleteOnExit();
        try (ZipOutputStream out = new ZipOutputStream(new FileOutputStream(file))) {
            out.putNextEntry(new ZipEntry("META-INF/MANIFEST.MF"));
            out.write("Manifest-Version: 1.0\r\nMulti-Release: true\r\n\r\n".getBytes("UTF-8"));
            for (String name : new String[] {"entry", "META-INF/versions/9/entry"}) {
                out.putNextEntry(new ZipEntry(name));
                out.write(new byte[4000]);
            }
        }
        return file;
    }
}
