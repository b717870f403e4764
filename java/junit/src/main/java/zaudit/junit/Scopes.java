package zaudit.junit;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;

import zaudit.OpenInstances;
import zaudit.Zaudit;

/**
 * The scopes of this JVM: which run, which ran, and what was reported for them.
 *
 * <p>The listener enters all tests; the extension and the rule enter those that they check, in case
 * that the listener is not there. Invariant: an instance is reported once at most.
 */
final class Scopes {
    /**
     * Other threads may be about to end an instance, as a server does that has sent its response:
     * so long a test waits for them before it fails.
     */
    private static final long PATIENCE_MILLIS = 200;

    private static final long POLL_MILLIS = 5;

    /** By id. */
    private static final Map<String, Scope> OPEN = new HashMap<>();

    /** Those that are over, as long as any scope runs that began before their end. */
    private static final Deque<Scope> OVER = new ArrayDeque<>();

    /** Numbers of the instances that were reported, as long as a scope runs that has them. */
    private static final NavigableSet<Long> REPORTED = new TreeSet<>();

    /** A mark from before the constructor of a test's class, which runs before its test begins. */
    private static final ThreadLocal<Long> CONSTRUCTING = new ThreadLocal<>();

    private static long entered;

    private Scopes() {}

    /** The scope with this id, which begins now unless it has begun already. */
    static Scope enter(Scope.Level level, String id, Set<String> classes, String method) {
        long mark = takeMark();
        Thread thread = Thread.currentThread();
        // Never started: only its id is of interest.
        long lastThread = new Thread(null, null, "zaudit").getId();
        synchronized (Scopes.class) {
            Scope known = OPEN.get(id);
            if (known != null) {
                Zaudit.release(mark);
                return known;
            }
            Scope scope =
                    new Scope(
                            level,
                            id,
                            classes,
                            method,
                            mark,
                            ++entered,
                            thread.getId(),
                            lastThread);
            OPEN.put(id, scope);
            return scope;
        }
    }

    /** The scope with this id, if it runs. */
    static synchronized Scope find(String id) {
        return OPEN.get(id);
    }

    /** The innermost scope that the one with this id is a part of. */
    static synchronized Scope parent(String id) {
        Scope parent = null;
        for (Scope scope : OPEN.values()) {
            if (id.startsWith(scope.id + "/")
                    && (parent == null || scope.id.length() > parent.id.length())) {
                parent = scope;
            }
        }
        return parent;
    }

    /** The constructor of a test's class is about to run on this thread. */
    static void constructing() {
        if (CONSTRUCTING.get() == null) {
            CONSTRUCTING.set(Zaudit.mark());
        }
    }

    /** No test follows the constructor. */
    static void constructorFailed() {
        Long mark = CONSTRUCTING.get();
        CONSTRUCTING.remove();
        if (mark != null) {
            Zaudit.release(mark);
        }
    }

    /** Ends a scope, and gives what belongs to it and is still open. */
    static Leaks leave(Scope scope) {
        constructorFailed();
        long end = Zaudit.mark();
        scope.endAt(end);
        long patience = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
        List<OpenInstances> open = own(scope);
        while (isOnOtherThreads(open, scope) && System.nanoTime() < patience && pause()) {
            open = own(scope);
        }
        synchronized (Scopes.class) {
            for (OpenInstances one : open) {
                for (long number : one.numbers()) {
                    REPORTED.add(number);
                }
            }
            forget(scope);
        }
        Zaudit.release(end);
        return new Leaks(scope, open);
    }

    /** Ends a scope that is not to be checked. */
    static void abandon(Scope scope) {
        constructorFailed();
        long end = Zaudit.mark();
        scope.endAt(end);
        forget(scope);
        Zaudit.release(end);
    }

    private static synchronized void forget(Scope scope) {
        if (!OPEN.remove(scope.id, scope)) {
            return;
        }
        Zaudit.release(scope.start);
        OVER.add(scope);
        long first = Long.MAX_VALUE;
        for (Scope open : OPEN.values()) {
            first = Math.min(first, open.start);
        }
        // Nearly in the order of their ends: what is left a little longer does no harm.
        while (!OVER.isEmpty() && OVER.peekFirst().end() <= first) {
            OVER.removeFirst();
        }
        REPORTED.headSet(first, true).clear();
    }

    private static List<OpenInstances> own(Scope scope) {
        List<OpenInstances> all = Zaudit.openSince(scope.start);
        List<OpenInstances> own = new ArrayList<>();
        if (all.isEmpty()) {
            return own;
        }
        synchronized (Scopes.class) {
            List<Scope> scopes = new ArrayList<>(OVER);
            scopes.addAll(OPEN.values());
            for (OpenInstances one : all) {
                long[] numbers = numbersOf(one, scope, scopes);
                if (numbers.length > 0) {
                    own.add(one.only(numbers));
                }
            }
        }
        return own;
    }

    private static long[] numbersOf(OpenInstances one, Scope scope, List<Scope> scopes) {
        StackTraceElement[] stack = one.stack().toArray(new StackTraceElement[0]);
        return Arrays.stream(one.numbers())
                .filter(n -> !REPORTED.contains(n))
                .filter(n -> Attribution.owner(n, one.threadId(), stack, scopes) == scope)
                .toArray();
    }

    private static boolean isOnOtherThreads(List<OpenInstances> open, Scope scope) {
        for (OpenInstances one : open) {
            if (one.threadId() != scope.thread) {
                return true;
            }
        }
        return false;
    }

    private static boolean pause() {
        try {
            Thread.sleep(POLL_MILLIS);
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static long takeMark() {
        Long mark = CONSTRUCTING.get();
        CONSTRUCTING.remove();
        return mark != null ? mark : Zaudit.mark();
    }
}
