import groovy.lang.GroovyShell;
import groovy.lang.Script;

/** A call runs a function of a Groovy script, which creates a Deflater and forgets it. */
public final class GroovyScript {
    private GroovyScript() {}

    public static void main(String[] arguments) {
        String text = "def pack() {\n    new java.util.zip.Deflater(9).finish()\n}\n";
        Script script = new GroovyShell().parse(text, "Packing.groovy");
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            script.invokeMethod("pack", null);
        }
    }
}
