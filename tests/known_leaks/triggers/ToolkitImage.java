import java.awt.Image;
import java.awt.Toolkit;
import java.awt.image.BufferedImage;
import java.awt.image.PixelGrabber;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;

import javax.imageio.ImageIO;

/**
 * A call decodes one PNG as an applet of 1997 did it: the work is done by a thread called Image
 * Fetcher.
 */
public final class ToolkitImage {
    private ToolkitImage() {}

    public static void main(String[] arguments) throws Exception {
        // Some distributions of JDK 8 name an assistive technology that they do not contain.
        System.setProperty("javax.accessibility.assistive_technologies", "");
        ImageIO.setUseCache(false);
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB), "png", png);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            Image image = Toolkit.getDefaultToolkit().createImage(png.toByteArray());
            if (!new PixelGrabber(image, 0, 0, 8, 8, true).grabPixels()) {
                throw new IllegalStateException("cannot be decoded");
            }
        }
        // The picture is complete a moment before its decoder returns, and until then the Inflater
        // is no garbage.
        while (Thread.getAllStackTraces().values().stream().anyMatch(ToolkitImage::decodes)) {
            Thread.yield();
        }
    }

    private static boolean decodes(StackTraceElement[] stack) {
        return Arrays.stream(stack).anyMatch(frame -> frame.getMethodName().equals("produceImage"));
    }
}
