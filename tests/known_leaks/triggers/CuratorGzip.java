import java.util.Arrays;

import org.apache.curator.framework.imps.GzipCompressionProvider;

/**
 * A call compresses the data of a node and decompresses it; the provider keeps what it needs for
 * the next call.
 */
public final class CuratorGzip {
    private CuratorGzip() {}

    public static void main(String[] arguments) throws Exception {
        GzipCompressionProvider provider = new GzipCompressionProvider();
        byte[] data = new byte[1000];
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!Arrays.equals(provider.decompress("/node", provider.compress("/node", data)), data)) {
                throw new IllegalStateException("came back changed");
            }
        }
    }
}
