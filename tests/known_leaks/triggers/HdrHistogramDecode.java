import java.nio.ByteBuffer;
import java.util.zip.DataFormatException;

import org.HdrHistogram.Histogram;

/** A call decodes one compressed histogram, which needs an Inflater. */
public final class HdrHistogramDecode {
    private HdrHistogramDecode() {}

    public static void main(String[] arguments) throws DataFormatException {
        Histogram histogram = new Histogram(3600000000L, 3);
        histogram.recordValue(1234);
        ByteBuffer encoded = ByteBuffer.allocate(histogram.getNeededByteBufferCapacity());
        histogram.encodeIntoCompressedByteBuffer(encoded);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            encoded.flip();
            if (Histogram.decodeFromCompressedByteBuffer(encoded, 0).getTotalCount() != 1) {
                throw new IllegalStateException("came back changed");
            }
        }
    }
}
