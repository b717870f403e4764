package bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/** The memory of this process. */
final class Memory {
    private Memory() {}

    /** VmRSS in KiB after a collection. */
    @SuppressWarnings({"deprecation", "removal"}) // JDK 8 finalizes Inflaters
    static long settledRss() throws Exception {
        for (int i = 0; i < 2; i++) {
            System.gc();
            System.runFinalization();
        }
        Path status = Paths.get("/proc/self/status");
        for (String line : Files.readAllLines(status)) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new IllegalStateException(status + " has no VmRSS");
    }
}
