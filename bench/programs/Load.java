package bench;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Sends the same gzip request again and again, over connections that stay open.
 *
 * <p>{@code Load PORT CONNECTIONS WARMUP_MS MEASURE_MS WINDOW_MS} prints the requests per second in
 * the median window, in the best one and on average, and the number of all requests.
 */
public final class Load {
    private static final AtomicLong ANSWERED = new AtomicLong();

    private Load() {}

    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        byte[] body = Service.compress(Work.text(4096));
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        String head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
                + "Content-Length: " + body.length + "\r\n\r\n";
        request.write(head.getBytes(StandardCharsets.US_ASCII));
        request.write(body);
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            Thread thread = new Thread(() -> send(port, request.toByteArray()));
            thread.setDaemon(true);
            thread.start();
        }
        Thread.sleep(Long.parseLong(args[2]));
        long window = Long.parseLong(args[4]);
        double[] rates = new double[(int) (Long.parseLong(args[3]) / window)];
        long begin = System.nanoTime();
        long first = ANSWERED.get();
        for (int i = 0; i < rates.length; i++) {
            long start = System.nanoTime();
            long before = ANSWERED.get();
            Thread.sleep(window);
            rates[i] = (ANSWERED.get() - before) * 1e9 / (System.nanoTime() - start);
        }
        double mean = (ANSWERED.get() - first) * 1e9 / (System.nanoTime() - begin);
        Arrays.sort(rates);
        System.out.println("median=" + rates[rates.length / 2] + " max=" + rates[rates.length - 1]
                + " mean=" + mean + " requests=" + ANSWERED.get());
    }

    private static void send(int port, byte[] request) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setTcpNoDelay(true);
            InputStream in = new BufferedInputStream(socket.getInputStream());
            OutputStream out = socket.getOutputStream();
            while (true) {
                out.write(request);
                read(in);
                ANSWERED.incrementAndGet();
            }
        } catch (IOException e) {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static void read(InputStream in) throws IOException {
        String status = line(in);
        if (!status.startsWith("HTTP/1.1 200 ")) {
            throw new IOException("answer: " + status);
        }
        long length = -1;
        for (String line = line(in); !line.isEmpty(); line = line(in)) {
            if (line.toLowerCase(Locale.ROOT).startsWith("content-length:")) {
                length = Long.parseLong(line.substring(15).trim());
            }
        }
        for (long i = 0; i < length; i++) {
            if (in.read() < 0) {
                throw new EOFException();
            }
        }
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                throw new EOFException();
            }
            if (c != '\r') {
                line.append((char) c);
            }
        }
        return line.toString();
    }
}
