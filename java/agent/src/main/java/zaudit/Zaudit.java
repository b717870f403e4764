package zaudit;

import java.util.ArrayList;
import java.util.List;

/**
 * The audit of this JVM, for programs and tests.
 *
 * <p>All methods may be called on any thread. Where the agent is needed and is not loaded, they
 * throw {@link IllegalStateException} with one line that says what to do.
 */
public final class Zaudit {
    private Zaudit() {}

    /** Whether an audit is under way. False if the agent is not loaded. Never throws. */
    public static boolean isArmed() {
        try {
            Native agent = Native.get();
            return agent != null && agent.isArmed();
        } catch (RuntimeException e) {
            return false;
        }
    }

    /**
     * Starts the audit if none is under way: runs the command of this jar, which attaches to this
     * JVM from outside, so that {@code -Djdk.attach.allowAttachSelf} is not needed.
     *
     * @param options as after {@code -javaagent:zaudit-agent.jar=}
     */
    public static synchronized void attach(String options) {
        if (!isArmed()) {
            Command.attach(options);
        }
    }

    /**
     * A point in the order in which instances are made. While any mark is held, the agent also
     * remembers which thread makes which instance, so give each mark back with {@link #release}.
     * Marks nest and overlap. Needs no GC and no pause.
     */
    public static long mark() {
        long mark = Native.need().mark();
        if (mark < 0) {
            throw new IllegalStateException("no audit is under way: call attach first");
        }
        return mark;
    }

    /** Gives a mark back. In any order; a mark that is not held is ignored. */
    public static void release(long mark) {
        Native.need().release(mark);
    }

    /**
     * What was made since a mark that is held, and not ended by the program, without what a rule or
     * the baseline covers: one element for each kind, stack and thread. What the collector has
     * freed meanwhile is still in it. Needs no GC and no pause.
     */
    public static List<OpenInstances> openSince(long mark) {
        List<OpenInstances> found = new ArrayList<>();
        String answer = Native.need().openSince(mark);
        for (String record : answer.isEmpty() ? new String[0] : answer.split("\n")) {
            found.add(open(record));
        }
        return found;
    }

    /** What the text report says of these: count, line to change, hint, shortened stack. */
    public static String describe(List<OpenInstances> which) {
        StringBuilder wanted = new StringBuilder();
        for (OpenInstances each : which) {
            each.appendTo(wanted);
        }
        return Native.need().answer("describe", wanted.toString());
    }

    /**
     * The report as the command {@code dump} makes it: text, json, html, collapsed, prom or
     * markdown.
     */
    public static String report(String format) {
        return Native.need().answer("report", format);
    }

    /** Counts from zero; what is live now becomes adopted. Marks stay as they are. */
    public static void reset() {
        Native.need().answer("command", "reset");
    }

    /**
     * Registers the MXBean {@code zaudit:type=Audit} with the totals, unless it is there. An agent
     * that was attached, or started in a JVM with {@code -Dcom.sun.management.jmxremote}, has done
     * so: in other JVMs it would start JMX, which costs time and changes the order in which
     * programs set up their logging.
     */
    public static void registerMXBean() {
        AuditBean.register();
    }

    /** Fields are separated by tabs: site, kind, thread, numbers, name, and four for each frame. */
    private static OpenInstances open(String record) {
        String[] fields = record.split("\t", -1);
        String[] instances = fields[3].split(",");
        long[] numbers = new long[instances.length];
        char[] outcomes = new char[instances.length];
        for (int at = 0; at < instances.length; at++) {
            int last = instances[at].length() - 1;
            numbers[at] = Long.parseLong(instances[at].substring(0, last));
            outcomes[at] = instances[at].charAt(last);
        }
        List<String> names = new ArrayList<>();
        if (!fields[4].isEmpty()) {
            names.add(fields[4]);
        }
        List<StackTraceElement> stack = new ArrayList<>();
        for (int at = 5; at + 3 < fields.length; at += 4) {
            String file = fields[at + 2].isEmpty() ? null : fields[at + 2];
            int line = Integer.parseInt(fields[at + 3]);
            stack.add(new StackTraceElement(fields[at], fields[at + 1], file, line));
        }
        long thread = Long.parseLong(fields[2]);
        return new OpenInstances(fields[0], fields[1], thread, names, stack, numbers, outcomes);
    }
}
