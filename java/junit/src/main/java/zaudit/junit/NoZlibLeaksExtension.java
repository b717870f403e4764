package zaudit.junit;

import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.util.Collections;
import java.util.Optional;
import java.util.Set;

import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.DynamicTestInvocationContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * Fails tests that leak: those with {@link NoZlibLeaks}, and with {@code zaudit.junit.mode=fail}
 * all of them, if JUnit has registered it for all.
 *
 * <p>A test is checked when JUnit closes its store, after everything that may end an instance:
 * {@code @AfterEach} methods and the callbacks of other extensions.
 */
public final class NoZlibLeaksExtension
        implements BeforeAllCallback, BeforeEachCallback, InvocationInterceptor {
    private static final ExtensionContext.Namespace OWN =
            ExtensionContext.Namespace.create(NoZlibLeaksExtension.class);

    @Override
    public void beforeAll(ExtensionContext context) {
        if (isActive(context)) {
            Scope scope = enter(Scope.Level.CLASS, context);
            context.getStore(OWN).put(scope.id, new Check(scope));
        }
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        if (isActive(context)) {
            Scope scope = enter(Scope.Level.TEST, context);
            context.getStore(OWN).put(scope.id, new Check(scope));
        }
    }

    @Override
    public <T> T interceptTestClassConstructor(
            Invocation<T> invocation,
            ReflectiveInvocationContext<Constructor<T>> constructor,
            ExtensionContext context)
            throws Throwable {
        if (!isActive(context)) {
            return invocation.proceed();
        }
        Agent.load(context.getConfigurationParameter(Agent.PARAMETER));
        boolean perClass =
                context.getTestInstanceLifecycle()
                        .filter(lifecycle -> lifecycle == TestInstance.Lifecycle.PER_CLASS)
                        .isPresent();
        if (perClass) {
            // It runs before beforeAll(), which finds the scope.
            enter(Scope.Level.CLASS, context);
            return invocation.proceed();
        }
        Scopes.constructing();
        try {
            return invocation.proceed();
        } catch (Throwable e) {
            Scopes.constructorFailed();
            throw e;
        }
    }

    // Up to JUnit 5.7 there is only this method, from 5.8 on the other one is called.
    @Override
    @Deprecated
    public void interceptDynamicTest(Invocation<Void> invocation, ExtensionContext context)
            throws Throwable {
        check(invocation, context);
    }

    @Override
    public void interceptDynamicTest(
            Invocation<Void> invocation,
            DynamicTestInvocationContext test,
            ExtensionContext context)
            throws Throwable {
        check(invocation, context);
    }

    private static void check(Invocation<Void> invocation, ExtensionContext context)
            throws Throwable {
        if (!isActive(context)) {
            invocation.proceed();
            return;
        }
        Scope scope = enter(Scope.Level.TEST, context);
        Throwable failure = null;
        try {
            invocation.proceed();
        } catch (Throwable e) {
            failure = e;
        }
        Leaks leaks = Scopes.leave(scope);
        if (!leaks.isEmpty()) {
            if (failure == null) {
                failure = leaks.error();
            } else {
                failure.addSuppressed(leaks.error());
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    private static Scope enter(Scope.Level level, ExtensionContext context) {
        Agent.load(context.getConfigurationParameter(Agent.PARAMETER));
        Set<String> classes =
                context.getTestClass().map(Scope::classes).orElse(Collections.emptySet());
        String method =
                level == Scope.Level.TEST
                        ? context.getTestMethod().map(Method::getName).orElse(null)
                        : null;
        return Scopes.enter(level, context.getUniqueId(), classes, method);
    }

    private static boolean isActive(ExtensionContext context) {
        switch (Mode.of(context.getConfigurationParameter(Mode.PARAMETER))) {
            case OFF:
                return false;
            case FAIL:
                return true;
            default:
                return isAnnotated(Optional.of(context));
        }
    }

    private static boolean isAnnotated(Optional<ExtensionContext> context) {
        return context.isPresent()
                && (AnnotationSupport.isAnnotated(context.get().getElement(), NoZlibLeaks.class)
                        || isAnnotated(context.get().getParent()));
    }

    /** JUnit calls one of the two when the test or the class is over, depending on its version. */
    private static final class Check
            implements ExtensionContext.Store.CloseableResource, AutoCloseable {
        private final Scope scope;
        private boolean closed;

        Check(Scope scope) {
            this.scope = scope;
        }

        @Override
        public void close() {
            if (closed) {
                return;
            }
            closed = true;
            Leaks leaks = Scopes.leave(scope);
            if (!leaks.isEmpty()) {
                throw leaks.error();
            }
        }
    }
}
