import java.io.IOException;

import org.apache.lucene.codecs.Codec;
import org.apache.lucene.codecs.FilterCodec;
import org.apache.lucene.codecs.StoredFieldsFormat;
import org.apache.lucene.codecs.lucene50.Lucene50StoredFieldsFormat;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.RAMDirectory;

/**
 * A call writes one document with BEST_COMPRESSION to an index of one segment, reads it back, and
 * closes all that it opened.
 */
public final class LuceneStoredFields {
    private LuceneStoredFields() {}

    public static void main(String[] arguments) throws IOException {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            call();
        }
    }

    private static void call() throws IOException {
        try (Directory directory = new RAMDirectory()) {
            try (IndexWriter writer = new IndexWriter(directory, configuration())) {
                Document document = new Document();
                document.add(new StoredField("text", "some text"));
                writer.addDocument(document);
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                if (!reader.document(0).get("text").equals("some text")) {
                    throw new IllegalStateException("came back changed");
                }
            }
        }
    }

    private static IndexWriterConfig configuration() {
        Codec codec = Codec.getDefault();
        IndexWriterConfig config = new IndexWriterConfig(null).setMergePolicy(NoMergePolicy.INSTANCE);
        return config.setCodec(new FilterCodec(codec.getName(), codec) {
            @Override
            public StoredFieldsFormat storedFieldsFormat() {
                return new Lucene50StoredFieldsFormat(Lucene50StoredFieldsFormat.Mode.BEST_COMPRESSION);
            }
        });
    }
}
