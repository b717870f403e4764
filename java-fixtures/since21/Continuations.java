// Continuations of the JDK itself, on a platform thread, in a virtual thread and in one another:
// GetStackTrace goes on to the frames around them.
// expect: inflater created 5_200, ended 5_200
// java: --add-exports=java.base/jdk.internal.vm=ALL-UNNAMED

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.zip.Inflater;

public class Continuations {
    private static final MethodHandle NEW;
    private static final MethodHandle RUN;
    private static final MethodHandle YIELD;
    private static final Object OUTER;
    private static final Object INNER;

    static {
        try {
            Class<?> continuation = Class.forName("jdk.internal.vm.Continuation");
            Class<?> scope = Class.forName("jdk.internal.vm.ContinuationScope");
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            NEW = lookup.findConstructor(continuation, MethodType.methodType(void.class, scope, Runnable.class))
                .asType(MethodType.methodType(Object.class, Object.class, Runnable.class));
            RUN = lookup.findVirtual(continuation, "run", MethodType.methodType(void.class))
                .asType(MethodType.methodType(void.class, Object.class));
            YIELD = lookup.findStatic(continuation, "yield", MethodType.methodType(boolean.class, scope))
                .asType(MethodType.methodType(void.class, Object.class));
            OUTER = scope.getConstructor(String.class).newInstance("outer");
            INNER = scope.getConstructor(String.class).newInstance("inner");
        } catch (ReflectiveOperationException failed) {
            throw new AssertionError(failed);
        }
    }

    private static int made;

    public static void main(String[] args) throws Exception {
        Runnable all = () -> {
            for (int i = 0; made < 2_400; i++) {
                around(i % 7, i % 20);
            }
            made = 0;
        };
        all.run();
        // Now it is known how frozen frames are read.
        Thread.startVirtualThread(() -> blocked(150)).join();
        Thread.startVirtualThread(all).join();
        System.out.println("ended");
    }

    private static void blocked(int levels) {
        if (levels > 0) {
            blocked(levels - 1);
            return;
        }
        for (int i = 0; i < 400; i++) {
            Thread.yield();
            new Inflater(true).end();
        }
    }

    /** Runs a continuation to its end, with a few frames around it. */
    private static void around(int levels, int inside) {
        if (levels > 0) {
            around(levels - 1, inside);
            return;
        }
        try {
            Object outer = (Object) NEW.invokeExact(OUTER, (Runnable) () -> inside(inside));
            for (int i = 0; i < 4; i++) {
                RUN.invokeExact(outer);
                make();
            }
        } catch (Throwable failed) {
            throw new AssertionError(failed);
        }
    }

    private static void inside(int levels) {
        if (levels > 0) {
            inside(levels - 1);
            return;
        }
        try {
            make();
            YIELD.invokeExact(OUTER);
            Object inner = (Object) NEW.invokeExact(INNER, (Runnable) () -> {
                make();
                pause(INNER);
                make();
            });
            RUN.invokeExact(inner);
            make();
            YIELD.invokeExact(OUTER);
            RUN.invokeExact(inner);
            YIELD.invokeExact(OUTER);
        } catch (Throwable failed) {
            throw new AssertionError(failed);
        }
    }

    private static void pause(Object scope) {
        try {
            YIELD.invokeExact(scope);
        } catch (Throwable failed) {
            throw new AssertionError(failed);
        }
    }

    private static void make() {
        if (made < 2_400) {
            made++;
            new Inflater(true).end();
        }
    }
}
