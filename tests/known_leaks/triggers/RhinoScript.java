import org.mozilla.javascript.Context;
import org.mozilla.javascript.Function;
import org.mozilla.javascript.ScriptableObject;

/** A call runs a function of a script that Rhino compiles; it creates a Deflater and forgets it. */
public final class RhinoScript {
    private RhinoScript() {}

    public static void main(String[] arguments) {
        Context context = Context.enter();
        ScriptableObject scope = context.initStandardObjects();
        String text = "function pack() {\n    new java.util.zip.Deflater(9).finish();\n}\n";
        context.evaluateString(scope, text, "packing.js", 1, null);
        Function pack = (Function) scope.get("pack", scope);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            pack.call(context, scope, scope, new Object[0]);
        }
    }
}
