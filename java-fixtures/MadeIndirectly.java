// Created by reflection (often enough that the JDK generates an accessor), a method handle and a
// reference to a constructor, each called in one line; and as the value of a thread. All are
// forgotten.
// expect: inflater created 45, collected 45; deflater created 40, collected 40
// expect on 8: inflater created 45, late 45; deflater created 40, late 40

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Constructor;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class MadeIndirectly {
    private static final ThreadLocal<Inflater> OF_THREAD = ThreadLocal.withInitial(Inflater::new);

    public static void main(String[] args) throws Throwable {
        Constructor<?> constructor = Deflater.class.getConstructor(int.class);
        MethodHandle handle = MethodHandles.lookup().findConstructor(
                Inflater.class, MethodType.methodType(void.class, boolean.class));
        for (int i = 0; i < 40; i++) {
            reflected(constructor);
            handled(handle);
        }
        for (int i = 0; i < 2; i++) {
            referred(Inflater::new);
            orElse();
        }
        Thread thread = new Thread(MadeIndirectly::ofThread);
        thread.start();
        thread.join();
        System.out.println("done");
    }

    private static void reflected(Constructor<?> constructor) throws Exception {
        constructor.newInstance(9);
    }

    private static void handled(MethodHandle handle) throws Throwable {
        Inflater inflater = (Inflater) handle.invokeExact(true);
        inflater.reset();
    }

    private static void referred(Supplier<Inflater> supplier) {
        supplier.get().reset();
    }

    private static void orElse() {
        Optional.<Inflater>empty().orElseGet(Inflater::new).reset();
    }

    private static void ofThread() {
        OF_THREAD.get().reset();
    }
}
