// A second object gets the fields of the first one, without a constructor, as a spy of Mockito
// does. Both have one native stream, so that to end either of them ends both.

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class CopiedFields {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 5; i++) {
            copy(Inflater.class, new Inflater(true)).end();
        }
        for (int i = 0; i < 3; i++) {
            copy(Deflater.class, new Deflater()).end();
        }
        System.out.println("done");
    }

    private static <T> T copy(Class<T> type, T original) throws Exception {
        T copy = allocate(type);
        for (Field field : type.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                field.set(copy, field.get(original));
            }
        }
        return copy;
    }

    private static <T> T allocate(Class<T> type) throws Exception {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field only = unsafe.getDeclaredField("theUnsafe");
        only.setAccessible(true);
        Object made = unsafe.getMethod("allocateInstance", Class.class).invoke(only.get(null), type);
        return type.cast(made);
    }
}
