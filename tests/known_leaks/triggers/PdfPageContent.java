import java.io.ByteArrayOutputStream;

import com.lowagie.text.Document;
import com.lowagie.text.Paragraph;
import com.lowagie.text.pdf.PdfReader;
import com.lowagie.text.pdf.PdfWriter;

/** A call writes a document of one page, and reads the content of that page; all is closed. */
public final class PdfPageContent {
    private PdfPageContent() {}

    public static void main(String[] arguments) throws Exception {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            ByteArrayOutputStream written = new ByteArrayOutputStream();
            Document document = new Document();
            PdfWriter.getInstance(document, written);
            document.open();
            document.add(new Paragraph("some text"));
            document.close();
            PdfReader reader = new PdfReader(written.toByteArray());
            if (!new String(reader.getPageContent(1), "ISO-8859-1").contains("some text")) {
                throw new IllegalStateException("came back changed");
            }
            reader.close();
        }
    }
}
