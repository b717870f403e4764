//! The fields of the JSON report, as the tests understand them.
//!
//! Invariant: required fields are required; fields that were added since are ignored.

use serde::Deserialize;
use std::fmt;
use std::ops::AddAssign;

/// A whole report.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// `zaudit-report/1`.
    pub schema: String,
    /// Who wrote it.
    pub tool: Tool,
    /// About which process.
    pub process: Process,
    /// All sites together.
    pub totals: Totals,
    /// The earlier report that it is compared with.
    pub baseline: Option<Baseline>,
    /// What a stream costs.
    pub native: Footprint,
    /// Seconds for which the search for paths to GC roots paused the program.
    pub retention_pause_seconds: Option<f64>,
    /// One per kind and allocation stack.
    pub sites: Vec<Site>,
    /// The clean sites that are not listed.
    pub other_sites: OtherSites,
    /// The frames of clean sites.
    pub frame_table: Vec<Frame>,
    /// The stacks of clean sites.
    pub stack_table: StackTable,
    /// The lines that end what is ended already, most often first.
    pub ended_again: Vec<DoubleEnd>,
    /// Which rules there are, and how much they covered.
    pub rules: Vec<Rule>,
    /// What could not be seen.
    pub health: Health,
}

/// Who wrote the report.
#[derive(Debug, Deserialize)]
pub struct Tool {
    /// `zaudit`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What the report is about.
#[derive(Debug, Deserialize)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// Which JVM it runs.
    pub jvm: String,
    /// Main class and arguments.
    pub command: String,
    /// When it was armed, in seconds since 1970.
    pub started: f64,
    /// When the report was taken, in seconds since 1970.
    pub taken: f64,
    /// The same by the agent's own clock: seconds since it was armed or its counts were reset.
    pub armed_seconds: f64,
    /// Whether counting began before the program did.
    pub from_start: bool,
    /// Why it was taken.
    pub trigger: Trigger,
    /// Which snapshot or report on demand it is; none is the last one.
    pub number: Option<u32>,
    /// Bytes in memory.
    pub rss_bytes: Option<u64>,
}

/// What a stream costs, and how that is known.
#[derive(Debug, Deserialize)]
pub struct Footprint {
    /// The version of zlib.
    pub zlib: String,
    /// Or an estimate.
    pub measured: bool,
    /// Of an Inflater.
    pub inflater: Bytes,
    /// Of a Deflater.
    pub deflater: Bytes,
}

/// Bytes of a stream.
#[derive(Debug, Deserialize)]
pub struct Bytes {
    /// Before it works.
    pub fresh: u64,
    /// And after.
    pub used: u64,
}

/// What keeps a live stream.
#[derive(Debug, Deserialize)]
pub struct Retained {
    /// A root of the collector.
    pub root: Option<String>,
    /// From there to the stream.
    pub path: Option<Vec<String>>,
    /// Nothing keeps it.
    pub unreachable: Option<bool>,
    /// But this.
    pub reference: Option<String>,
    /// Why nothing is known.
    pub unknown: Option<String>,
}

/// Why a report was taken.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The program has ended.
    Exit,
    /// The signal that the agent listens to.
    Signal,
    /// SIGQUIT or `jcmd PID JVMTI.data_dump`.
    DataDump,
    /// The agent's command channel.
    Command,
    /// The timer.
    Interval,
    /// The end of an audit that had a limit.
    Duration,
    /// Several reports, summed up.
    Merge,
}

/// What is audited.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// java.util.zip.Inflater
    Inflater,
    /// java.util.zip.Deflater
    Deflater,
    /// A stream of an entry of a ZipFile.
    ZipEntry,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inflater, Self::Deflater, Self::ZipEntry];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inflater => "inflater",
            Self::Deflater => "deflater",
            Self::ZipEntry => "zip_entry",
        })
    }
}

/// What the report thinks of a site.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Late or collected ones that no rule covers.
    Leak,
    /// Live ones that no rule covers.
    Suspect,
    /// Neither.
    Clean,
}

/// How many came to which end.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Counts {
    /// Constructors that returned.
    pub created: u64,
    /// Ended by the program.
    pub ended: u64,
    /// Ended by a finalizer or Cleaner thread.
    pub late: u64,
    /// Freed by the GC, never ended.
    pub collected: u64,
    /// Neither ended nor freed.
    pub live: u64,
    /// Covered by a rule.
    pub expected: u64,
    /// Of the ended ones: their ZipFile was closed.
    pub ended_with_file: u64,
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, more: &Counts) {
        self.created += more.created;
        self.ended += more.ended;
        self.late += more.late;
        self.collected += more.collected;
        self.live += more.live;
        self.expected += more.expected;
        self.ended_with_file += more.ended_with_file;
    }
}

/// All sites together.
#[derive(Debug, Deserialize)]
pub struct Totals {
    /// The Inflaters.
    pub inflater: Total,
    /// The Deflaters.
    pub deflater: Total,
    /// The streams of entries.
    pub zip_entry: Total,
    /// What was open already when counting began; in no other count.
    pub adopted: Adoptions,
}

impl Totals {
    /// All of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Total {
        match kind {
            Kind::Inflater => &self.inflater,
            Kind::Deflater => &self.deflater,
            Kind::ZipEntry => &self.zip_entry,
        }
    }
}

/// All sites of a kind together, and what is in no site.
#[derive(Debug, Deserialize)]
pub struct Total {
    /// How many came to which end.
    #[serde(flatten)]
    pub counts: Counts,
    /// First calls of `end()` on instances that the agent did not know.
    pub ended_unknown: u64,
}

/// What became of the adopted ones of each kind.
#[derive(Debug, Deserialize)]
pub struct Adoptions {
    /// Both kinds.
    #[serde(flatten)]
    pub both: Adopted,
    /// The Inflaters.
    pub inflater: AdoptedKind,
    /// The Deflaters.
    pub deflater: AdoptedKind,
    /// The streams of entries, which are not in the sums.
    pub zip_entry: AdoptedKind,
}

/// Adopted ones of a kind.
#[derive(Debug, Deserialize)]
pub struct AdoptedKind {
    /// What became of them.
    #[serde(flatten)]
    pub counts: Adopted,
    /// Age of the oldest live one.
    pub oldest_live_seconds: Option<f64>,
}

impl Adoptions {
    /// Those of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &AdoptedKind {
        match kind {
            Kind::Inflater => &self.inflater,
            Kind::Deflater => &self.deflater,
            Kind::ZipEntry => &self.zip_entry,
        }
    }
}

/// What became of adopted ones.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Adopted {
    /// How many there were.
    pub found: u64,
    /// Ended by the program.
    pub ended: u64,
    /// Ended by a finalizer or Cleaner thread.
    pub late: u64,
    /// Freed by the GC, never ended.
    pub collected: u64,
    /// Neither ended nor freed.
    pub live: u64,
}

impl Adopted {
    pub(super) fn is_balanced(&self) -> bool {
        self.found == self.ended + self.late + self.collected + self.live
    }

    pub(super) fn plus(&self, more: &Self) -> Self {
        Self {
            found: self.found + more.found,
            ended: self.ended + more.ended,
            late: self.late + more.late,
            collected: self.collected + more.collected,
            live: self.live + more.live,
        }
    }
}

/// The earlier report that a report is compared with.
#[derive(Debug, Deserialize)]
pub struct Baseline {
    /// The file's name.
    pub file: String,
    /// How many of its sites had leaks or suspects.
    pub sites: u64,
    /// How many are as they were.
    pub known: u64,
}

/// What the baseline had of a site.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Known {
    /// Late and collected ones.
    pub leaked: u64,
    /// Live ones.
    pub suspects: u64,
}

/// One kind and allocation stack.
#[derive(Debug, Deserialize)]
pub struct Site {
    /// The same for the same kind and frames in every run.
    pub id: String,
    /// Inflater or Deflater.
    pub kind: Kind,
    /// The instance's class, when it is a subclass.
    pub class: Option<String>,
    /// What to think of it.
    pub severity: Severity,
    /// What to change.
    pub hint: Option<String>,
    /// The name of the hint, in kebab case.
    pub hint_id: Option<String>,
    /// How many came to which end.
    #[serde(flatten)]
    pub counts: Counts,
    /// Of the late and collected: no rule covers them and no baseline knows them.
    pub leaked: u64,
    /// Of the live: the same, and old enough.
    pub suspects: u64,
    /// What the baseline had.
    pub known: Known,
    /// Native bytes now held.
    pub bytes_held: u64,
    /// Lateness in byte-seconds: the footprint times the time from creation to release.
    pub lateness_byte_seconds: f64,
    /// Age of the oldest live instance.
    pub oldest_live_seconds: Option<f64>,
    /// Age of the youngest live instance.
    pub youngest_live_seconds: Option<f64>,
    /// How many of the live ones are too young to be suspects.
    pub young: u64,
    /// Which way the number of live ones goes.
    pub tendency: Option<String>,
    /// How many were live, snapshot by snapshot.
    pub trend: Vec<Point>,
    /// Who made them: a few names.
    pub threads: Vec<String>,
    /// The rule that covers it.
    pub rule: Option<String>,
    /// Whether outer frames are missing.
    pub truncated: bool,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Where they are in the stack table, until [`Report`] has looked them up.
    pub stack: Option<usize>,
    /// Who keeps a few of the live ones.
    pub retention: Vec<Retained>,
}

/// How many were live when.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Point {
    /// Since the agent was armed.
    pub seconds: f64,
    /// The number.
    pub live: u64,
}

/// The clean sites that are not listed.
#[derive(Debug, Deserialize)]
pub struct OtherSites {
    /// Of Inflaters.
    pub inflater: Option<Others>,
    /// Of Deflaters.
    pub deflater: Option<Others>,
    /// Of streams of entries.
    pub zip_entry: Option<Others>,
}

impl OtherSites {
    /// Those of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&Others> {
        match kind {
            Kind::Inflater => self.inflater.as_ref(),
            Kind::Deflater => self.deflater.as_ref(),
            Kind::ZipEntry => self.zip_entry.as_ref(),
        }
    }
}

/// Their sums.
#[derive(Debug, Deserialize)]
pub struct Others {
    /// How many sites.
    pub sites: u64,
    /// How many instances came to which end.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Stacks by their nodes.
#[derive(Debug, Deserialize)]
pub struct StackTable {
    /// The frame of each node.
    pub frame: Vec<usize>,
    /// The node that calls it.
    pub caller: Vec<Option<usize>>,
}

/// One frame.
#[derive(Clone, Debug, Deserialize)]
pub struct Frame {
    /// With dots and dollars.
    pub class: String,
    /// Its name.
    pub method: String,
    /// The source file, where the class names it.
    pub file: Option<String>,
    /// The line, where the class has lines.
    pub line: Option<u32>,
    /// Whether the class is the JDK's.
    pub jdk: bool,
}

/// A line that ends what is ended already.
#[derive(Debug, Deserialize)]
pub struct DoubleEnd {
    /// What it ends.
    pub kind: Kind,
    /// How often.
    pub times: u64,
    /// The line.
    pub frame: Frame,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.class, self.method)
    }
}

/// A rule that covers sites.
#[derive(Debug, Deserialize)]
pub struct Rule {
    /// As written.
    pub text: String,
    /// Ours, or the user's.
    pub built_in: bool,
    /// Where it stands.
    pub source: String,
    /// How many instances it covered.
    pub matched: u64,
    /// How many it covers at most.
    pub max: Option<u64>,
    /// How many there were beyond that.
    pub excess: u64,
    /// Whether there were any.
    pub over: bool,
}

/// What could not be seen.
#[derive(Debug, Deserialize)]
pub struct Health {
    /// Nothing was missed.
    pub ok: bool,
    /// Everything else that it says.
    #[serde(flatten)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

impl Health {
    /// How many were dropped, for all reasons together.
    pub fn dropped(&self) -> Result<u64, String> {
        let odd = || format!("`dropped` is no map of reasons to numbers: {:?}", self.details);
        let reasons =
            self.details.get("dropped").and_then(|reasons| reasons.as_object()).ok_or_else(odd)?;
        reasons.values().map(|number| number.as_u64().ok_or_else(odd)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_is_a_sum() {
        let health = |dropped: &str| -> Health {
            serde_json::from_str(&format!("{{\"ok\": false, \"dropped\": {dropped}}}")).unwrap()
        };
        assert_eq!(health("{\"a\": 1, \"b\": 1}").dropped(), Ok(2));
        assert_eq!(health("{}").dropped(), Ok(0));
        assert!(health("{\"a\": \"1\"}").dropped().is_err());
        assert!(health("3").dropped().is_err());
    }
}
