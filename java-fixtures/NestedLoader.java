// A class loader of the program reads classes from archives within an archive, as those of
// executable jars do. It closes neither the stream of the outer entry nor that of the inner archive
// for the first five plugins, and closes both for the other five.
// expect: inflater created any, ended any, late any, collected 5, live any, expected any; deflater created 2, ended 2; zip_entry created 10, ended 5, late 5
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 2, ended 2; zip_entry created any, ended any, late any, live any, expected any
// expect on Epsilon: inflater created any, ended any, live any, expected any; deflater created 2, ended 2; zip_entry created 10, ended 5, live 5
// frame: NestedLoader.findClass
// says: close the stream that NestedLoader.findClass() gets from ZipFile.getInputStream()

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.jar.JarInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

public class NestedLoader extends ClassLoader {
    private static ZipFile outer;
    private final boolean closes;

    NestedLoader(boolean closes) {
        this.closes = closes;
    }

    public static class Plugin {
        @Override
        public String toString() {
            return "a plugin of " + getClass().getClassLoader().getClass().getName();
        }
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        try {
            InputStream stream = outer.getInputStream(outer.getEntry("inner.jar"));
            JarInputStream inner = new JarInputStream(stream);
            inner.getNextEntry();
            byte[] bytes = all(inner);
            if (closes) {
                inner.close();
            }
            return defineClass(name, bytes, 0, bytes.length);
        } catch (IOException failed) {
            throw new ClassNotFoundException(name, failed);
        }
    }

    private static byte[] all(InputStream in) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] buffer = new byte[1024];
        for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
            all.write(buffer, 0, read);
        }
        return all.toByteArray();
    }

    private static byte[] archive(String name, byte[] bytes) throws IOException {
        ByteArrayOutputStream archive = new ByteArrayOutputStream();
        ZipOutputStream out = new ZipOutputStream(archive);
        out.putNextEntry(new ZipEntry(name));
        out.write(bytes);
        out.close();
        return archive.toByteArray();
    }

    public static void main(String[] args) throws Exception {
        InputStream own = NestedLoader.class.getResourceAsStream("NestedLoader$Plugin.class");
        byte[] plugin = all(own);
        own.close();
        File file = File.createTempFile("fixture", ".jar");
        file.deleteOnExit();
        FileOutputStream out = new FileOutputStream(file);
        out.write(archive("inner.jar", archive("NestedLoader$Plugin.class", plugin)));
        out.close();
        outer = new ZipFile(file);
        for (int i = 0; i < 10; i++) {
            NestedLoader loader = new NestedLoader(i >= 5);
            System.out.println(loader.findClass("NestedLoader$Plugin").newInstance());
        }
    }
}
