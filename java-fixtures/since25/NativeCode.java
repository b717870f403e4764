// Calls the C library: system(3) for each line of its stdin; then it leaves what its arguments say
// in C's own buffer for stdout.
// expect: inflater created 1, collected 1
// java: --enable-native-access=ALL-UNNAMED

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.zip.Inflater;

public class NativeCode {
    public static void main(String[] args) throws Throwable {
        MethodHandle system = function("system");
        MethodHandle puts = function("puts");
        leak();
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        try (Arena arena = Arena.ofConfined()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int code = (int) system.invokeExact(arena.allocateFrom(line));
                System.out.println("ended with " + code);
            }
            System.out.println("done");
            for (int i = 0; args.length > 0 && i < Integer.parseInt(args[0]); i++) {
                int written = (int) puts.invokeExact(arena.allocateFrom("native line " + i));
            }
        }
    }

    private static void leak() {
        new Inflater().needsInput();
    }

    private static MethodHandle function(String name) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(
            linker.defaultLookup().find(name).orElseThrow(),
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
    }
}
