import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/**
 * A call writes one small image as TIFF with Deflate; the stream is closed and the writer disposed
 * of.
 */
public final class TiffWrite {
    private TiffWrite() {}

    public static void main(String[] arguments) throws IOException {
        ImageIO.setUseCache(false);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteArrayOutputStream written = new ByteArrayOutputStream();
            ImageWriter writer = ImageIO.getImageWritersByFormatName("tiff").next();
            try (ImageOutputStream stream = ImageIO.createImageOutputStream(written)) {
                writer.setOutput(stream);
                ImageWriteParam how = writer.getDefaultWriteParam();
                how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
                how.setCompressionType("Deflate");
                BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
                writer.write(null, new IIOImage(image, null, null), how);
            } finally {
                writer.dispose();
            }
            if (written.size() == 0) {
                throw new IllegalStateException("nothing was written");
            }
        }
    }
}
