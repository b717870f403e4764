package zaudit;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

/** Calls what is behind {@code System.load}; see {@link Library}. */
public final class LibraryCaller {
    private LibraryCaller() {}

    /** Loads a library for the boot loader, to which the agent's class belongs, too. */
    public static void load(String path) throws ReflectiveOperationException {
        Method load = Runtime.class.getDeclaredMethod("load0", Class.class, String.class);
        load.setAccessible(true);
        try {
            load.invoke(Runtime.getRuntime(), Object.class, path);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Error) {
                throw (Error) e.getCause();
            }
            throw e;
        }
    }
}
