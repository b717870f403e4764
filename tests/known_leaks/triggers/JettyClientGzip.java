import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.zip.GZIPOutputStream;

import com.sun.net.httpserver.HttpServer;

import org.eclipse.jetty.client.HttpClient;

/** A call requests a page that is gzip from a server on the loopback interface. */
public final class JettyClientGzip {
    private JettyClientGzip() {}

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
        HttpClient client = new HttpClient();
        client.start();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!client.GET(page).getContentAsString().equals("some text")) {
                throw new IllegalStateException("came back changed");
            }
        }
        client.stop();
        server.stop(0);
    }

    private static void write(OutputStream body) throws IOException {
        try (GZIPOutputStream stream = new GZIPOutputStream(body)) {
            stream.write("some text".getBytes());
        }
    }
}
