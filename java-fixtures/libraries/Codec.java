package com.sun.acme;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;

/** In a package that begins as those of the JDK do, as JavaMail's is. It forgets both. */
public final class Codec {
    private Codec() {}

    public static void pack(byte[] bytes) {
        Deflater deflater = new Deflater();
        deflater.setInput(bytes);
        deflater.finish();
        deflater.deflate(new byte[200]);
    }

    public static void stream(byte[] bytes) throws IOException {
        GZIPOutputStream gzip = new GZIPOutputStream(new ByteArrayOutputStream());
        gzip.write(bytes);
        gzip.finish();
    }
}
