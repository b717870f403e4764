package zaudit;

import java.lang.management.ManagementFactory;
import java.util.Arrays;

import javax.management.JMException;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/** The MXBean. */
final class AuditBean implements AuditMXBean {
    static final String NAME = "zaudit:type=Audit";

    /**
     * Whether to register it when the JVM starts. That starts JMX and, with it, the JDK's logging,
     * which servers such as WildFly have to set up first. A JVM with this option does so anyway.
     */
    static boolean isWanted() {
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith("com.sun.management.jmxremote")) {
                return true;
            }
        }
        return false;
    }

    static synchronized void register() {
        try {
            ObjectName name = new ObjectName(NAME);
            MBeanServer server = ManagementFactory.getPlatformMBeanServer();
            if (!server.isRegistered(name)) {
                server.registerMBean(new AuditBean(), name);
            }
        } catch (JMException e) {
            throw new IllegalStateException("cannot register " + NAME + ": " + e, e);
        }
    }

    @Override
    public boolean isArmed() {
        return Zaudit.isArmed();
    }

    @Override
    public long getSites() {
        return numbers("sites")[0];
    }

    @Override
    public Totals getInflaters() {
        return new Totals(numbers("Inflater"));
    }

    @Override
    public Totals getDeflaters() {
        return new Totals(numbers("Deflater"));
    }

    @Override
    public Totals getEntryStreams() {
        return new Totals(numbers("zip_entry"));
    }

    @Override
    public Totals getAdoptedInflaters() {
        return new Totals(numbers("+Inflater"));
    }

    @Override
    public Totals getAdoptedDeflaters() {
        return new Totals(numbers("+Deflater"));
    }

    @Override
    public Totals getAdoptedEntryStreams() {
        return new Totals(numbers("+zip_entry"));
    }

    /** The numbers of one line of the agent's answer. */
    private static long[] numbers(String of) {
        for (String line : Native.need().answer("totals", "").split("\n")) {
            String[] words = line.split(" ");
            if (words[0].equals(of)) {
                return Arrays.stream(words).skip(1).mapToLong(Long::parseLong).toArray();
            }
        }
        throw new IllegalStateException("the agent knows no " + of);
    }
}
