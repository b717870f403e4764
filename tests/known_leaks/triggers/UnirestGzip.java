import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;

import com.mashape.unirest.http.Unirest;
import com.sun.net.httpserver.HttpServer;

/** A call requests a page that is gzip from a server on the loopback interface, as a String. */
public final class UnirestGzip {
    private UnirestGzip() {}

    public static void main(String[] arguments) throws Exception {
        InetSocketAddress any = new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0);
        HttpServer server = HttpServer.create(any, 0);
        server.createContext("/", exchange -> {
            exchange.getResponseHeaders().set("Content-Encoding", "gzip");
            exchange.sendResponseHeaders(200, 0);
            write(exchange.getResponseBody());
        });
        server.start();
        String page = "http://127.0.0.1:" + server.getAddress().getPort() + "/";
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            String text = Unirest.get(page).asStringAsync().get(60, TimeUnit.SECONDS).getBody();
            if (!text.equals("some text")) {
                throw new IllegalStateException("came back changed");
            }
        }
        Unirest.shutdown();
        server.stop(0);
    }

    private static void write(OutputStream body) throws IOException {
        try (GZIPOutputStream stream = new GZIPOutputStream(body)) {
            stream.write("some text".getBytes());
        }
    }
}
