import java.io.ByteArrayOutputStream;
import java.io.IOException;

import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDPage;
import org.apache.pdfbox.pdmodel.PDPageContentStream;

/** A call makes a document of one page and saves it; all is closed. */
public final class PdfBoxSave {
    private PdfBoxSave() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteArrayOutputStream saved = new ByteArrayOutputStream();
            try (PDDocument document = new PDDocument()) {
                PDPage page = new PDPage();
                document.addPage(page);
                try (PDPageContentStream content =
                        new PDPageContentStream(document, page, PDPageContentStream.AppendMode.OVERWRITE, true)) {
                    content.addRect(10, 10, 50, 50);
                    content.fill();
                }
                document.save(saved);
            }
            if (saved.size() == 0) {
                throw new IllegalStateException("nothing was saved");
            }
        }
    }
}
