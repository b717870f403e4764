package shop;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;

/**
 * A small service: GZIPOutputStreams that are closed compress pages, and pooled Deflaters compress
 * the catalogue. Orders are compressed; a broken one is refused, and its Inflater is forgotten.
 */
public final class Shop {
    private static final int POOL = 8;
    private static final byte[] PAGE = page();

    /** The pool: created when the service starts, and kept. */
    private final BlockingQueue<Deflater> deflaters = new ArrayBlockingQueue<Deflater>(POOL);

    private Shop() {
        for (int i = 0; i < POOL; i++) {
            deflaters.add(new Deflater());
        }
    }

    public static void main(String[] args) throws IOException {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        Shop shop = new Shop();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/page", exchange -> answer(exchange, 200, shop.page(exchange)));
        server.createContext("/catalogue", exchange -> answer(exchange, 200, shop.catalogue(exchange)));
        server.createContext("/order", shop::order);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
        System.out.println("open on " + server.getAddress().getPort());
        // The process that started it closes its standard input.
        while (System.in.read() >= 0) {}
        server.stop(0);
        System.exit(0);
    }

    private byte[] page(HttpExchange exchange) throws IOException {
        drain(exchange);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream zipped = new GZIPOutputStream(bytes)) {
            zipped.write(PAGE);
        }
        return bytes.toByteArray();
    }

    private byte[] catalogue(HttpExchange exchange) throws IOException {
        drain(exchange);
        Deflater deflater;
        try {
            deflater = deflaters.take();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
        try {
            deflater.setInput(PAGE);
            deflater.finish();
            byte[] buffer = new byte[PAGE.length + 64];
            int length = deflater.deflate(buffer);
            return java.util.Arrays.copyOf(buffer, length);
        } finally {
            deflater.reset();
            deflaters.add(deflater);
        }
    }

    private void order(HttpExchange exchange) throws IOException {
        try {
            byte[] order = OrderCodec.decode(drain(exchange));
            answer(exchange, 200, ("thank you for " + order.length + " bytes").getBytes(StandardCharsets.UTF_8));
        } catch (DataFormatException e) {
            answer(exchange, 400, "this is no order".getBytes(StandardCharsets.UTF_8));
        }
    }

    private static byte[] drain(HttpExchange exchange) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] buffer = new byte[4096];
        try (InputStream in = exchange.getRequestBody()) {
            for (int count; (count = in.read(buffer)) > 0;) {
                all.write(buffer, 0, count);
            }
        }
        return all.toByteArray();
    }

    private static void answer(HttpExchange exchange, int code, byte[] body) throws IOException {
        exchange.sendResponseHeaders(code, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static byte[] page() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 200; i++) {
            text.append("<li>Article ").append(i * 7919 % 1000).append("</li>\n");
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }
}
