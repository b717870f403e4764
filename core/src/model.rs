//! The types that all other modules share: kinds, ids, time, outcomes, roles, triggers, frames.
//!
//! Has no state and names no other module. Invariant: every id is a newtype, so no two can be mixed
//! up.

use std::cmp::Ordering;
use std::collections::TryReserveError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::time::Duration;

/// The process has no memory left for a record. The loss is counted, and never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the process has no memory left")
    }
}

impl From<TryReserveError> for OutOfMemory {
    fn from(_: TryReserveError) -> OutOfMemory {
        OutOfMemory
    }
}

impl From<OutOfMemory> for io::Error {
    fn from(error: OutOfMemory) -> io::Error {
        io::Error::new(io::ErrorKind::OutOfMemory, error.to_string())
    }
}

/// Puts one more element into a list, if there is memory for it.
pub fn push<T>(list: &mut Vec<T>, element: T) -> Result<(), OutOfMemory> {
    list.try_reserve(1)?;
    list.push(element);
    Ok(())
}

/// What is audited: instances of two classes (a subclass counts as its `java.util.zip` parent), and
/// the Inflaters that a `ZipFile` lends to the streams of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `java.util.zip.Inflater`
    Inflater,
    /// `java.util.zip.Deflater`
    Deflater,
    /// A stream of an entry of a `ZipFile` that decompresses: from `getInputStream()` to `close()`
    /// it has one of the Inflaters of the file's pool.
    ZipEntry,
}

impl Kind {
    /// All kinds, in the order in which reports name them.
    pub const ALL: [Kind; 3] = [Kind::Inflater, Kind::Deflater, Kind::ZipEntry];

    /// The kinds that are classes and hold native memory of their own.
    pub const CLASSES: [Kind; 2] = [Kind::Inflater, Kind::Deflater];

    /// By that word.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The word that machine-readable reports use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Inflater => "inflater",
            Kind::Deflater => "deflater",
            Kind::ZipEntry => "zip_entry",
        }
    }

    /// The name in reports, in the singular; the plural has an `s`.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Inflater => "Inflater",
            Kind::Deflater => "Deflater",
            Kind::ZipEntry => "entry stream",
        }
    }
}

/// A value for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKind<T> {
    /// The value for Inflaters.
    pub inflater: T,
    /// The value for Deflaters.
    pub deflater: T,
    /// The value for entry streams.
    pub zip_entry: T,
}

impl<T> PerKind<T> {
    /// The values that a function gives.
    pub fn from_fn(mut of: impl FnMut(Kind) -> T) -> PerKind<T> {
        let [inflater, deflater, zip_entry] = Kind::ALL.map(&mut of);
        PerKind { inflater, deflater, zip_entry }
    }

    /// The value for `kind`.
    pub fn get(&self, kind: Kind) -> &T {
        match kind {
            Kind::Inflater => &self.inflater,
            Kind::Deflater => &self.deflater,
            Kind::ZipEntry => &self.zip_entry,
        }
    }

    /// The value for `kind`, to be changed.
    pub fn get_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Inflater => &mut self.inflater,
            Kind::Deflater => &mut self.deflater,
            Kind::ZipEntry => &mut self.zip_entry,
        }
    }
}

/// What became of an instance. Each has exactly one: `created = ended + late + collected + live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The application called `end()` first.
    Ended,
    /// A finalizer or Cleaner called `end()` first.
    Late,
    /// The garbage collector freed it without any `end()`.
    Collected,
    /// None of these so far.
    Live,
}

impl Outcome {
    /// All outcomes, in the order in which reports list them.
    pub const ALL: [Outcome; 4] =
        [Outcome::Ended, Outcome::Late, Outcome::Collected, Outcome::Live];

    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ended => "ended",
            Outcome::Late => "late",
            Outcome::Collected => "collected",
            Outcome::Live => "live",
        }
    }

    /// What it means, to be read after `instances`.
    pub fn description(self) -> &'static str {
        match self {
            Outcome::Ended => "ended by the application",
            Outcome::Late => "ended only by a finalizer or Cleaner: a leak",
            Outcome::Collected => "freed only by the garbage collector, never ended: a leak",
            Outcome::Live => "neither ended nor freed: a pool or a leak",
        }
    }
}

/// One instance of an audited class, for as long as it is open: the address of its native stream,
/// or a number of the same shape, which is its JVMTI tag. Or the loan of that instance to a stream
/// of an entry of a `ZipFile`. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub u64);

impl InstanceId {
    /// Marks a loan: addresses are multiples of 16 where the C library's `malloc` is used.
    const LOAN: u64 = 8;
    /// Marks other addresses. None has this bit, or the next one, whatever the allocator.
    const ODD: u64 = 1 << 63;
    const ODD_LOAN: u64 = 1 << 62;

    /// The instance whose native stream is at this address.
    #[inline]
    pub fn of_address(address: i64) -> InstanceId {
        let address = address.cast_unsigned();
        InstanceId(if address & 15 == 0 { address } else { address | Self::ODD })
    }

    /// The address of the native stream, also of one that is lent.
    pub fn address(self) -> i64 {
        let bits = if self.0 & Self::ODD == 0 { Self::LOAN } else { Self::ODD | Self::ODD_LOAN };
        (self.0 & !bits).cast_signed()
    }

    /// Whether this is the loan of an instance.
    pub fn is_loan(self) -> bool {
        self == self.loan()
    }

    /// The loan of this instance.
    #[inline]
    pub fn loan(self) -> InstanceId {
        let bit = if self.0 & Self::ODD == 0 { Self::LOAN } else { Self::ODD_LOAN };
        InstanceId(self.0 | bit)
    }
}

/// One allocation site (kind and whole stack), numbered in the order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub u32);

/// One frame, numbered in the order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId(pub u32);

impl FrameId {
    /// A frame that there was no room for.
    pub const UNKNOWN: FrameId = FrameId(u32::MAX);
}

/// What a stack is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The constructor call of an instance, or the call that gave out an entry stream.
    Allocation,
    /// A call of `end()` on an instance that had been ended.
    DoubleEnd,
}

/// A thread of the program, platform or virtual. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(pub u64);

impl ThreadId {
    /// Stands for the unknown creator of an adopted instance.
    pub const UNKNOWN: ThreadId = ThreadId(0);
}

/// Time since the session began, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// How long ago `earlier` was; zero where the clock of another thread was read a little later.
    pub fn since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What kind of thread acts: it decides between `ended` and `late`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The program's own code.
    Program,
    /// A finalizer, the Reference Handler or a Cleaner: it only ever acts because a collection
    /// found garbage.
    Reclaimer,
    /// The finalizer of the Inflater or Deflater itself, which calls `end()` (JDK 8 to 11).
    StreamFinalizer,
}

/// A thread that calls `end()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The thread.
    pub thread: ThreadId,
    /// What it is for.
    pub role: Role,
}

/// What requested a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The JVM ends.
    Exit,
    /// The signal of the `signal` option.
    Signal,
    /// JVMTI DataDumpRequest: SIGQUIT, or `jcmd PID JVMTI.data_dump`.
    DataDump,
    /// A command of an attach.
    Command,
    /// The `interval` option.
    Interval,
    /// The `duration` option: the end of the audit, not of the JVM.
    Duration,
    /// Not the agent: reports were merged.
    Merge,
}

impl Trigger {
    const ALL: [Trigger; 7] = [
        Trigger::Exit,
        Trigger::Signal,
        Trigger::DataDump,
        Trigger::Command,
        Trigger::Interval,
        Trigger::Duration,
        Trigger::Merge,
    ];

    /// By the word that reports use.
    pub fn named(name: &str) -> Option<Trigger> {
        Trigger::ALL.into_iter().find(|trigger| trigger.name() == name)
    }

    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Exit => "exit",
            Trigger::Signal => "signal",
            Trigger::DataDump => "data_dump",
            Trigger::Command => "command",
            Trigger::Interval => "interval",
            Trigger::Duration => "duration",
            Trigger::Merge => "merge",
        }
    }
}

/// One frame of an allocation stack, in the words of the source. Frames are equal if these words
/// are.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Binary name with dots: `org.acme.Codec$1`.
    pub class: String,
    /// `encode`, `<init>`, `<clinit>`.
    pub method: String,
    /// Source file, where the class file names one.
    pub file: Option<String>,
    /// Line, where the class file has a line table.
    pub line: Option<u32>,
    /// Whether the class is the JDK's own: its boot loader or its platform loader has loaded it.
    /// Frames are compared without it: classes of two loaders may have one name, and older reports
    /// do not say it, but one line must not become two frames.
    pub jdk: bool,
}

impl Frame {
    /// A frame of which only the names are known. They decide whether it is the JDK's.
    pub fn named(class: &str, method: &str) -> Frame {
        let (class, method) = (class.to_owned(), method.to_owned());
        let jdk = Frame::is_named_as_jdk(&class);
        Frame { class, method, file: None, line: None, jdk }
    }

    /// Whether a class is in a package of the JDK, for input that has only names. Libraries have
    /// classes there, too.
    pub fn is_named_as_jdk(class: &str) -> bool {
        const PACKAGES: [&str; 5] = ["java.", "javax.", "jdk.", "sun.", "com.sun."];
        PACKAGES.iter().any(|package| class.starts_with(package))
    }

    fn words(&self) -> (&str, &str, Option<&str>, Option<u32>) {
        (&self.class, &self.method, self.file.as_deref(), self.line)
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        self.words() == other.words()
    }
}

impl Eq for Frame {}

impl Hash for Frame {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.words().hash(to);
    }
}

impl PartialOrd for Frame {
    fn partial_cmp(&self, other: &Frame) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Frame {
    fn cmp(&self, other: &Frame) -> Ordering {
        self.words().cmp(&other.words())
    }
}

/// The resolved stack of a constructor call, innermost frame first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack<F = Frame> {
    /// The frames, the `java.util.zip` constructor included.
    pub frames: Vec<F>,
    /// Whether there were more frames than the `depth` option keeps.
    pub truncated: bool,
    /// The instance's class, where it is a subclass of the audited one.
    pub subclass: Option<String>,
}
