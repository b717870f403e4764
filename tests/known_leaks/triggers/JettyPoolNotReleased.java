import org.eclipse.jetty.util.compression.InflaterPool;

/** A call takes an Inflater from a pool of Jetty's and forgets to give it back. */
public final class JettyPoolNotReleased {
    private static final InflaterPool POOL = new InflaterPool(16, true);

    private JettyPoolNotReleased() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            POOL.acquire().reset();
        }
    }
}
