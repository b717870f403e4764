// A class loader makes leaks and is unloaded with all its classes: the report still names their
// frames.
// expect: inflater created 3, collected 3
// expect on 8: inflater created 3, late 3
// frame: ClassLoaderUnloaded$Plugin.run
// frame: ClassLoaderUnloaded$Plugin.open

import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.zip.Inflater;

public class ClassLoaderUnloaded {
    public static class Plugin implements Runnable {
        @Override
        public void run() {
            for (int i = 0; i < 3; i++) {
                open();
            }
        }

        private static void open() {
            new Inflater().needsInput();
        }
    }

    public static void main(String[] args) throws Exception {
        WeakReference<ClassLoader> loader = load();
        boolean collects = !"false".equals(System.getProperty("fixture.collects"));
        while (collects && loader.get() != null) {
            System.gc();
        }
        System.out.println("unloaded");
    }

    private static WeakReference<ClassLoader> load() throws Exception {
        URL here = ClassLoaderUnloaded.class.getProtectionDomain().getCodeSource().getLocation();
        URLClassLoader loader = new URLClassLoader(new URL[] {here}, null);
        Class<?> plugin = loader.loadClass("ClassLoaderUnloaded$Plugin");
        if (plugin == Plugin.class) {
            throw new AssertionError("not a class of its own");
        }
        ((Runnable) plugin.getConstructor().newInstance()).run();
        loader.close();
        return new WeakReference<ClassLoader>(loader);
    }
}
