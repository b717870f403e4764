import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;

import org.apache.pekko.actor.ActorSystem;
import org.apache.pekko.http.javadsl.coding.Coder;
import org.apache.pekko.stream.Materializer;
import org.apache.pekko.stream.SystemMaterializer;
import org.apache.pekko.util.ByteString;

/** A call decodes one body that is gzip and one that is Deflate, each to its end. */
public final class PekkoHttpDecode {
    private PekkoHttpDecode() {}

    public static void main(String[] arguments) throws Exception {
        Config config = ConfigFactory.parseString("pekko.loglevel = OFF");
        ActorSystem system =
                ActorSystem.create("decode", config.withFallback(ConfigFactory.load()));
        Materializer materializer = SystemMaterializer.get(system).materializer();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            decode(Coder.Gzip, gzip(), materializer);
            decode(Coder.Deflate, deflate(), materializer);
        }
        system.terminate();
        system.getWhenTerminated().toCompletableFuture().get(60, TimeUnit.SECONDS);
    }

    private static void decode(Coder coder, byte[] body, Materializer materializer)
            throws Exception {
        ByteString decoded = coder.decode(ByteString.fromArray(body), materializer)
                .toCompletableFuture().get(60, TimeUnit.SECONDS);
        if (decoded.size() != 1000) {
            throw new IllegalStateException("came back changed");
        }
    }

    private static byte[] gzip() throws IOException {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        try (GZIPOutputStream stream = new GZIPOutputStream(written)) {
            stream.write(new byte[1000]);
        }
        return written.toByteArray();
    }

    private static byte[] deflate() throws IOException {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        try (DeflaterOutputStream stream = new DeflaterOutputStream(written)) {
            stream.write(new byte[1000]);
        }
        return written.toByteArray();
    }
}
