package bookshop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.codecs.lucene50.Lucene50StoredFieldsFormat.Mode;
import org.apache.lucene.codecs.lucene62.Lucene62Codec;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field.Store;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LogDocMergePolicy;
import org.apache.lucene.index.SerialMergeScheduler;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.NIOFSDirectory;

/**
 * An ordinary program that uses Lucene as its manual says, and closes everything that it opens: it
 * indexes books in batches, with stored fields in BEST_COMPRESSION, reads the stored fields back
 * after each batch, and merges the index at the end.
 *
 * Expected: no leak of its own. What the agent reports here is Lucene's: its stored fields up to
 * 6.4.0 forget each Deflater and Inflater, and from 6.4.1 on (LUCENE-7647) none.
 *
 * One thread, a merge policy that counts documents and no flush but at a commit make the number of
 * compressors the same in every run.
 */
public final class IndexBooks {
    private static final int BATCHES = 12;
    private static final int BOOKS_PER_BATCH = 50;

    private IndexBooks() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("books");
        try (Directory directory = new NIOFSDirectory(folder)) {
            int stored = 0;
            int readBack = 0;
            int segments;
            try (StandardAnalyzer analyzer = new StandardAnalyzer();
                    IndexWriter writer = new IndexWriter(directory, configuration(analyzer))) {
                for (int batch = 0; batch < BATCHES; batch++) {
                    stored += store(writer, batch);
                    readBack += readBack(directory, batch);
                }
                segments = segments(directory);
                writer.forceMerge(1);
                writer.commit();
            }
            for (int batch = 0; batch < BATCHES; batch++) {
                readBack += readBack(directory, batch);
            }
            System.out.println("books stored: " + stored + ", read back: " + readBack
                    + ", segments: " + segments + ", merged into: " + segments(directory));
        } finally {
            delete(folder);
        }
    }

    private static IndexWriterConfig configuration(StandardAnalyzer analyzer) {
        return new IndexWriterConfig(analyzer)
                .setCodec(new Lucene62Codec(Mode.BEST_COMPRESSION))
                .setMaxBufferedDocs(2 * BOOKS_PER_BATCH)
                .setRAMBufferSizeMB(IndexWriterConfig.DISABLE_AUTO_FLUSH)
                .setMergePolicy(new LogDocMergePolicy())
                .setMergeScheduler(new SerialMergeScheduler());
    }

    private static int store(IndexWriter writer, int batch) throws IOException {
        for (int number = 0; number < BOOKS_PER_BATCH; number++) {
            Document book = new Document();
            book.add(new StringField("batch", Integer.toString(batch), Store.YES));
            book.add(new TextField("title", "Book " + number + " of batch " + batch, Store.YES));
            book.add(new StoredField("text", text(batch, number)));
            writer.addDocument(book);
        }
        writer.commit();
        return BOOKS_PER_BATCH;
    }

    private static int readBack(Directory directory, int batch) throws IOException {
        try (DirectoryReader reader = DirectoryReader.open(directory)) {
            IndexSearcher searcher = new IndexSearcher(reader);
            TermQuery ofThisBatch = new TermQuery(new Term("batch", Integer.toString(batch)));
            int found = 0;
            for (ScoreDoc hit : searcher.search(ofThisBatch, BOOKS_PER_BATCH).scoreDocs) {
                Document book = searcher.doc(hit.doc);
                int number = Integer.parseInt(book.get("title").split(" ")[1]);
                if (!book.get("text").equals(text(batch, number))) {
                    throw new IllegalStateException(
                            "book " + number + " of batch " + batch + " came back changed");
                }
                found++;
            }
            return found;
        }
    }

    private static int segments(Directory directory) throws IOException {
        try (DirectoryReader reader = DirectoryReader.open(directory)) {
            return reader.leaves().size();
        }
    }

    private static String text(int batch, int number) {
        StringBuilder text = new StringBuilder();
        for (int line = 0; line < 40; line++) {
            text.append("Line ").append(line).append(" of book ").append(number)
                    .append(" in batch ").append(batch).append(".\n");
        }
        return text.toString();
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
