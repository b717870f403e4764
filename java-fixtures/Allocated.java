// Unsafe.allocateInstance runs no constructor: such an object has no native memory and is not
// counted.
// expect: nothing

import java.lang.reflect.Field;
import java.util.zip.Inflater;

public class Allocated {
    public static void main(String[] args) throws Exception {
        Class<?> type = Class.forName("sun.misc.Unsafe");
        Field field = type.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        Object unsafe = field.get(null);
        Object made = type.getMethod("allocateInstance", Class.class).invoke(unsafe, Inflater.class);
        System.out.println(made instanceof Inflater);
    }
}
