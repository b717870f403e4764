import org.python.util.PythonInterpreter;

/** A call has a script decompress what it compressed, by the module zlib. */
public final class JythonZlib {
    private JythonZlib() {}

    public static void main(String[] arguments) {
        try (PythonInterpreter python = new PythonInterpreter()) {
            python.exec("import zlib\ntext = 'some text'");
            for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
                python.exec("back = zlib.decompressobj().decompress(zlib.compress(text))\n"
                        + "if back != text:\n"
                        + "    raise Exception('came back changed')\n");
            }
        }
    }
}
