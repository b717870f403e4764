import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

import javax.imageio.ImageIO;

/** A call writes one small image as PNG and reads it back. */
public final class ImageIoPng {
    private ImageIoPng() {}

    public static void main(String[] arguments) throws IOException {
        ImageIO.setUseCache(false);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB), "png", png);
            if (ImageIO.read(new ByteArrayInputStream(png.toByteArray())).getWidth() != 8) {
                throw new IllegalStateException("came back changed");
            }
        }
    }
}
