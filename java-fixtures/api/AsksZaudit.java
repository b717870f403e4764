// Asks the API what is open, and checks the answers. Ends with `done`.

import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

import javax.management.MBeanServer;
import javax.management.ObjectName;
import javax.management.openmbean.CompositeData;

import zaudit.OpenInstances;
import zaudit.Zaudit;

public final class AsksZaudit {
    static final List<Object> KEPT = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("attach")) {
            attaches();
        }
        if (args.length > 0 && args[0].equals("unarmed")) {
            unarmed();
            return;
        }
        if (args.length > 0 && args[0].equals("jmx")) {
            ObjectName name = new ObjectName("zaudit:type=Audit");
            check(ManagementFactory.getPlatformMBeanServer().isRegistered(name), "registered");
        }
        check(Zaudit.isArmed(), "armed");
        finds();
        survivesTheCollector();
        nests();
        onOtherThreads();
        covered();
        totals();
        reports();
        System.out.println("done");
    }

    private static void attaches() {
        check(!Zaudit.isArmed(), "not armed yet");
        throwsSaying("-javaagent", Zaudit::mark);
        Zaudit.attach("adopt=false");
        Zaudit.attach("ignored, because an audit is under way");
    }

    private static void unarmed() {
        check(!Zaudit.isArmed(), "not armed");
        throwsSaying("-javaagent", Zaudit::mark);
        throwsSaying("-javaagent", () -> Zaudit.report("text"));
        System.out.println("done");
    }

    private static void finds() {
        long mark = Zaudit.mark();
        check(Zaudit.openSince(mark).isEmpty(), "nothing was made");
        new Deflater().end();
        check(Zaudit.openSince(mark).isEmpty(), "it was ended");
        Deflater first = deflater();
        Deflater second = deflater();
        List<OpenInstances> open = Zaudit.openSince(mark);
        // Two lines of this method call it.
        check(open.size() == 2, "two stacks: " + open);
        for (OpenInstances one : open) {
            check(one.kind().equals("Deflater") && one.count() == 1, "one deflater: " + one);
            check(one.threadId() == Thread.currentThread().getId(), "thread " + one.threadId());
            check(one.threadNames().get(0).equals("main"), "name " + one.threadNames());
            check(one.stack().get(0).getMethodName().equals("<init>"), "stack " + one.stack());
            check(hasFrame(one, "deflater") && hasFrame(one, "finds"), "stack " + one.stack());
            check(one.numbers()[0] > mark, "number " + one.numbers()[0] + " after " + mark);
            check(one.only(new long[] {-1}).count() == 0, "none of them");
            check(one.only(one.numbers()).count() == 1, "all of them");
            // The line that calls the constructor.
            String text = Zaudit.describe(java.util.Collections.singletonList(one));
            check(text.contains("AsksZaudit.deflater(AsksZaudit.java:"), text);
            check(text.contains("0 of 1 was ended: nothing called end()"), text);
            check(text.contains("hint: ") && text.contains("1 live"), text);
        }
        check(Zaudit.describe(open).contains("0 of 2 were ended: "), Zaudit.describe(open));
        first.end();
        check(Zaudit.openSince(mark).size() == 1, "one was ended");
        second.end();
        check(Zaudit.openSince(mark).isEmpty(), "both were ended");
        Zaudit.release(mark);
    }

    private static void survivesTheCollector() throws Exception {
        long mark = Zaudit.mark();
        long before = lost();
        for (int i = 0; i < 3; i++) {
            deflater();
        }
        check(Zaudit.openSince(mark).size() == 1, "one site: " + Zaudit.openSince(mark));
        for (int i = 0; lost() - before < 3; i++) {
            check(i < 200, "the collector has not freed them");
            System.gc();
            Thread.sleep(20);
        }
        List<OpenInstances> open = Zaudit.openSince(mark);
        check(open.size() == 1 && open.get(0).count() == 3, "three are lost: " + open);
        check(Zaudit.describe(open).contains("LEAK 1 of 1"), Zaudit.describe(open));
        Zaudit.release(mark);
    }

    private static void nests() {
        long outer = Zaudit.mark();
        Deflater first = deflater();
        long inner = Zaudit.mark();
        long same = Zaudit.mark();
        check(inner > outer && inner == same, "the order of marks");
        Deflater second = deflater();
        check(Zaudit.openSince(outer).size() == 2, "since the outer");
        check(Zaudit.openSince(inner).size() == 1, "since the inner");
        Zaudit.release(outer);
        check(Zaudit.openSince(inner).size() == 1, "without the outer");
        Zaudit.release(inner);
        check(Zaudit.openSince(same).size() == 1, "it is held once more");
        Zaudit.release(same);
        throwsSaying("the mark is not held", () -> Zaudit.openSince(inner));
        Zaudit.release(inner);
        first.end();
        second.end();
    }

    private static void onOtherThreads() throws Exception {
        long mark = Zaudit.mark();
        Thread thread = new Thread(() -> KEPT.add(new Inflater()), "tabs\tand\nlines");
        run(mark, thread, "tabs and lines");
        try {
            Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
            run(mark, (Thread) start.invoke(null, (Runnable) () -> KEPT.add(new Inflater())), "");
        } catch (NoSuchMethodException e) {
            check(!System.getProperty("java.specification.version").equals("21"), "21 has it");
        }
        Zaudit.release(mark);
    }

    private static void run(long mark, Thread thread, String name) throws Exception {
        if (thread.getState() == Thread.State.NEW) {
            thread.start();
        }
        thread.join();
        List<OpenInstances> open = Zaudit.openSince(mark);
        check(open.size() == 1, "one thread: " + open);
        OpenInstances one = open.get(0);
        check(one.kind().equals("Inflater"), "kind " + one.kind());
        check(one.threadId() == thread.getId(), one.threadId() + " is " + thread.getId());
        String found = one.threadNames().isEmpty() ? "" : one.threadNames().get(0);
        check(found.equals(name) || name.isEmpty(), "name " + found);
        ((Inflater) KEPT.remove(0)).end();
    }

    /** The rule in the options covers it. */
    private static void covered() {
        long mark = Zaudit.mark();
        Deflater expected = new Deflater();
        KEPT.add(expected);
        check(Zaudit.openSince(mark).isEmpty(), "the rule covers it: " + Zaudit.openSince(mark));
        expected.end();
        Zaudit.release(mark);
    }

    private static void totals() throws Exception {
        CompositeData before = deflaters();
        Deflater kept = deflater();
        new Deflater().end();
        CompositeData after = deflaters();
        check(since(before, after, "created") == 2, after.toString());
        check(since(before, after, "ended") == 1, after.toString());
        check(since(before, after, "live") == 1, after.toString());
        kept.end();
    }

    private static long since(CompositeData before, CompositeData after, String what) {
        return (Long) after.get(what) - (Long) before.get(what);
    }

    private static long lost() throws Exception {
        return (Long) deflaters().get("late") + (Long) deflaters().get("collected");
    }

    private static CompositeData deflaters() throws Exception {
        Zaudit.registerMXBean();
        MBeanServer server = ManagementFactory.getPlatformMBeanServer();
        ObjectName name = new ObjectName("zaudit:type=Audit");
        check((Boolean) server.getAttribute(name, "Armed"), "the bean says that it is armed");
        check((Long) server.getAttribute(name, "Sites") > 0, "the bean has sites");
        return (CompositeData) server.getAttribute(name, "Deflaters");
    }

    private static void reports() {
        check(Zaudit.report("json").startsWith("{"), "a report in JSON");
        check(Zaudit.report("text").contains("SUMMARY: zaudit:"), Zaudit.report("text"));
        throwsSaying("pprof is not a format of text", () -> Zaudit.report("pprof"));
        throwsSaying("nonsense is no format", () -> Zaudit.report("nonsense"));
        Zaudit.reset();
        check(Zaudit.report("text").contains("SUMMARY: zaudit:"), "a report after a reset");
    }

    private static Deflater deflater() {
        return new Deflater();
    }

    private static boolean hasFrame(OpenInstances one, String method) {
        return one.stack().stream().anyMatch(frame -> frame.getMethodName().equals(method));
    }

    private static void throwsSaying(String words, Callable<?> call) {
        try {
            call.call();
        } catch (IllegalStateException e) {
            check(e.getMessage().contains(words), "the message: " + e.getMessage());
            check(!e.getMessage().contains("\n"), "one line: " + e.getMessage());
            return;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        throw new AssertionError("it throws nothing: " + words);
    }

    private static void check(boolean right, String what) {
        if (!right) {
            throw new AssertionError(what);
        }
    }
}
