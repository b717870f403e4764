package zaudit.junit;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * Something that runs from one mark to another: a test, the container of a class, or the run.
 *
 * <p>Tests that run at the same time have windows that overlap. Who made an instance is decided by
 * {@link Attribution}.
 */
final class Scope {
    /** What it is to JUnit. */
    enum Level { RUN, CLASS, TEST }

    final Level level;
    /** JUnit's unique id, or one of our own that no other scope has. */
    final String id;
    /** Names of its class and of those that this inherits tests from. Empty: not known. */
    final Set<String> classes;
    /** Name of the test's method. Null if it has none, as a class. */
    final String method;
    /** Instances with greater numbers were made later. */
    final long start;
    /** Its place in the order of all scopes: several may begin before the next instance is made. */
    final long order;
    /** Thread that runs it. */
    final long thread;
    /** Threads with greater ids were created after the scope began. */
    final long lastThread;
    /** Instances with greater numbers were made after it was over. */
    private volatile long end = Long.MAX_VALUE;

    Scope(
            Level level,
            String id,
            Set<String> classes,
            String method,
            long start,
            long order,
            long thread,
            long lastThread) {
        this.level = level;
        this.id = id;
        this.classes = classes;
        this.method = method;
        this.start = start;
        this.order = order;
        this.thread = thread;
        this.lastThread = lastThread;
    }

    /** The names of a class and of those that it inherits tests from: frames have either. */
    static Set<String> classes(Class<?> type) {
        Set<String> names = new LinkedHashSet<>();
        collect(type, names);
        return names;
    }

    private static void collect(Class<?> type, Set<String> names) {
        for (Class<?> one = type; one != null && one != Object.class; one = one.getSuperclass()) {
            names.add(one.getName());
            for (Class<?> parent : one.getInterfaces()) {
                collect(parent, names);
            }
        }
    }

    void endAt(long mark) {
        end = mark;
    }

    long end() {
        return end;
    }

    boolean isTest() {
        return level == Level.TEST;
    }

    /** Whether an instance with this number was made while it ran. */
    boolean covers(long number) {
        return start < number && number <= end;
    }

    /** Whether {@code other} is a part of it, such as a dynamic test of its factory. */
    boolean contains(Scope other) {
        if (other == this) {
            return false;
        }
        return other.id.startsWith(id + "/")
                || thread == other.thread
                        && level == other.level
                        && order < other.order
                        && end >= other.end;
    }

    /** The class and the method, as people write them. */
    String name() {
        String type = classes.isEmpty() ? id : classes.iterator().next();
        return method == null ? type : type + "." + method + "()";
    }
}
