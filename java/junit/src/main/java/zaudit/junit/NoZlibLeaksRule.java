package zaudit.junit;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

import org.junit.rules.TestRule;
import org.junit.runner.Description;
import org.junit.runners.model.MultipleFailureException;
import org.junit.runners.model.Statement;

/**
 * The same for JUnit 4: as a {@code @Rule} for each test of a class, as a {@code @ClassRule} for
 * what belongs to none of them. It should be the outermost rule: what rules around it end is still
 * open when it looks.
 */
public final class NoZlibLeaksRule implements TestRule {
    private static final AtomicLong NUMBER = new AtomicLong();

    @Override
    public Statement apply(Statement base, Description description) {
        return new Statement() {
            @Override
            public void evaluate() throws Throwable {
                check(base, description);
            }
        };
    }

    private static void check(Statement base, Description description) throws Throwable {
        if (Mode.of(Optional.ofNullable(System.getProperty(Mode.PARAMETER))) == Mode.OFF) {
            base.evaluate();
            return;
        }
        Agent.load(Optional.ofNullable(System.getProperty(Agent.PARAMETER)));
        Scope scope = enter(description);
        List<Throwable> failures = new ArrayList<>();
        try {
            base.evaluate();
        } catch (Throwable e) {
            failures.add(e);
        }
        Leaks leaks = Scopes.leave(scope);
        if (!leaks.isEmpty()) {
            failures.add(leaks.error());
        }
        MultipleFailureException.assertEmpty(failures);
    }

    private static Scope enter(Description description) {
        Class<?> type = description.getTestClass();
        Set<String> classes = type == null ? Collections.emptySet() : Scope.classes(type);
        String id = "zaudit-rule:" + description.getClassName();
        if (!description.isTest()) {
            return Scopes.enter(Scope.Level.CLASS, id, classes, null);
        }
        id += "/" + NUMBER.incrementAndGet();
        // A parameterized test is called test[0].
        String method = description.getMethodName().replaceFirst("\\[.*", "");
        return Scopes.enter(Scope.Level.TEST, id, classes, method);
    }
}
