package zaudit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Collections;
import java.util.Map;
import java.util.Set;

/**
 * Loads the library into this JVM.
 *
 * <p>From JDK 24 on, {@code System.load} is a restricted method, and warns. The warning asks for an
 * option that would allow it to all code of the class path; the user who starts an agent has
 * allowed it to the agent. So there the JDK's own part of that method is called, by a class that is
 * alone in its module, because {@code java.lang} has to be opened to it.
 */
final class Library {
    private static final int FIRST_RESTRICTED = 24;

    private Library() {}

    static void load(String path, Instrumentation instrumentation) {
        if (release() < FIRST_RESTRICTED || !loadFromAlone(path, instrumentation)) {
            System.load(path);
        }
    }

    private static int release() {
        String version = System.getProperty("java.specification.version");
        return version.startsWith("1.") ? 8 : Integer.parseInt(version);
    }

    /** False if this JDK has other insides. */
    private static boolean loadFromAlone(String path, Instrumentation instrumentation) {
        try {
            Class<?> caller = new Alone().define();
            Method getModule = Class.class.getMethod("getModule");
            Object alone = getModule.invoke(caller);
            Object base = getModule.invoke(Object.class);
            Map<String, Set<Object>> open =
                    Collections.singletonMap("java.lang", Collections.singleton(alone));
            Class<?> module = Class.forName("java.lang.Module");
            Instrumentation.class
                    .getMethod(
                            "redefineModule",
                            module,
                            Set.class,
                            Map.class,
                            Map.class,
                            Set.class,
                            Map.class)
                    .invoke(
                            instrumentation,
                            base,
                            Collections.emptySet(),
                            Collections.emptyMap(),
                            open,
                            Collections.emptySet(),
                            Collections.emptyMap());
            Method load = caller.getMethod("load", String.class);
            load.invoke(null, path);
            return true;
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof UnsatisfiedLinkError) {
                throw (UnsatisfiedLinkError) e.getCause();
            }
            return false;
        } catch (ReflectiveOperationException | IOException | RuntimeException e) {
            return false;
        }
    }

    /** A class loader with one class. */
    private static final class Alone extends ClassLoader {
        private static final String NAME = "zaudit.LibraryCaller";

        Alone() {
            super(Library.class.getClassLoader());
        }

        Class<?> define() throws IOException {
            try (InputStream in = Library.class.getResourceAsStream("LibraryCaller.class")) {
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                for (int read = in.read(); read >= 0; read = in.read()) {
                    out.write(read);
                }
                return defineClass(NAME, out.toByteArray(), 0, out.size());
            }
        }
    }
}
