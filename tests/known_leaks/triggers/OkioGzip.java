import java.io.IOException;

import okio.Buffer;
import okio.BufferedSink;
import okio.BufferedSource;
import okio.GzipSink;
import okio.GzipSource;
import okio.Okio;

/** A call writes through a GzipSink and reads back through a GzipSource; both are closed. */
public final class OkioGzip {
    private OkioGzip() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            Buffer written = new Buffer();
            try (BufferedSink sink = Okio.buffer(new GzipSink(written))) {
                sink.writeUtf8("some text");
            }
            try (BufferedSource source = Okio.buffer(new GzipSource(written))) {
                if (!source.readUtf8().equals("some text")) {
                    throw new IllegalStateException("came back changed");
                }
            }
        }
    }
}
