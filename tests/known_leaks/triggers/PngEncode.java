import java.awt.image.BufferedImage;

import com.pngencoder.PngEncoder;

/** A call encodes one small image on one thread. */
public final class PngEncode {
    private PngEncode() {}

    public static void main(String[] arguments) {
        BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_ARGB);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            byte[] png = new PngEncoder()
                    .withBufferedImage(image)
                    .withMultiThreadedCompressionEnabled(false)
                    .toBytes();
            if (png.length == 0) {
                throw new IllegalStateException("nothing was written");
            }
        }
    }
}
