import java.net.URI;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.api.WebSocketAdapter;
import org.eclipse.jetty.websocket.client.ClientUpgradeRequest;
import org.eclipse.jetty.websocket.client.WebSocketClient;
import org.eclipse.jetty.websocket.server.WebSocketHandler;
import org.eclipse.jetty.websocket.servlet.WebSocketServletFactory;

/**
 * A call starts a server and a client, connects them with permessage-deflate, has one message sent
 * back, closes the connection, and stops both.
 */
public final class JettyWebSocketEcho {
    private JettyWebSocketEcho() {}

    public static void main(String[] arguments) throws Exception {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            call();
        }
    }

    private static void call() throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        server.addConnector(connector);
        server.setHandler(new WebSocketHandler() {
            @Override
            public void configure(WebSocketServletFactory factory) {
                factory.register(Echo.class);
            }
        });
        server.start();
        WebSocketClient client = new WebSocketClient();
        client.start();
        URI uri = URI.create("ws://127.0.0.1:" + connector.getLocalPort() + "/");
        ClientUpgradeRequest request = new ClientUpgradeRequest();
        request.addExtensions("permessage-deflate");
        Client socket = new Client();
        Session session = client.connect(socket, uri, request).get(60, TimeUnit.SECONDS);
        session.getRemote().sendString("some text");
        if (!"some text".equals(socket.received.poll(60, TimeUnit.SECONDS))) {
            throw new IllegalStateException("came back changed");
        }
        session.close();
        socket.closed.await();
        Echo.CLOSED.take();
        client.stop();
        server.stop();
    }

    /** The server's side of a connection. */
    public static final class Echo extends WebSocketAdapter {
        private static final BlockingQueue<Boolean> CLOSED = new LinkedBlockingQueue<>();

        @Override
        public void onWebSocketText(String message) {
            getRemote().sendStringByFuture(message);
        }

        @Override
        public void onWebSocketClose(int status, String reason) {
            super.onWebSocketClose(status, reason);
            CLOSED.add(true);
        }
    }

    /** The client's side of a connection. */
    public static final class Client extends WebSocketAdapter {
        private final BlockingQueue<String> received = new LinkedBlockingQueue<>();
        private final CountDownLatch closed = new CountDownLatch(1);

        @Override
        public void onWebSocketText(String message) {
            received.add(message);
        }

        @Override
        public void onWebSocketClose(int status, String reason) {
            closed.countDown();
        }
    }
}
