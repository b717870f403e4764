import java.util.Collections;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.WebSocket;
import okhttp3.WebSocketListener;
import okhttp3.mockwebserver.MockResponse;
import okhttp3.mockwebserver.MockWebServer;

/**
 * A call connects a client to a server, with permessage-deflate, has one message sent back, and
 * closes the connection.
 */
public final class OkHttpWebSocketEcho {
    private static final BlockingQueue<Boolean> CLOSED = new LinkedBlockingQueue<>();

    private OkHttpWebSocketEcho() {}

    public static void main(String[] arguments) throws Exception {
        MockWebServer server = new MockWebServer();
        server.start();
        OkHttpClient client = new OkHttpClient();
        String text = String.join(" ", Collections.nCopies(1000, "text"));
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            server.enqueue(new MockResponse()
                    .addHeader("Sec-WebSocket-Extensions", "permessage-deflate")
                    .withWebSocketUpgrade(new Echo()));
            Client listener = new Client();
            Request request = new Request.Builder().url(server.url("/")).build();
            WebSocket socket = client.newWebSocket(request, listener);
            socket.send(text);
            if (!text.equals(listener.received.poll(60, TimeUnit.SECONDS))) {
                throw new IllegalStateException("came back changed");
            }
            socket.close(1000, null);
            CLOSED.take();
            CLOSED.take();
        }
        client.dispatcher().executorService().shutdown();
        client.connectionPool().evictAll();
        server.shutdown();
        System.exit(0);
    }

    private static final class Echo extends WebSocketListener {
        @Override
        public void onMessage(WebSocket socket, String text) {
            socket.send(text);
        }

        @Override
        public void onClosing(WebSocket socket, int code, String reason) {
            socket.close(code, null);
        }

        @Override
        public void onClosed(WebSocket socket, int code, String reason) {
            CLOSED.add(true);
        }
    }

    private static final class Client extends WebSocketListener {
        private final BlockingQueue<String> received = new LinkedBlockingQueue<>();

        @Override
        public void onMessage(WebSocket socket, String text) {
            received.add(text);
        }

        @Override
        public void onFailure(WebSocket socket, Throwable error, Response response) {
            error.printStackTrace();
        }

        @Override
        public void onClosed(WebSocket socket, int code, String reason) {
            CLOSED.add(true);
        }
    }
}
