import clojure.java.api.Clojure;
import clojure.lang.IFn;
import clojure.lang.RT;
import java.io.StringReader;

/** A call runs a Clojure function that creates a Deflater by reflection, and forgets it. */
public final class ClojureReflection {
    private ClojureReflection() {}

    public static void main(String[] arguments) throws Exception {
        Clojure.var("clojure.core", "require");
        String text = "(ns acme)\n(defn pack [of level]\n  (.finish\n"
                + "    (clojure.lang.Reflector/invokeConstructor of (object-array [(int level)]))))\n";
        clojure.lang.Compiler.load(new StringReader(text), "acme.clj", "acme.clj");
        IFn pack = RT.var("acme", "pack");
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            pack.invoke(java.util.zip.Deflater.class, 9);
        }
    }
}
