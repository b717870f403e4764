import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.zip.GZIPInputStream;

/**
 * A call opens a GZIPInputStream on data that is not gzip: the constructor throws, so there is
 * nothing to close (JDK-8210471).
 */
public final class GzipGarbage {
    private GzipGarbage() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            try (GZIPInputStream gzip = new GZIPInputStream(new ByteArrayInputStream(new byte[100]))) {
                throw new IllegalStateException("garbage was taken: " + gzip);
            } catch (IOException expected) {
                // The header is wrong.
            }
        }
    }
}
