package shop;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.zip.DeflaterOutputStream;

/**
 * Customers of the {@link Shop}: 10 requests a round, a round every 20 milliseconds, in every
 * second round a broken order among them. Prints the numbers of both when its standard input is
 * closed.
 */
public final class Customers {
    private static volatile boolean closed;

    private Customers() {}

    public static void main(String[] args) throws Exception {
        String shop = "http://127.0.0.1:" + args[0];
        byte[] order = order();
        int rounds = 0;
        int broken = 0;
        int requests = 0;
        Thread waiter = new Thread(Customers::waitForTheEnd);
        waiter.setDaemon(true);
        waiter.start();
        // The loop is bounded: a process that is left over ends by itself.
        for (; !closed && rounds < 20_000; rounds++) {
            for (int i = 0; i < 10; i++, requests++) {
                boolean breaks = i == 9 && rounds % 2 == 1;
                int code = breaks ? request(shop + "/order", new byte[] {1, 2, 3, 4})
                        : i < 5 ? request(shop + "/page", null)
                        : i < 7 ? request(shop + "/catalogue", null)
                        : request(shop + "/order", order);
                if (code != (breaks ? 400 : 200)) {
                    throw new IOException("the shop answered " + code);
                }
                broken += breaks ? 1 : 0;
            }
            Thread.sleep(20);
        }
        System.out.println("requests " + requests + ", of them broken " + broken);
    }

    private static void waitForTheEnd() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException e) {
            // Closed all the same.
        }
        closed = true;
    }

    private static byte[] order() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DeflaterOutputStream zipped = new DeflaterOutputStream(bytes)) {
            zipped.write("three pounds of flour".getBytes("UTF-8"));
        }
        return bytes.toByteArray();
    }

    private static int request(String address, byte[] body) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(address).openConnection();
        if (body != null) {
            connection.setDoOutput(true);
            connection.getOutputStream().write(body);
        }
        int code = connection.getResponseCode();
        byte[] buffer = new byte[4096];
        try (InputStream in = code < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            while (in.read(buffer) > 0) {}
        }
        return code;
    }
}
