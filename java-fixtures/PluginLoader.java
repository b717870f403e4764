// A class loader of the program opens an archive for each request. It closes neither the archive
// nor the stream of the entry, so the leak is the program's, although class loading frames of the
// JDK are above it.
// expect: inflater created 10, late 10, expected any; deflater created 1, ended 1; zip_entry created 10, late 10
// expect on Epsilon: inflater created 10, live 10, expected 10; deflater created 1, ended 1; zip_entry created 10, live 10
// frame: PluginLoader.loadClass

import java.io.File;
import java.io.IOException;
import java.util.zip.ZipFile;

public class PluginLoader extends ClassLoader {
    private final File archive;

    PluginLoader(File archive) {
        this.archive = archive;
    }

    @Override
    public Class<?> loadClass(String name) throws ClassNotFoundException {
        if (!name.startsWith("plugin.")) {
            return super.loadClass(name);
        }
        try {
            ZipFile zip = new ZipFile(archive);
            zip.getInputStream(zip.getEntry("plugin")).read();
        } catch (IOException failed) {
            throw new AssertionError(failed);
        }
        throw new ClassNotFoundException(name);
    }

    public static void main(String[] args) throws Exception {
        File archive = Archive.of("plugin");
        for (int i = 0; i < 10; i++) {
            try {
                new PluginLoader(archive).loadClass("plugin.Main");
            } catch (ClassNotFoundException expected) {
                System.out.println("no " + expected.getMessage());
            }
        }
    }
}
