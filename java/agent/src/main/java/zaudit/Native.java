package zaudit;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * The agent in this JVM, through the native methods of the class {@code zaudit.Queries}, which the
 * agent defines in the boot loader. They are looked up by name, because the agent may come later
 * than this class.
 *
 * <p>Each answer begins with {@code +}, or with {@code -} and the reason.
 */
final class Native {
    private static volatile Native agent;

    private final MethodHandle isArmed;
    private final MethodHandle mark;
    private final MethodHandle release;
    private final MethodHandle openSince;
    private final MethodHandle answer;

    private Native(Class<?> queries) throws ReflectiveOperationException {
        MethodHandles.Lookup lookup = MethodHandles.publicLookup();
        MethodType text = MethodType.methodType(String.class, String.class, String.class);
        isArmed = lookup.findStatic(queries, "isArmed", MethodType.methodType(boolean.class));
        mark = lookup.findStatic(queries, "mark", MethodType.methodType(long.class));
        release =
                lookup.findStatic(
                        queries, "release", MethodType.methodType(void.class, long.class));
        openSince =
                lookup.findStatic(
                        queries, "openSince", MethodType.methodType(String.class, long.class));
        answer = lookup.findStatic(queries, "answer", text);
    }

    /** Null if there is none. */
    static Native get() {
        Native known = agent;
        if (known != null) {
            return known;
        }
        try {
            known = new Native(Class.forName("zaudit.Queries", true, null));
        } catch (ClassNotFoundException e) {
            return null;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(
                    "the agent in this JVM and this jar are of different versions: use one", e);
        }
        agent = known;
        return known;
    }

    /** The same, where it must be there. */
    static Native need() {
        Native known = get();
        if (known == null) {
            throw new IllegalStateException(
                    "the agent is not loaded in this JVM: start it with -javaagent:zaudit-agent.jar");
        }
        return known;
    }

    boolean isArmed() {
        try {
            return (boolean) isArmed.invokeExact();
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    long mark() {
        try {
            return (long) mark.invokeExact();
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    void release(long mark) {
        try {
            release.invokeExact(mark);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    String openSince(long mark) {
        try {
            return checked((String) openSince.invokeExact(mark));
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** The answer to {@code what}: describe, report, totals, command, load. */
    String answer(String what, String argument) {
        try {
            return checked((String) answer.invokeExact(what, argument));
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private static String checked(String answer) {
        if (answer == null) {
            throw new IllegalStateException(
                "the agent gave no answer: the process is out of memory, or auditing has stopped");
        }
        if (answer.startsWith("-")) {
            throw new IllegalStateException(answer.substring(1));
        }
        return answer.substring(1);
    }

    private static RuntimeException unexpected(Throwable e) {
        if (e instanceof RuntimeException) {
            return (RuntimeException) e;
        }
        if (e instanceof Error) {
            throw (Error) e;
        }
        return new IllegalStateException(e);
    }
}
