package zaudit;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The command {@code zaudit} in this jar. */
final class Command {
    private Command() {}

    /** Runs it with the standard streams of this process. Returns its exit code. */
    static int run(String[] arguments) throws IOException, InterruptedException {
        return new ProcessBuilder(line(arguments)).inheritIO().start().waitFor();
    }

    /** Attaches to this JVM, from outside. */
    static void attach(String options) {
        String why;
        try {
            // The JDK has a call for it since 9 only.
            String pid = new File("/proc/self").getCanonicalFile().getName();
            Process command =
                    new ProcessBuilder(line("attach", pid, options))
                            .redirectErrorStream(true)
                            .start();
            command.getOutputStream().close();
            String output = read(command.getInputStream()).trim();
            if (command.waitFor() == 0) {
                return;
            }
            why = output.replace("\n", "; ");
        } catch (IOException e) {
            why = e.getMessage();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            why = "interrupted";
        }
        throw new IllegalStateException(
                "cannot attach to this JVM (" + why
                        + "); start it with -javaagent:zaudit-agent.jar instead");
    }

    private static List<String> line(String... arguments) throws IOException {
        List<String> line = new ArrayList<>();
        line.add(Natives.command().toString());
        line.addAll(Arrays.asList(arguments));
        return line;
    }

    private static String read(InputStream from) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[4096];
        for (int read = from.read(buffer); read >= 0; read = from.read(buffer)) {
            out.write(buffer, 0, read);
        }
        return new String(out.toByteArray(), StandardCharsets.UTF_8);
    }
}
