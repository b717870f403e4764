import java.util.concurrent.TimeUnit;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;

/** A call requests a page that the server compresses and the client decompresses. */
public final class VertxCompression {
    private VertxCompression() {}

    public static void main(String[] arguments) throws Exception {
        Vertx vertx = Vertx.vertx();
        HttpServerOptions compress = new HttpServerOptions().setCompressionSupported(true);
        HttpServer server = vertx.createHttpServer(compress)
                .requestHandler(request -> request.response().end(Buffer.buffer(new byte[10000])));
        get(server.listen(0, "127.0.0.1"));
        HttpClient client = vertx.createHttpClient(
                new HttpClientOptions().setDecompressionSupported(true).setKeepAlive(false));
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            Buffer page = get(client.request(HttpMethod.GET, server.actualPort(), "127.0.0.1", "/")
                    .compose(request -> request.send())
                    .compose(HttpClientResponse::body));
            if (page.length() != 10000) {
                throw new IllegalStateException("came back changed: " + page.length());
            }
        }
        get(client.close());
        get(server.close());
        get(vertx.close());
    }

    private static <T> T get(Future<T> future) throws Exception {
        return future.toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
    }
}
