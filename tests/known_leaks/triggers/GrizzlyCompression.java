import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

import org.glassfish.grizzly.http.CompressionConfig.CompressionMode;
import org.glassfish.grizzly.http.server.HttpHandler;
import org.glassfish.grizzly.http.server.HttpServer;
import org.glassfish.grizzly.http.server.NetworkListener;
import org.glassfish.grizzly.http.server.Request;
import org.glassfish.grizzly.http.server.Response;

/** A call requests a page that the server compresses, and reads it to its end. */
public final class GrizzlyCompression {
    private GrizzlyCompression() {}

    public static void main(String[] arguments) throws IOException {
        HttpServer server = new HttpServer();
        NetworkListener listener = new NetworkListener("page", "127.0.0.1", 0);
        listener.getCompressionConfig().setCompressionMode(CompressionMode.FORCE);
        server.addListener(listener);
        server.getServerConfiguration().addHttpHandler(new Page(), "/");
        server.start();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            if (!request(listener.getPort()).toLowerCase().contains("content-encoding: gzip")) {
                throw new IllegalStateException("not compressed");
            }
        }
        server.shutdownNow();
    }

    private static String request(int port) throws IOException {
        try (Socket socket = new Socket(InetAddress.getByName("127.0.0.1"), port)) {
            String request = "GET / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n"
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

    private static final class Page extends HttpHandler {
        @Override
        public void service(Request request, Response response) throws IOException {
            response.setContentType("text/plain");
            response.getOutputStream().write(new byte[10000]);
        }
    }
}
