package zaudit.junit;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;

import org.junit.jupiter.api.Test;

class AttributionTest {
    /** Threads with greater ids are younger than all scopes. */
    private static final long LAST = 100;

    private static final Scope RUN = scope(Scope.Level.RUN, "run", null, 0, 1);

    private static long order;

    private static Scope scope(
            Scope.Level level, String id, String method, long start, long thread, String... types) {
        Set<String> classes = new LinkedHashSet<>(Arrays.asList(types));
        return new Scope(level, id, classes, method, start, ++order, thread, LAST);
    }

    private static Scope type(String name, long start, long thread) {
        return scope(Scope.Level.CLASS, "e/" + name, null, start, thread, name);
    }

    private static Scope test(String type, String method, long start, long thread) {
        String id = "e/" + type + "/" + method;
        return scope(Scope.Level.TEST, id, method, start, thread, type, "Base");
    }

    private static Scope owner(long number, long thread, String frames, Scope... scopes) {
        String[] names = frames.isEmpty() ? new String[0] : frames.split(" ");
        StackTraceElement[] stack =
                Arrays.stream(names)
                        .map(name -> name.split("#"))
                        .map(parts -> new StackTraceElement(parts[0], parts[1], null, -1))
                        .toArray(StackTraceElement[]::new);
        return Attribution.owner(number, thread, stack, Arrays.asList(scopes));
    }

    @Test
    void onTheThreadOfTheTest() {
        Scope type = type("A", 1, 10);
        Scope test = test("A", "one", 5, 10);
        assertSame(test, owner(6, 10, "Library#call", RUN, type, test));
        assertSame(type, owner(5, 10, "Library#call", RUN, type, test), "before the test");
        test.endAt(8);
        assertSame(test, owner(8, 10, "Library#call", RUN, type, test));
        assertSame(type, owner(9, 10, "A#one", RUN, type, test), "after the test");
    }

    @Test
    void innermostOnOneThread() {
        Scope factory = test("A", "factory", 1, 10);
        Scope dynamic = scope(Scope.Level.TEST, factory.id + "/1", "factory", 3, 10, "A");
        dynamic.endAt(5);
        assertSame(factory, owner(2, 10, "", factory, dynamic));
        assertSame(dynamic, owner(4, 10, "", factory, dynamic));
        assertSame(factory, owner(6, 10, "", factory, dynamic));
        // JUnit's pool may run another test on a thread whose test waits.
        Scope helped = test("B", "other", 7, 10);
        assertSame(helped, owner(8, 10, "", factory, dynamic, helped));
        // A rule in a test that begins before anything is made.
        Scope rule = scope(Scope.Level.TEST, "rule", "other", 7, 10, "B");
        assertSame(rule, owner(8, 10, "", helped, rule));
        assertSame(rule, owner(8, 10, "", rule, helped));
        assertSame(rule, owner(8, 50, "B#other", rule, helped));
        assertSame(rule, owner(8, 50, "B#other", helped, rule));
    }

    @Test
    void byTheFramesOfTheTest() {
        Scope type = type("A", 0, 10);
        Scope one = test("A", "one", 1, 10);
        Scope two = test("A", "two", 1, 11);
        String all = "A#one A#lambda$one$0 A#one$lambda$0 A$one$1#run";
        for (String frame : all.split(" ")) {
            assertSame(one, owner(2, 50, "Library#call " + frame, RUN, type, one, two), frame);
        }
        assertSame(one, owner(2, 50, "Base#one", RUN, type, one, two), "an inherited test");
        // An anonymous class, or a helper of the class: of one of the two.
        assertSame(type, owner(2, 50, "A$1#run", RUN, type, one, two));
        assertSame(type, owner(2, 50, "A#helper", RUN, type, one, two));
        two.endAt(1);
        assertSame(one, owner(2, 50, "A$1#run", RUN, type, one, two));
        assertSame(one, owner(2, 50, "A#helper", RUN, type, one, two));
    }

    @Test
    void nestedClassesAreNotTheOuterOne() {
        Scope outer = test("A", "one", 1, 10);
        Scope inner = test("A$Inner", "one", 1, 11);
        assertSame(inner, owner(2, 50, "A$Inner#lambda$one$0", outer, inner));
        assertSame(outer, owner(2, 50, "A#lambda$one$0", outer, inner));
    }

    @Test
    void twoRunsOfOneMethod() {
        Scope type = type("A", 0, 9);
        Scope first = scope(Scope.Level.TEST, "e/A/m/1", "m", 1, 10, "A");
        Scope second = scope(Scope.Level.TEST, "e/A/m/2", "m", 1, 11, "A");
        assertSame(second, owner(2, 11, "A#m", RUN, type, first, second));
        assertSame(type, owner(2, 50, "A#lambda$m$0", RUN, type, first, second), "either");
    }

    @Test
    void threadsWithoutAFrameOfATest() {
        Scope type = type("A", 0, 10);
        Scope test = test("A", "one", 1, 10);
        assertSame(test, owner(2, LAST + 1, "Library#run", RUN, type, test), "its own thread");
        assertSame(type, owner(2, LAST, "Library#run", RUN, type, test), "an older thread");
        assertSame(type, owner(2, 0, "Library#run", RUN, type, test), "not known");
        Scope other = test("A", "two", 1, 11);
        assertSame(type, owner(2, LAST + 1, "Library#run", RUN, type, test, other), "either");
        Scope stranger = test("B", "two", 1, 11);
        Scope strangers = type("B", 0, 11);
        assertSame(
                RUN,
                owner(2, LAST + 1, "Library#run", RUN, type, strangers, test, stranger),
                "of two classes");
        assertNull(owner(2, LAST + 1, "Library#run", type, strangers, test, stranger));
    }

    @Test
    void fixturesOfAClass() {
        Scope first = type("A", 0, 10);
        Scope second = type("B", 0, 11);
        assertSame(second, owner(1, 11, "Library#call", RUN, first, second), "by its thread");
        assertSame(first, owner(1, 50, "A#open", RUN, first, second), "by its frame");
        Scope nested = scope(Scope.Level.CLASS, first.id + "/I", null, 0, 10, "A$I");
        assertSame(nested, owner(1, 10, "A$I#open", RUN, first, nested));
        assertSame(RUN, owner(1, 10, "Main#main", RUN));
        assertNull(Attribution.owner(1, 10, new StackTraceElement[0], Collections.emptyList()));
    }
}
