// Starts each line of its stdin as a process and prints the exit code. Words are separated by
// blanks; the process inherits the standard streams.
// expect: nothing

import java.io.BufferedReader;
import java.io.InputStreamReader;

public class Starting {
    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ProcessBuilder builder = new ProcessBuilder(line.split(" "));
            builder.redirectOutput(ProcessBuilder.Redirect.INHERIT);
            builder.redirectError(ProcessBuilder.Redirect.INHERIT);
            Process process = builder.start();
            process.getOutputStream().close();
            System.out.println("ended with " + process.waitFor());
        }
    }
}
