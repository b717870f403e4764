// Inflaters that a method returns in a stream, or keeps in a field. The streams are closed, which
// ends no Inflater that they were given, and so is the object.
// expect: inflater created 3, collected 3
// expect on 8: inflater created 3, late 3

import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

public class HandedOn {
    public static void main(String[] args) throws IOException {
        created();
        decoded();
        kept();
        System.out.println("done");
    }

    private static void created() throws IOException {
        try (InputStream in = createStream(new byte[0])) {
            in.markSupported();
        }
    }

    private static void decoded() throws IOException {
        try (InputStream in = decode(new byte[0])) {
            in.markSupported();
        }
    }

    private static void kept() {
        try (Codec codec = new Codec()) {
            codec.initialize();
        }
    }

    private static InputStream createStream(byte[] bytes) {
        return new InflaterInputStream(new ByteArrayInputStream(bytes), new Inflater());
    }

    private static InputStream decode(byte[] bytes) {
        return new InflaterInputStream(new ByteArrayInputStream(bytes), new Inflater());
    }

    private static final class Codec implements Closeable {
        private Inflater inflater;

        void initialize() {
            inflater = new Inflater();
        }

        @Override
        public void close() {
            inflater = null;
        }
    }
}
