import java.util.zip.Deflater;

import org.eclipse.jetty.util.compression.CompressionPool;
import org.eclipse.jetty.util.compression.DeflaterPool;
import org.eclipse.jetty.util.compression.InflaterPool;

/**
 * A call borrows a Deflater and an Inflater from the pools of a running server and, by a mistake of
 * its own, returns neither.
 */
public final class JettyPoolLost {
    private static final DeflaterPool DEFLATERS = new DeflaterPool(
            CompressionPool.INFINITE_CAPACITY, Deflater.DEFAULT_COMPRESSION, true);
    private static final InflaterPool INFLATERS =
            new InflaterPool(CompressionPool.INFINITE_CAPACITY, true);

    private JettyPoolLost() {}

    public static void main(String[] arguments) throws Exception {
        DEFLATERS.start();
        INFLATERS.start();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (DEFLATERS.acquire() == null || INFLATERS.acquire() == null) {
                throw new IllegalStateException("the pool is empty");
            }
        }
    }
}
