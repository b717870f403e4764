// Starts each line of its stdin as a process, words between blanks, and prints its exit code; its streams are the program's own.
// expect: nothing

import java.io.BufferedReader;
import java.io.InputStreamReader;

public class Starting {
    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ProcessBuilder builder = new ProcessBuilder(line.split(" "));
            builder.redirectOutput(ProcessBuilder.Redirect.INHERIT).redirectError(ProcessBuilder.Redirect.INHERIT);
            Process process = builder.start();
            process.getOutputStream().close();
            System.out.println("ended with " + process.waitFor());
        }
    }
}
