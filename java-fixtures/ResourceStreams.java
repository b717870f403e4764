// Resources of an archive on a class path: one stream for each way that the JDK has is closed, and
// one is not. A JarURLConnection without caches closes its file with the stream.
// expect: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 6, ended 3, late 3
// expect on 8: inflater created any, ended any, late any, live any, expected any; deflater created 1, ended 1; zip_entry created 6, ended 3, late any, live any
// expect on Epsilon: inflater created any, ended any, live any, expected any; deflater created 1, ended 1; zip_entry created 6, ended 3, live 3

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.URLConnection;

public class ResourceStreams {
    private static URLClassLoader loader;

    private static URLConnection connection(boolean caches) throws IOException {
        URLConnection connection = loader.getResource("entry").openConnection();
        connection.setUseCaches(caches);
        return connection;
    }

    private static void closed() throws IOException {
        loader.getResourceAsStream("entry").close();
        connection(true).getInputStream().close();
        connection(false).getInputStream().close();
    }

    private static void forgotten() throws IOException {
        System.out.println(loader.getResourceAsStream("entry").read());
        System.out.println(connection(true).getInputStream().read());
        System.out.println(connection(false).getInputStream().read());
    }

    public static void main(String[] args) throws Exception {
        loader = new URLClassLoader(new URL[] {Archive.of("entry").toURI().toURL()});
        closed();
        forgotten();
        System.out.println(loader.getURLs().length);
    }
}
