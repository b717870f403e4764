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

import com.twelvemonkeys.imageio.plugins.tiff.TIFFImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.tiff.TIFFImageWriterSpi;

/** A call reads one TIFF of Deflate; the stream is closed and the reader disposed of. */
public final class TwelveMonkeysTiff {
    private TwelveMonkeysTiff() {}

    public static void main(String[] arguments) throws IOException {
        ImageIO.setUseCache(false);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ImageReader reader = new TIFFImageReaderSpi().createReaderInstance(null);
            try (ImageInputStream stream =
                    ImageIO.createImageInputStream(new ByteArrayInputStream(tiff()))) {
                reader.setInput(stream);
                if (reader.read(0).getWidth() != 8) {
                    throw new IllegalStateException("came back changed");
                }
            } finally {
                reader.dispose();
            }
        }
    }

    private static byte[] tiff() throws IOException {
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        ImageWriter writer = new TIFFImageWriterSpi().createWriterInstance(null);
        try (ImageOutputStream stream = ImageIO.createImageOutputStream(written)) {
            writer.setOutput(stream);
            ImageWriteParam how = writer.getDefaultWriteParam();
            how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            how.setCompressionType("ZLib");
            BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            writer.write(null, new IIOImage(image, null, null), how);
        } finally {
            writer.dispose();
        }
        return written.toByteArray();
    }
}
