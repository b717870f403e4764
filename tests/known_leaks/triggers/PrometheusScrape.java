import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.Counter;
import io.prometheus.client.exporter.HTTPServer;

/** A call scrapes the metrics of this program once, with gzip. */
public final class PrometheusScrape {
    private PrometheusScrape() {}

    public static void main(String[] arguments) throws IOException {
        CollectorRegistry registry = new CollectorRegistry();
        Counter.build("calls", "how often").register(registry).inc();
        Exporter server = new Exporter(registry);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!scrape(server.port()).toLowerCase().contains("content-encoding: gzip")) {
                throw new IllegalStateException("not compressed");
            }
        }
        server.stop();
    }

    private static String scrape(int port) throws IOException {
        try (Socket socket = new Socket(InetAddress.getByName("127.0.0.1"), port)) {
            String request = "GET /metrics HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n"
                    + "Connection: close\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
            InputStream stream = socket.getInputStream();
            ByteArrayOutputStream response = new ByteArrayOutputStream();
            for (int next = stream.read(); next >= 0; next = stream.read()) {
                response.write(next);
            }
            return response.toString("ISO-8859-1");
        }
    }

    /** The oldest releases say only to subclasses which port they got. */
    private static final class Exporter extends HTTPServer {
        Exporter(CollectorRegistry registry) throws IOException {
            super(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), registry);
        }

        int port() {
            return server.getAddress().getPort();
        }
    }
}
