package bench;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/**
 * Reads gzip and answers with gzip, over HTTP. Prints its port, and ends when its stdin does.
 */
public final class Service {
    private Service() {}

    public static void main(String[] args) throws Exception {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        HttpServer server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", Service::answer);
        server.start();
        System.out.println("port=" + server.getAddress().getPort());
        while (System.in.read() >= 0) {
            // until it ends
        }
        System.exit(0);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        byte[] text;
        try (InputStream in = new GZIPInputStream(exchange.getRequestBody())) {
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            byte[] buffer = new byte[4096];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                read.write(buffer, 0, n);
            }
            text = read.toByteArray();
        }
        byte[] body = compress(text);
        exchange.getResponseHeaders().set("Content-Encoding", "gzip");
        exchange.sendResponseHeaders(200, body.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(body);
        }
    }

    static byte[] compress(byte[] text) throws IOException {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(written)) {
            out.write(text);
        }
        return written.toByteArray();
    }
}
