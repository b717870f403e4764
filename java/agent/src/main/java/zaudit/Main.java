package zaudit;

import java.io.IOException;
import java.lang.instrument.Instrumentation;

/** The entry points of the jar: {@code -javaagent}, an attach, and {@code java -jar}. */
public final class Main {
    private static final String PREFIX = "zaudit: ";

    private Main() {}

    /** {@code -javaagent:zaudit-agent.jar=OPTIONS}: does what {@code -agentpath} does. */
    public static void premain(String options, Instrumentation instrumentation) {
        Native agent = load(instrumentation);
        if (agent == null) {
            return;
        }
        try {
            agent.answer("load", options == null ? "" : options);
        } catch (IllegalStateException e) {
            say("auditing is disabled: " + e.getMessage());
        }
        if (AuditBean.isWanted()) {
            AuditBean.register();
        }
    }

    /** An attach of the jar, as {@code VirtualMachine.loadAgent} makes it: a command. */
    public static void agentmain(String command, Instrumentation instrumentation) {
        Native agent = load(instrumentation);
        if (agent == null) {
            throw new IllegalStateException("the library could not be loaded");
        }
        String answer = agent.answer("command", command == null ? "" : command);
        say(answer.trim());
        AuditBean.register();
    }

    /** Null, and a line on standard error, if that fails: the program runs without it. */
    private static Native load(Instrumentation instrumentation) {
        try {
            if (Native.get() == null) {
                Library.load(Natives.library().toString(), instrumentation);
            }
            return Native.need();
        } catch (IOException | RuntimeException | LinkageError e) {
            say("auditing is disabled: " + e.getMessage());
            return null;
        }
    }

    /** {@code java -jar zaudit-agent.jar}: {@code path}, or whatever the command understands. */
    public static void main(String[] arguments) throws InterruptedException {
        try {
            if (arguments.length == 1 && arguments[0].equals("path")) {
                System.out.println(Natives.library());
                return;
            }
            System.exit(Command.run(arguments));
        } catch (IOException e) {
            say(e.getMessage());
            System.exit(1);
        }
    }

    private static void say(String message) {
        System.err.println(PREFIX + message.replace("\n", "\n" + PREFIX));
    }
}
