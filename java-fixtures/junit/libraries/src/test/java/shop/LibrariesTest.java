package shop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jsonwebtoken.CompressionCodec;
import io.jsonwebtoken.impl.compression.DeflateCompressionCodec;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.Buffer;
import java.nio.ByteBuffer;

import org.HdrHistogram.Histogram;
import org.apache.commons.compress.compressors.deflate.DeflateCompressorInputStream;
import org.apache.commons.compress.compressors.deflate.DeflateCompressorOutputStream;
import org.junit.jupiter.api.Test;
import zaudit.junit.NoZlibLeaks;

/** Each test uses a library as it should be used. */
@NoZlibLeaks
class LibrariesTest {
    @Test
    void commonsCompress() throws Exception {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        try (OutputStream deflated = new DeflateCompressorOutputStream(written)) {
            deflated.write(42);
        }
        try (InputStream inflated = new DeflateCompressorInputStream(
                new ByteArrayInputStream(written.toByteArray()))) {
            assertEquals(42, inflated.read());
        }
    }

    @Test
    void hdrHistogram() throws Exception {
        Histogram histogram = new Histogram(3600000000L, 3);
        histogram.recordValue(1234);
        ByteBuffer encoded = ByteBuffer.allocate(histogram.getNeededByteBufferCapacity());
        histogram.encodeIntoCompressedByteBuffer(encoded);
        // JDK 8 has no such method in ByteBuffer.
        ((Buffer) encoded).flip();
        assertEquals(1, Histogram.decodeFromCompressedByteBuffer(encoded, 0).getTotalCount());
    }

    @Test
    void jjwt() {
        CompressionCodec codec = new DeflateCompressionCodec();
        byte[] payload = new byte[1000];
        assertArrayEquals(payload, codec.decompress(codec.compress(payload)));
    }

    @Test
    void noLibrary() {
        new java.util.zip.Deflater().end();
    }
}
