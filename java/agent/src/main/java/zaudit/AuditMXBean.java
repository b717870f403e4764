package zaudit;

/**
 * The totals of the audit, as {@code zaudit:type=Audit}. They are exact, and reading them needs no
 * GC. Without an audit, attributes other than {@code Armed} throw {@link IllegalStateException}.
 */
public interface AuditMXBean {
    /** Whether an audit is under way. */
    boolean isArmed();

    /** Allocation sites: kinds and whole stacks. */
    long getSites();

    Totals getInflaters();

    Totals getDeflaters();

    /** Streams of entries of a ZipFile. */
    Totals getEntryStreams();

    /** Inflaters that were open when counting began. */
    Totals getAdoptedInflaters();

    Totals getAdoptedDeflaters();

    Totals getAdoptedEntryStreams();
}
