import java.io.IOException;

import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

import org.eclipse.jetty.server.LocalConnector;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.handler.AbstractHandler;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;

/**
 * A call requests a page, which is compressed, from a server in this process that is never stopped.
 */
public final class JettyGzipHandler {
    private static final Server SERVER = new Server();

    private JettyGzipHandler() {}

    public static void main(String[] arguments) throws Exception {
        LocalConnector connector = new LocalConnector(SERVER);
        SERVER.addConnector(connector);
        GzipHandler gzip = new GzipHandler();
        gzip.setMinGzipSize(10);
        gzip.setHandler(new Page());
        SERVER.setHandler(gzip);
        SERVER.start();
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            String request = "GET / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
            LocalConnector.LocalEndPoint connection = connector.executeRequest(request);
            // The response arrives before the Deflater is back in the pool; the connection is
            // closed after both.
            connection.waitUntilClosed();
            if (!connection.takeOutputString().contains("Content-Encoding: gzip")) {
                throw new IllegalStateException("not compressed");
            }
        }
        // The server's threads would keep the JVM.
        System.exit(0);
    }

    private static final class Page extends AbstractHandler {
        @Override
        public void handle(
                String target, Request base, HttpServletRequest request, HttpServletResponse response)
                throws IOException {
            base.setHandled(true);
            response.setContentType("text/plain");
            response.getOutputStream().write(new byte[1000]);
        }
    }
}
