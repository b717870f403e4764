import java.util.zip.Deflater;
import java.util.zip.Inflater;

import org.eclipse.jetty.util.compression.CompressionPool;
import org.eclipse.jetty.util.compression.DeflaterPool;
import org.eclipse.jetty.util.compression.InflaterPool;

/**
 * A call borrows a Deflater and an Inflater from the pools of a running server, as its GzipHandler
 * does, and returns them.
 */
public final class JettyPools {
    // A server's pools live as long as the server, and this one is never stopped.
    private static final DeflaterPool DEFLATERS = new DeflaterPool(
            CompressionPool.DEFAULT_CAPACITY, Deflater.DEFAULT_COMPRESSION, true);
    private static final InflaterPool INFLATERS =
            new InflaterPool(CompressionPool.DEFAULT_CAPACITY, true);

    private JettyPools() {}

    public static void main(String[] arguments) throws Exception {
        DEFLATERS.start();
        INFLATERS.start();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            byte[] buffer = new byte[100];
            CompressionPool<Deflater>.Entry deflater = DEFLATERS.acquire();
            deflater.get().setInput(new byte[10]);
            deflater.get().finish();
            int written = deflater.get().deflate(buffer);
            deflater.release();
            CompressionPool<Inflater>.Entry inflater = INFLATERS.acquire();
            inflater.get().setInput(buffer, 0, written);
            if (inflater.get().inflate(new byte[20]) != 10) {
                throw new IllegalStateException("came back changed");
            }
            inflater.release();
        }
    }
}
