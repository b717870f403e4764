// Made and ended through method handles; every tenth is forgotten.
// expect: deflater created 50, ended 45, collected 5
// expect on 8: deflater created 50, ended 45, late 5

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.zip.Deflater;

public class MethodHandled {
    public static void main(String[] args) throws Throwable {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        MethodHandle make = lookup.findConstructor(
                Deflater.class, MethodType.methodType(void.class, int.class));
        MethodHandle end = lookup.findVirtual(
                Deflater.class, "end", MethodType.methodType(void.class));
        for (int i = 0; i < 50; i++) {
            once(make, end, i % 10 != 0);
        }
        System.out.println("done");
    }

    private static void once(MethodHandle make, MethodHandle end, boolean tidy) throws Throwable {
        Deflater deflater = (Deflater) make.invokeExact(1);
        if (tidy) {
            end.invokeExact(deflater);
        }
    }
}
