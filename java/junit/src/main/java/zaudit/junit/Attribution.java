package zaudit.junit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;

/**
 * Who made an instance: a test, a class, or the run.
 *
 * <p>In this order: the innermost test on the thread that made it; the only test whose own code is
 * on the stack; the only test that ran, if the thread was started while it ran. Whatever cannot be
 * decided for sure belongs to no test, but to a class: never to a test that may be innocent.
 */
final class Attribution {
    private Attribution() {}

    /** How well a stack fits a scope. */
    private enum Fit { NONE, NESTED_CLASS, CLASS, METHOD }

    /** The owner of the instance with this number, or null if none of {@code scopes} is. */
    static Scope owner(
            long number, long thread, StackTraceElement[] stack, Collection<Scope> scopes) {
        List<Scope> running = new ArrayList<>();
        for (Scope scope : scopes) {
            if (scope.covers(number)) {
                running.add(scope);
            }
        }
        List<Scope> tests = keep(running, Scope::isTest);
        Scope test = latest(keep(tests, scope -> scope.thread == thread));
        if (test == null) {
            test = ofStrangeThread(thread, stack, tests);
        }
        return test != null ? test : classOf(thread, stack, running, tests);
    }

    private static Scope ofStrangeThread(
            long thread, StackTraceElement[] stack, List<Scope> tests) {
        Fit best = best(stack, tests);
        if (best != Fit.NONE) {
            return only(keep(tests, scope -> fit(stack, scope) == best));
        }
        Scope test = only(tests);
        return test != null && thread > test.lastThread ? test : null;
    }

    private static Scope classOf(
            long thread, StackTraceElement[] stack, List<Scope> running, List<Scope> tests) {
        List<Scope> classes = keep(running, scope -> scope.level == Scope.Level.CLASS);
        Fit best = best(stack, classes);
        Scope found = null;
        if (best != Fit.NONE) {
            found = only(keep(classes, scope -> fit(stack, scope) == best));
        }
        if (found == null && !tests.isEmpty()) {
            // Some of these tests made it: their class is right if they share one.
            found = only(keep(classes, scope -> containsAll(scope, tests)));
        }
        if (found == null) {
            found = latest(keep(classes, scope -> scope.thread == thread));
        }
        if (found == null) {
            found = only(classes);
        }
        return found != null ? found : only(keep(running, scope -> scope.level == Scope.Level.RUN));
    }

    private static boolean containsAll(Scope container, List<Scope> tests) {
        for (Scope test : tests) {
            if (!container.contains(test)) {
                return false;
            }
        }
        return true;
    }

    private static Fit best(StackTraceElement[] stack, List<Scope> scopes) {
        Fit best = Fit.NONE;
        for (Scope scope : scopes) {
            Fit fit = fit(stack, scope);
            best = fit.compareTo(best) > 0 ? fit : best;
        }
        return best;
    }

    private static Fit fit(StackTraceElement[] stack, Scope scope) {
        Fit best = Fit.NONE;
        for (StackTraceElement frame : stack) {
            for (String name : scope.classes) {
                Fit fit = fit(frame, name, scope.method);
                best = fit.compareTo(best) > 0 ? fit : best;
            }
        }
        return best;
    }

    private static Fit fit(StackTraceElement frame, String type, String method) {
        String name = frame.getClassName();
        if (!name.equals(type)) {
            if (!name.startsWith(type + "$")) {
                return Fit.NONE;
            }
            // Kotlin calls the class of an object in a method so.
            boolean ofMethod = method != null && name.startsWith(type + "$" + method + "$");
            return ofMethod ? Fit.METHOD : Fit.NESTED_CLASS;
        }
        return method != null && isOf(frame.getMethodName(), method) ? Fit.METHOD : Fit.CLASS;
    }

    /** The method itself, or a lambda in it, as javac and Kotlin call them. */
    private static boolean isOf(String name, String method) {
        return name.equals(method)
                || name.startsWith("lambda$" + method + "$")
                || name.startsWith(method + "$lambda");
    }

    private static List<Scope> keep(Collection<Scope> scopes, Predicate<Scope> wanted) {
        List<Scope> kept = new ArrayList<>();
        for (Scope scope : scopes) {
            if (wanted.test(scope)) {
                kept.add(scope);
            }
        }
        return kept;
    }

    /** The one that began last: on one thread, the innermost. */
    private static Scope latest(List<Scope> scopes) {
        Scope latest = null;
        for (Scope scope : scopes) {
            if (latest == null || scope.order > latest.order) {
                latest = scope;
            }
        }
        return latest;
    }

    /** The innermost, if all the others contain it. */
    private static Scope only(List<Scope> scopes) {
        for (Scope scope : scopes) {
            boolean innermost = true;
            for (Scope other : scopes) {
                innermost &= other == scope || other.contains(scope);
            }
            if (innermost) {
                return scope;
            }
        }
        return null;
    }
}
