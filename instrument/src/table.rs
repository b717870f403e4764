//! The table of hooks: which class, where in it, and what the hook reports.
//!
//! A new hook is a row of [`HOOKS`]. Invariant: a class has all its hooks of one [`Identity`] here,
//! and an audit uses one.

/// How an instance is known, which decides where the hooks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By the address of its native stream: the hooks are beside the calls of the JDK's own native
    /// methods, of which there is one each.
    Address,
    /// By a JVMTI tag, where the classes do not have that shape: the hooks are at the return of the
    /// constructors and at the entry of `end()`.
    Tag,
}

/// What a hook reports: a static native method of the helper class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callback {
    /// An Inflater's native stream was created: its address, and the instance.
    InflaterCreated,
    /// As [`InflaterCreated`](Callback::InflaterCreated).
    DeflaterCreated,
    /// An Inflater's native stream is about to be freed: its address.
    InflaterEnded,
    /// As [`InflaterEnded`](Callback::InflaterEnded).
    DeflaterEnded,
    /// `end()` was called on an Inflater that has no native stream any more.
    InflaterEndedAgain,
    /// As [`InflaterEndedAgain`](Callback::InflaterEndedAgain).
    DeflaterEndedAgain,
    /// An instance was created, and its constructor returns.
    Created,
    /// `end()` was called, for the first time or again.
    Ended,
    /// An archive lends one of its pooled Inflaters to a stream of an entry.
    Lent,
    /// Such an Inflater is about to go back into the pool.
    GivenBack,
    /// A provider of file systems was created.
    ProviderCreated,
    /// The JVM is about to exit, and its GC still works.
    Ending,
}

pub(crate) const INSTANCE: &str = "(Ljava/lang/Object;)V";
const ADDRESS_AND_INSTANCE: &str = "(JLjava/lang/Object;)V";
pub(crate) const ADDRESS: &str = "(J)V";

impl Callback {
    /// All callbacks; the helper class has a native method for each.
    pub const ALL: [Self; 12] = [
        Self::InflaterCreated,
        Self::DeflaterCreated,
        Self::InflaterEnded,
        Self::DeflaterEnded,
        Self::InflaterEndedAgain,
        Self::DeflaterEndedAgain,
        Self::Created,
        Self::Ended,
        Self::Lent,
        Self::GivenBack,
        Self::ProviderCreated,
        Self::Ending,
    ];

    /// Without one of these an audit by address would not be exact.
    pub const NEEDED_BY_ADDRESS: [Self; 4] =
        [Self::InflaterCreated, Self::DeflaterCreated, Self::InflaterEnded, Self::DeflaterEnded];

    /// Name of the native method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::InflaterCreated => "inflaterCreated",
            Self::DeflaterCreated => "deflaterCreated",
            Self::InflaterEnded => "inflaterEnded",
            Self::DeflaterEnded => "deflaterEnded",
            Self::InflaterEndedAgain => "inflaterEndedAgain",
            Self::DeflaterEndedAgain => "deflaterEndedAgain",
            Self::Created => "created",
            Self::Ended => "ended",
            Self::Lent => "lent",
            Self::GivenBack => "givenBack",
            Self::ProviderCreated => "providerCreated",
            Self::Ending => "ending",
        }
    }

    /// Descriptor of the native method.
    pub const fn descriptor(self) -> &'static str {
        match self {
            Self::InflaterCreated | Self::DeflaterCreated => ADDRESS_AND_INSTANCE,
            Self::InflaterEnded | Self::DeflaterEnded => ADDRESS,
            Self::InflaterEndedAgain | Self::DeflaterEndedAgain => "()V",
            Self::Created
            | Self::Ended
            | Self::Lent
            | Self::GivenBack
            | Self::ProviderCreated
            | Self::Ending => INSTANCE,
        }
    }
}

/// The places in a class that a hook applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selector {
    /// Before each return of the constructors that call `super(…)`. One that calls `this(…)` would
    /// report its object a second time.
    Constructed,
    /// The entry of the instance method of this name and descriptor.
    Entry(&'static str, &'static str),
    /// The same, and the callback gets the method's first argument instead of the instance.
    Argument(&'static str, &'static str),
    /// The entry of that method where it finds no native stream any more.
    EntryAgain(&'static str, &'static str),
    /// The entry of the static method of this name and descriptor; its callback gets null.
    StaticEntry(&'static str, &'static str),
    /// Before each return of that static method.
    StaticReturn(&'static str, &'static str),
    /// Behind the one call, in a constructor, of the static method of this name and descriptor,
    /// which has returned the address.
    Opened(&'static str, &'static str),
    /// In front of the one call of the static method `end(J)V` of this class.
    Freed(&'static str),
    /// The same, in a class that has that call in some JDKs only.
    MaybeFreed(&'static str),
    /// Before each return of the instance method of this name and descriptor, whose result is the
    /// instance.
    Result(&'static str, &'static str),
    /// In front of the one call of `Inflater.reset()` in the method of this name and descriptor.
    Reset(&'static str, &'static str),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    pub(crate) class: &'static str,
    /// None for hooks that every audit has.
    pub(crate) identity: Option<Identity>,
    pub(crate) at: Selector,
    pub(crate) callback: Callback,
}

/// `java.util.zip.Inflater`.
pub const INFLATER: &str = "java/util/zip/Inflater";
/// `java.util.zip.Deflater`.
pub const DEFLATER: &str = "java/util/zip/Deflater";
/// What owns an Inflater's native stream in JDK 9 and later (JDK-8185582).
pub const INFLATER_STREAM: &str = "java/util/zip/Inflater$InflaterZStreamRef";
/// What owns a Deflater's native stream in JDK 9 and later.
pub const DEFLATER_STREAM: &str = "java/util/zip/Deflater$DeflaterZStreamRef";
/// Lends the Inflaters of its pool in JDK 8.
pub const ZIP_FILE: &str = "java/util/zip/ZipFile";
/// Lends them in JDK 9 and later.
pub const ZIP_FILE_RESOURCE: &str = "java/util/zip/ZipFile$CleanableResource";
/// Lends the Inflaters of its pool to streams of a zip file system, in JDK 9 and later.
pub const ZIPFS: &str = "jdk/nio/zipfs/ZipFileSystem";
/// The same in JDK 8.
pub const ZIPFS_8: &str = "com/sun/nio/zipfs/ZipFileSystem";
/// What creates file systems, among them those of zip files: their class is loaded much later.
pub const PROVIDER: &str = "java/nio/file/spi/FileSystemProvider";
/// Every exit of the JVM calls it: `halt` for `System.exit`, `Runtime.halt` and signals, `shutdown`
/// for the end of the last thread. VMDeath is too late: by then the GC has been stopped
/// (`before_exit`), ZGC and Shenandoah would never return from a forced one, and JDK 26 and later
/// report no more frees (JDK-8355631).
pub const SHUTDOWN: &str = "java/lang/Shutdown";

const BY_ADDRESS: Option<Identity> = Some(Identity::Address);
const BY_TAG: Option<Identity> = Some(Identity::Tag);
pub(crate) const LENDS: &str = "()Ljava/util/zip/Inflater;";
pub(crate) const GIVES_BACK: &str = "(Ljava/util/zip/Inflater;)V";

/// A constructor is hooked at its return by tag: one that throws, as `new Deflater(42)` does,
/// created no instance. By address it is hooked where its native stream exists, which it leaks if
/// it throws later. `close()`, new in JDK 25, calls `end()` and needs no hook. A `ZipFile` resets
/// an Inflater before it puts it back into its pool; if the file has been closed, it ends it
/// instead. A zip file system ends those that do not fit into its pool, when their streams are
/// closed: there, the hook is in front of both.
#[rustfmt::skip]
pub(crate) static HOOKS: [Hook; 23] = [
    Hook { class: INFLATER, identity: BY_ADDRESS, at: Selector::Opened("init", "(Z)J"), callback: Callback::InflaterCreated },
    Hook { class: INFLATER, identity: BY_ADDRESS, at: Selector::MaybeFreed(INFLATER), callback: Callback::InflaterEnded },
    Hook { class: INFLATER_STREAM, identity: BY_ADDRESS, at: Selector::Freed(INFLATER), callback: Callback::InflaterEnded },
    Hook { class: INFLATER, identity: BY_ADDRESS, at: Selector::EntryAgain("end", "()V"), callback: Callback::InflaterEndedAgain },
    Hook { class: DEFLATER, identity: BY_ADDRESS, at: Selector::Opened("init", "(IIZ)J"), callback: Callback::DeflaterCreated },
    Hook { class: DEFLATER, identity: BY_ADDRESS, at: Selector::MaybeFreed(DEFLATER), callback: Callback::DeflaterEnded },
    Hook { class: DEFLATER_STREAM, identity: BY_ADDRESS, at: Selector::Freed(DEFLATER), callback: Callback::DeflaterEnded },
    Hook { class: DEFLATER, identity: BY_ADDRESS, at: Selector::EntryAgain("end", "()V"), callback: Callback::DeflaterEndedAgain },
    Hook { class: INFLATER, identity: BY_TAG, at: Selector::Constructed, callback: Callback::Created },
    Hook { class: INFLATER, identity: BY_TAG, at: Selector::Entry("end", "()V"), callback: Callback::Ended },
    Hook { class: DEFLATER, identity: BY_TAG, at: Selector::Constructed, callback: Callback::Created },
    Hook { class: DEFLATER, identity: BY_TAG, at: Selector::Entry("end", "()V"), callback: Callback::Ended },
    Hook { class: ZIP_FILE, identity: None, at: Selector::Result("getInflater", LENDS), callback: Callback::Lent },
    Hook { class: ZIP_FILE, identity: None, at: Selector::Reset("releaseInflater", GIVES_BACK), callback: Callback::GivenBack },
    Hook { class: ZIP_FILE_RESOURCE, identity: None, at: Selector::Result("getInflater", LENDS), callback: Callback::Lent },
    Hook { class: ZIP_FILE_RESOURCE, identity: None, at: Selector::Reset("releaseInflater", GIVES_BACK), callback: Callback::GivenBack },
    Hook { class: ZIPFS, identity: None, at: Selector::Result("getInflater", LENDS), callback: Callback::Lent },
    Hook { class: ZIPFS, identity: None, at: Selector::Argument("releaseInflater", GIVES_BACK), callback: Callback::GivenBack },
    Hook { class: ZIPFS_8, identity: None, at: Selector::Result("getInflater", LENDS), callback: Callback::Lent },
    Hook { class: ZIPFS_8, identity: None, at: Selector::Argument("releaseInflater", GIVES_BACK), callback: Callback::GivenBack },
    Hook { class: PROVIDER, identity: None, at: Selector::Constructed, callback: Callback::ProviderCreated },
    Hook { class: SHUTDOWN, identity: None, at: Selector::StaticEntry("halt", "(I)V"), callback: Callback::Ending },
    Hook { class: SHUTDOWN, identity: None, at: Selector::StaticReturn("shutdown", "()V"), callback: Callback::Ending },
];

/// Internal names of the classes that have hooks, each once.
pub fn targets() -> impl Iterator<Item = &'static str> {
    let first = |at: usize, class| !HOOKS.iter().take(at).any(|hook| hook.class == class);
    HOOKS
        .iter()
        .enumerate()
        .filter(move |(at, hook)| first(*at, hook.class))
        .map(|(_, hook)| hook.class)
}
