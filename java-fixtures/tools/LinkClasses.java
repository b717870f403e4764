// Links, and so verifies, every class named in the file args[0] (binary names, one a line), without
// initialising any.
//
// `getDeclaredMethods()` links a class before it looks. Prints a line "<class>\t<error>\t<message>"
// for each class that cannot be linked, then "linked <number>" and, when the hooked calls went
// somewhere, "calls <number>".

import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Paths;

final class LinkClasses {
    public static void main(String[] args) throws Exception {
        ClassLoader loader = LinkClasses.class.getClassLoader();
        StringBuilder failures = new StringBuilder();
        int linked = 0;
        for (String name : Files.readAllLines(Paths.get(args[0]))) {
            try {
                Class.forName(name, false, loader).getDeclaredMethods();
                linked++;
            } catch (Throwable failure) {
                String message = String.valueOf(failure.getMessage());
                failures.append(name).append('\t').append(failure.getClass().getName()).append('\t')
                    .append(message.split("\n", 2)[0].trim()).append('\n');
            }
        }
        PrintStream out = System.out;
        out.print(failures);
        out.println("linked " + linked);
        try {
            out.println("calls " + Class.forName("zaudit.Hooks").getField("calls").getLong(null));
        } catch (ReflectiveOperationException unpatched) {
            // No hooks in this run, or none that count.
        }
        out.flush();
    }
}
