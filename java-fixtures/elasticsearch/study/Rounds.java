package study;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

import org.elasticsearch.action.bulk.BulkRequestBuilder;
import org.elasticsearch.action.bulk.BulkResponse;
import org.elasticsearch.client.Client;
import org.elasticsearch.client.IndicesAdminClient;
import org.elasticsearch.common.settings.Settings;

/**
 * What a small service does with Elasticsearch, in identical rounds: it creates, fills, reads,
 * merges and deletes indices, puts mappings, and searches over HTTP with gzip. It closes everything
 * that it opens.
 *
 * Usage: Rounds FOLDER ROUNDS [PAUSE]
 *
 * Writes "round N resident KIB allocated KIB collections N" to stdout after each round (round 0 is
 * the start of the nodes), and with PAUSE "pause N PID" after every PAUSE rounds, when it waits for
 * a line on stdin. The exit code is 0 only if everything worked.
 *
 * Expected: no leak of its own. The number of Inflaters and Deflaters that each line of
 * Elasticsearch makes is linear in ROUNDS.
 */
public final class Rounds {
    /** Ten segments are a merge by themselves, so there are fewer. */
    private static final int BATCHES = 3;
    private static final int DOCUMENTS_PER_BATCH = 5;
    private static final int DOCUMENTS = BATCHES * DOCUMENTS_PER_BATCH;
    private static final int HTTP_PATIENCE_MILLIS = 60_000;

    private final TwoNodes nodes;
    private final Client client;
    private final IndicesAdminClient indices;

    private Rounds(TwoNodes nodes) {
        this.nodes = nodes;
        this.client = nodes.client();
        this.indices = client.admin().indices();
    }

    public static void main(String[] arguments) {
        try {
            int pause = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 0;
            run(Paths.get(arguments[0]), Integer.parseInt(arguments[1]), pause);
        } catch (Throwable thrown) {
            // The threads of a node are no daemons: without this the JVM would stay.
            thrown.printStackTrace();
            System.exit(1);
        }
    }

    private static void run(Path folder, int rounds, int pause) throws Exception {
        BufferedReader stdin = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        try (TwoNodes nodes = new TwoNodes(folder)) {
            Rounds program = new Rounds(nodes);
            for (int round = 0; round <= rounds; round++) {
                if (round > 0) {
                    program.round(round);
                }
                System.out.println("round " + round + " resident " + ownStatus("VmRSS") + " allocated " + ownStatus("VmData")
                        + " collections " + collections());
                if (pause > 0 && round % pause == 0) {
                    System.out.println("pause " + round + " " + ownStatus("Pid"));
                    check(stdin.readLine() != null, "the pause was not ended");
                }
            }
        }
    }

    private void round(int round) throws IOException {
        String compressed = "compressed-" + round;
        fill(compressed, "best_compression");
        searchOverHttp(compressed);
        delete(compressed);

        String contrast = "contrast-" + round;
        fill(contrast, "default");
        delete(contrast);

        String small = "small-" + round;
        create(small, Settings.EMPTY);
        addField(small, "publisher");
        addField(small, "language");
        delete(small);
    }

    /**
     * Makes an index with that codec, fills it in batches, and reads it before and after a merge.
     */
    private void fill(String index, String codec) {
        create(index, Settings.builder().put("index.codec", codec).build());
        for (int batch = 0; batch < BATCHES; batch++) {
            BulkRequestBuilder bulk = client.prepareBulk();
            for (int number = 0; number < DOCUMENTS_PER_BATCH; number++) {
                int id = batch * DOCUMENTS_PER_BATCH + number;
                bulk.add(client.prepareIndex(index, "book", Integer.toString(id)).setSource(book(id)));
            }
            BulkResponse response = bulk.get(TwoNodes.PATIENCE);
            check(!response.hasFailures(), response.buildFailureMessage());
            indices.prepareRefresh(index).get(TwoNodes.PATIENCE);
            indices.prepareFlush(index).setWaitIfOngoing(true).get(TwoNodes.PATIENCE);
        }
        read(index);
        indices.prepareForceMerge(index).setMaxNumSegments(1).get(TwoNodes.PATIENCE);
        indices.prepareRefresh(index).get(TwoNodes.PATIENCE);
        read(index);
    }

    private void addField(String index, String field) {
        check(indices.preparePutMapping(index).setType("book").setSource(field, "type=keyword")
                .get(TwoNodes.PATIENCE).isAcknowledged(),
                "the mapping of " + field + " was not acknowledged");
    }

    /**
     * Returns when the shard has started, which is when the last cluster state about it was
     * published.
     */
    private void create(String index, Settings settings) {
        check(indices.prepareCreate(index).setSettings(settings)
                .addMapping("book", "title", "type=text", "text", "type=text")
                .get(TwoNodes.PATIENCE).isShardsAcked(), "the shard of " + index + " has not started");
    }

    private void delete(String index) {
        check(indices.prepareDelete(index).get(TwoNodes.PATIENCE).isAcknowledged(),
                "the deletion of " + index + " was not acknowledged");
    }

    /** Gets every document by its id, and all of them by a search. */
    private void read(String index) {
        for (int id = 0; id < DOCUMENTS; id++) {
            Map<String, Object> found = client.prepareGet(index, "book", Integer.toString(id))
                    .get(TwoNodes.PATIENCE).getSourceAsMap();
            check(book(id).equals(found), "document " + id + " of " + index + " came back changed");
        }
        long hits = client.prepareSearch(index).setSize(DOCUMENTS)
                .get(TwoNodes.PATIENCE).getHits().hits().length;
        check(hits == DOCUMENTS, index + " has " + hits + " documents");
    }

    /** Posts a search, compressed, and reads a response that is compressed, too. */
    private void searchOverHttp(String index) throws IOException {
        URL search = new URL("http://" + nodes.http() + "/" + index + "/_search");
        HttpURLConnection connection = (HttpURLConnection) search.openConnection();
        connection.setConnectTimeout(HTTP_PATIENCE_MILLIS);
        connection.setReadTimeout(HTTP_PATIENCE_MILLIS);
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Content-Encoding", "gzip");
        connection.setRequestProperty("Accept-Encoding", "gzip");
        connection.setDoOutput(true);
        try (OutputStream body = new GZIPOutputStream(connection.getOutputStream())) {
            body.write(("{\"size\":" + DOCUMENTS + ",\"query\":{\"match_all\":{}}}").getBytes(StandardCharsets.UTF_8));
        }
        check("gzip".equals(connection.getContentEncoding()),
                "the response over HTTP is not compressed");
        try (InputStream body = new GZIPInputStream(connection.getInputStream())) {
            byte[] buffer = new byte[8192];
            while (body.read(buffer) >= 0) {
                // Only read to its end.
            }
        }
        connection.disconnect();
    }

    private static Map<String, Object> book(int id) {
        StringBuilder text = new StringBuilder();
        for (int line = 0; line < 40; line++) {
            text.append("Line ").append(line).append(" of book ").append(id).append(".\n");
        }
        Map<String, Object> book = new HashMap<>();
        book.put("title", "Book " + id);
        book.put("text", text.toString());
        return book;
    }

    private static void check(boolean holds, String complaint) {
        if (!holds) {
            throw new IllegalStateException(complaint);
        }
    }

    private static long collections() {
        long sum = 0;
        for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans()) {
            sum += collector.getCollectionCount();
        }
        return sum;
    }

    /** A number of /proc/self/status; sizes are in KiB. */
    private static long ownStatus(String field) throws IOException {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"), StandardCharsets.US_ASCII)) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        throw new IllegalStateException("/proc/self/status has no " + field);
    }
}
