import java.nio.ByteBuffer;

import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.LogEntry;
import org.apache.kafka.common.record.MemoryRecords;

/** A call reads one batch of two records that a producer compressed with gzip. */
public final class KafkaGzipRecords {
    private KafkaGzipRecords() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            MemoryRecords batch =
                    MemoryRecords.emptyRecords(ByteBuffer.allocate(1024), CompressionType.GZIP);
            batch.append(0, 0, null, "one".getBytes());
            batch.append(1, 0, null, "two".getBytes());
            batch.close();
            int read = 0;
            for (LogEntry entry : MemoryRecords.readableRecords(batch.buffer())) {
                read += entry.record().valueSize();
            }
            if (read != 6) {
                throw new IllegalStateException("came back changed: " + read);
            }
        }
    }
}
