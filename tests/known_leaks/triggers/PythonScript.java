import org.python.core.PyFunction;
import org.python.util.PythonInterpreter;

/** A call runs a function of a Python script, which creates a Deflater and forgets it. */
public final class PythonScript {
    private PythonScript() {}

    public static void main(String[] arguments) {
        PythonInterpreter python = new PythonInterpreter();
        python.exec("from java.util.zip import Deflater\ndef pack():\n    Deflater(9).finish()\n");
        PyFunction pack = python.get("pack", PyFunction.class);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            pack.__call__();
        }
    }
}
