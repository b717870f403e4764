package zaudit.junit;

import java.security.CodeSource;
import java.util.Optional;

import zaudit.Zaudit;

/** Loads the agent into this JVM unless it is there. */
final class Agent {
    /** More options of an agent that is loaded here. One that is there already has its own. */
    static final String PARAMETER = "zaudit.junit.options";

    /** The tests say what leaks: no report at the end, nor a search for what is open already. */
    private static final String OPTIONS = "adopt=false,file=/dev/null";

    private static IllegalStateException failure;

    private Agent() {}

    /** Throws what is to be done if the agent cannot be loaded. Tries once only. */
    static synchronized void load(Optional<String> options) {
        if (Zaudit.isArmed()) {
            return;
        }
        if (failure == null) {
            try {
                Zaudit.attach(options.map(more -> OPTIONS + "," + more).orElse(OPTIONS));
                return;
            } catch (IllegalStateException e) {
                failure = new IllegalStateException(e.getMessage() + remedy(), e);
            }
        }
        throw new IllegalStateException(failure.getMessage(), failure.getCause());
    }

    /** What to add to the build. */
    private static String remedy() {
        CodeSource source = Zaudit.class.getProtectionDomain().getCodeSource();
        String jar = source == null ? "zaudit-agent.jar" : source.getLocation().getPath();
        String argument = "-javaagent:" + jar + "=quiet";
        return ": with Surefire, <argLine>" + argument + "</argLine>; with Gradle, jvmArgs '"
                + argument + "'";
    }
}
