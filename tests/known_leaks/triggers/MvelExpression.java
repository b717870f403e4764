import java.util.HashMap;
import org.mvel2.MVEL;

/** A call evaluates an expression of MVEL, which creates a Deflater and forgets it. */
public final class MvelExpression {
    private MvelExpression() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            pack();
        }
    }

    private static void pack() {
        MVEL.eval("new java.util.zip.Deflater(9).finish()", new HashMap<String, Object>());
    }
}
