package zaudit.junit;

import java.io.IOException;
import java.util.Collections;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

import zaudit.Zaudit;

/**
 * Watches the tests of all engines; JUnit's launcher finds it by ServiceLoader.
 *
 * <p>It enters all tests into {@link Scopes}, so that what one test makes is not
 * attributed to another that runs at the same time. With {@code zaudit.junit.mode=report} or
 * {@code fail} it also checks the tests that the extension does not. It cannot fail a test: with
 * {@code fail} it makes JUnit register the extension for all tests, and fails the run if a test
 * leaks that the extension has not seen, such as one of JUnit 4.
 */
public final class ZlibLeakListener implements TestExecutionListener {
    private static final String AUTODETECTION = "junit.jupiter.extensions.autodetection.enabled";
    private static final String INCLUDE = "junit.jupiter.extensions.autodetection.include";
    private static final String RUN = "zaudit-run";

    private final AtomicInteger notFailed = new AtomicInteger();
    private volatile Mode mode = Mode.OFF;
    private Scope run;

    @Override
    public void testPlanExecutionStarted(TestPlan plan) {
        notFailed.set(0);
        try {
            mode = Mode.of(parameter(plan, Mode.PARAMETER));
        } catch (IllegalArgumentException e) {
            throw new RunFailed(e.getMessage());
        }
        if (mode != Mode.REPORT && mode != Mode.FAIL) {
            return;
        }
        try {
            Agent.load(parameter(plan, Agent.PARAMETER));
        } catch (IllegalStateException e) {
            if (mode == Mode.FAIL) {
                throw new RunFailed(e.getMessage());
            }
            say(e.getMessage());
            return;
        }
        if (mode == Mode.FAIL) {
            registerExtension(plan);
        }
        run = Scopes.enter(Scope.Level.RUN, RUN, Collections.emptySet(), null);
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        if (mode == Mode.OFF || !Zaudit.isArmed()) {
            return;
        }
        TestSource source = test.getSource().orElse(null);
        Scope parent = Scopes.parent(test.getUniqueId());
        if (test.isTest()) {
            // A dynamic test is a part of its factory's method.
            String method = parent == null ? null : parent.method;
            String type = null;
            if (source instanceof MethodSource) {
                method = ((MethodSource) source).getMethodName();
                type = ((MethodSource) source).getClassName();
            }
            Set<String> classes = classes(type, parent);
            Scopes.enter(Scope.Level.TEST, test.getUniqueId(), classes, method);
        } else if (source instanceof ClassSource) {
            Set<String> classes = classes(((ClassSource) source).getClassName(), parent);
            Scopes.enter(Scope.Level.CLASS, test.getUniqueId(), classes, null);
        }
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        Scope scope = Scopes.find(test.getUniqueId());
        if (scope == null) {
            return;
        }
        if (mode == Mode.REPORT || mode == Mode.FAIL) {
            report(scope);
        } else {
            Scopes.abandon(scope);
        }
    }

    @Override
    public void testPlanExecutionFinished(TestPlan plan) {
        if (run == null) {
            return;
        }
        report(run);
        run = null;
        if (mode == Mode.FAIL && notFailed.get() > 0) {
            throw new RunFailed(
                    "zaudit: " + notFailed + " of the tests, classes or runs above leak, and none"
                            + " of them could be failed: see the lines that begin with \"zaudit:\""
                            + " on standard error");
        }
    }

    private void report(Scope scope) {
        Leaks leaks = Scopes.leave(scope);
        if (!leaks.isEmpty()) {
            notFailed.incrementAndGet();
            say(leaks.message());
        }
    }

    /**
     * JUnit reads these properties when an engine begins, after the listeners were called. Up to
     * JUnit 5.11 they concern all extensions on the class path: if there are others, which the
     * project does not want, ours is not registered either, and the run fails instead of the test.
     */
    private static void registerExtension(TestPlan plan) {
        if (parameter(plan, AUTODETECTION).isPresent()) {
            return;
        }
        try {
            ClassLoader loader = Thread.currentThread().getContextClassLoader();
            String services = "META-INF/services/org.junit.jupiter.api.extension.Extension";
            boolean alone = Collections.list(loader.getResources(services)).size() == 1;
            if (alone || canFilter(loader)) {
                System.setProperty(AUTODETECTION, "true");
                System.setProperty(INCLUDE, NoZlibLeaksExtension.class.getName());
            }
        } catch (IOException e) {
            say("cannot find the extensions on the class path: " + e);
        }
    }

    private static boolean canFilter(ClassLoader loader) {
        try {
            Class.forName("org.junit.jupiter.engine.Constants", false, loader)
                    .getField("EXTENSIONS_AUTODETECTION_INCLUDE_PROPERTY_NAME");
            return true;
        } catch (ReflectiveOperationException e) {
            return false;
        }
    }

    private static Optional<String> parameter(TestPlan plan, String name) {
        try {
            return plan.getConfigurationParameters().get(name);
        } catch (NoSuchMethodError e) {
            // Before JUnit 5.8 a listener does not see those of junit-platform.properties.
            return Optional.ofNullable(System.getProperty(name));
        }
    }

    /** The class with this name and those that it inherits tests from; by default the parent's. */
    private static Set<String> classes(String name, Scope parent) {
        if (parent != null && (name == null || parent.classes.contains(name))) {
            return parent.classes;
        }
        if (name == null) {
            return Collections.emptySet();
        }
        try {
            ClassLoader loader = Thread.currentThread().getContextClassLoader();
            return Scope.classes(Class.forName(name, false, loader));
        } catch (ClassNotFoundException | LinkageError e) {
            return Collections.singleton(name);
        }
    }

    private static void say(String message) {
        String prefix = message.startsWith("zaudit: ") ? "" : "zaudit: ";
        System.err.println(prefix + message);
    }
}
