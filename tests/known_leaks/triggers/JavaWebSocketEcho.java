import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;

import org.java_websocket.WebSocket;
import org.java_websocket.client.WebSocketClient;
import org.java_websocket.drafts.Draft;
import org.java_websocket.drafts.Draft_6455;
import org.java_websocket.extensions.permessage_deflate.PerMessageDeflateExtension;
import org.java_websocket.handshake.ClientHandshake;
import org.java_websocket.handshake.ServerHandshake;
import org.java_websocket.server.WebSocketServer;

/**
 * A call starts a server with permessage-deflate, connects a client to it, has three messages sent
 * back, closes the connection and stops the server.
 */
public final class JavaWebSocketEcho {
    private JavaWebSocketEcho() {}

    public static void main(String[] arguments) throws Exception {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            Echo server = new Echo();
            server.start();
            server.started.await();
            Client client = new Client(server.getPort());
            if (!client.connectBlocking(60, TimeUnit.SECONDS)) {
                throw new IllegalStateException("no connection");
            }
            for (int message = 0; message < 3; message++) {
                client.send(new byte[2000]);
                ByteBuffer echo = client.received.poll(60, TimeUnit.SECONDS);
                if (echo == null || echo.remaining() != 2000) {
                    throw new IllegalStateException("came back changed");
                }
            }
            client.closeBlocking();
            server.stop(60_000);
        }
    }

    private static Draft draft() {
        return new Draft_6455(new PerMessageDeflateExtension());
    }

    private static final class Echo extends WebSocketServer {
        private final CountDownLatch started = new CountDownLatch(1);

        Echo() {
            super(new InetSocketAddress("127.0.0.1", 0), 1, Collections.singletonList(draft()));
        }

        @Override
        public void onMessage(WebSocket connection, ByteBuffer message) {
            connection.send(message);
        }

        @Override
        public void onMessage(WebSocket connection, String message) {}

        @Override
        public void onOpen(WebSocket connection, ClientHandshake handshake) {}

        @Override
        public void onClose(WebSocket connection, int code, String reason, boolean remote) {}

        @Override
        public void onError(WebSocket connection, Exception error) {
            error.printStackTrace();
        }

        @Override
        public void onStart() {
            started.countDown();
        }
    }

    private static final class Client extends WebSocketClient {
        private final SynchronousQueue<ByteBuffer> received = new SynchronousQueue<>();

        Client(int port) {
            super(URI.create("ws://127.0.0.1:" + port), draft());
        }

        @Override
        public void onMessage(ByteBuffer message) {
            try {
                received.put(message);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public void onMessage(String message) {}

        @Override
        public void onOpen(ServerHandshake handshake) {}

        @Override
        public void onClose(int code, String reason, boolean remote) {}

        @Override
        public void onError(Exception error) {
            error.printStackTrace();
        }
    }
}
