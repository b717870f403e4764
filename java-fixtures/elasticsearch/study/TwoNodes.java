package study;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;

import org.elasticsearch.client.Client;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.transport.TransportAddress;
import org.elasticsearch.common.unit.TimeValue;
import org.elasticsearch.node.Node;
import org.elasticsearch.node.internal.InternalSettingsPreparer;
import org.elasticsearch.transport.Netty4Plugin;

/**
 * A cluster in this JVM: a node that can only be master and a node that only holds data, which talk
 * through Netty on 127.0.0.1.
 *
 * Two nodes, because the leak of PR 22711 is on the receiving side of a cluster state: a master
 * does not send one to itself. Every pool has one thread and nothing is done by a clock where a
 * setting can say so, so that a program that does the same twice makes the same number of Inflaters
 * and Deflaters twice.
 */
final class TwoNodes implements Closeable {
    static final TimeValue PATIENCE = TimeValue.timeValueSeconds(60);

    private static final String[] POOLS = {"index", "bulk", "get", "search"};

    private final Node master;
    private final Node data;

    /** Starts both nodes and returns when the data node has joined. */
    TwoNodes(Path folder) throws Exception {
        pretendNotLinux();
        // No process listens on port 0, so the master finds no other node; an empty list would make
        // it try the default ports.
        master = start(folder, "master", "127.0.0.1:0");
        // Returns when the master has recovered its state: from here on it publishes one only on
        // request.
        client().admin().indices().preparePutTemplate("one-shard").setTemplate("*")
                .setSettings(Settings.builder()
                        .put("index.number_of_shards", 1)
                        .put("index.number_of_replicas", 0)
                        .put("index.refresh_interval", "-1")
                        .put("index.merge.scheduler.max_thread_count", 1))
                .get(PATIENCE);
        data = start(folder, "data", address(client().admin().cluster().prepareNodesInfo().get(PATIENCE)
                .getNodes().get(0).getTransport().getAddress().publishAddress()));
        boolean joined = !client().admin().cluster().prepareHealth().setWaitForNodes("2")
                .setTimeout(PATIENCE).get(PATIENCE).isTimedOut();
        if (!joined) {
            throw new IllegalStateException("the data node has not joined");
        }
    }

    /** The master's client. Its requests for documents go through Netty to the data node. */
    Client client() {
        return master.client();
    }

    /** Where the data node listens for HTTP, as HOST:PORT. */
    String http() {
        return address(data.client().admin().cluster().prepareNodesInfo("_local").get(PATIENCE)
                .getNodes().get(0).getHttp().getAddress().publishAddress());
    }

    @Override
    public void close() throws IOException {
        data.close();
        master.close();
    }

    private static String address(TransportAddress address) {
        return address.getAddress() + ":" + address.getPort();
    }

    private static Node start(Path folder, String role, String neighbour) throws Exception {
        Settings.Builder settings = Settings.builder()
                .put("path.home", folder.resolve(role).toString())
                .put("cluster.name", "study")
                .put("node.name", role)
                .put("node.master", role.equals("master"))
                .put("node.data", role.equals("data"))
                .put("node.ingest", false)
                .put("network.host", "127.0.0.1")
                .put("transport.type", "netty4")
                .put("transport.tcp.port", "0")
                .put("http.type", "netty4")
                .put("http.port", "0")
                .put("http.compression", true)
                .put("discovery.zen.ping.unicast.hosts", neighbour)
                .put("discovery.zen.ping_timeout", "1s")
                .put("discovery.zen.minimum_master_nodes", 1)
                .put("cluster.routing.allocation.disk.threshold_enabled", false)
                .put("monitor.jvm.gc.enabled", false)
                .put("action.auto_create_index", false)
                .put("processors", 1);
        for (String pool : POOLS) {
            settings.put("thread_pool." + pool + ".size", 1);
        }
        return new EmbeddedNode(settings.build()).start();
    }

    /**
     * Makes Lucene's Constants believe that this is no Linux. Else the constructor of Node reads
     * /proc/self/cgroup, which it does not understand on a host with both versions of cgroups.
     */
    private static void pretendNotLinux() throws ClassNotFoundException {
        String truth = System.setProperty("os.name", "unknown");
        try {
            Class.forName("org.apache.lucene.util.Constants");
        } finally {
            System.setProperty("os.name", truth);
        }
    }

    /** A node with a plugin from the class path instead of the folder of plugins. */
    private static final class EmbeddedNode extends Node {
        EmbeddedNode(Settings settings) {
            super(InternalSettingsPreparer.prepareEnvironment(settings, null),
                    Collections.singletonList(Netty4Plugin.class));
        }
    }
}
