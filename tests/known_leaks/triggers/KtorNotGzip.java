import java.io.IOException;
import java.io.InputStream;

import io.ktor.util.GZipEncoder;
import io.ktor.utils.io.ByteChannelCtorKt;
import io.ktor.utils.io.ByteReadChannel;
import io.ktor.utils.io.jvm.javaio.BlockingKt;

import kotlinx.coroutines.Dispatchers;

/** A call decodes a body that is no gzip, although its header says so; the stream is closed. */
public final class KtorNotGzip {
    private KtorNotGzip() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteReadChannel body = ByteChannelCtorKt.ByteReadChannel(new byte[100], 0, 100);
            // On the thread of the caller.
            ByteReadChannel decoded =
                    GZipEncoder.INSTANCE.decode(body, Dispatchers.getUnconfined());
            try (InputStream stream = BlockingKt.toInputStream(decoded, null)) {
                if (stream.read() >= 0) {
                    throw new AssertionError("was taken for gzip");
                }
            } catch (IOException | IllegalStateException ignored) {
                // Some releases say what is wrong, others that there is nothing to read.
            }
        }
    }
}
