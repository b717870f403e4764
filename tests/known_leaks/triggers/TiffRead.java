import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageOutputStream;

/**
 * A call reads one small TIFF with Deflate, whose reader is disposed of, and writes it with the
 * compression types LZW and PackBits.
 */
public final class TiffRead {
    private TiffRead() {}

    public static void main(String[] arguments) throws IOException {
        ImageIO.setUseCache(false);
        byte[] deflated = written("Deflate");
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ImageReader reader = ImageIO.getImageReadersByFormatName("tiff").next();
            try (ImageInputStream stream =
                    ImageIO.createImageInputStream(new ByteArrayInputStream(deflated))) {
                reader.setInput(stream);
                if (reader.read(0).getWidth() != 8) {
                    throw new IllegalStateException("came back changed");
                }
            } finally {
                reader.dispose();
            }
            written("LZW");
            written("PackBits");
        }
    }

    private static byte[] written(String compression) throws IOException {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        ImageWriter writer = ImageIO.getImageWritersByFormatName("tiff").next();
        try (ImageOutputStream stream = ImageIO.createImageOutputStream(written)) {
            writer.setOutput(stream);
            ImageWriteParam how = writer.getDefaultWriteParam();
            how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            how.setCompressionType(compression);
            BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            writer.write(null, new IIOImage(image, null, null), how);
        } finally {
            writer.dispose();
        }
        return written.toByteArray();
    }
}
