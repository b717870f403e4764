//! The JSON report, read back by structs of the tests' own (design §8), and what must hold in every one of them.
//!
//! Invariant: required fields are required; fields that were added since are ignored.

use crate::{Result, schema};
use serde::Deserialize;
use std::collections::HashSet;
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
    /// What a stream costs.
    pub native: Native,
    /// How long the program stood still for who keeps what.
    pub retention_pause_seconds: Option<f64>,
    /// What it is told against.
    pub baseline: Option<Baseline>,
    /// One per kind and allocation stack.
    pub sites: Vec<Site>,
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
pub struct Native {
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
pub struct Held {
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
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// java.util.zip.Inflater
    Inflater,
    /// java.util.zip.Deflater
    Deflater,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inflater => "inflater",
            Self::Deflater => "deflater",
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
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, more: &Counts) {
        self.created += more.created;
        self.ended += more.ended;
        self.late += more.late;
        self.collected += more.collected;
        self.live += more.live;
        self.expected += more.expected;
    }
}

/// All sites together.
#[derive(Debug, Deserialize)]
pub struct Totals {
    /// The Inflaters.
    pub inflater: Total,
    /// The Deflaters.
    pub deflater: Total,
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
        }
    }
}

/// All sites of a kind together, and what is in no site.
#[derive(Debug, Deserialize)]
pub struct Total {
    /// How many came to which end.
    #[serde(flatten)]
    pub counts: Counts,
    /// First calls of `end()` on instances that nobody had seen.
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
    fn adds_up(&self) -> bool {
        self.found == self.ended + self.late + self.collected + self.live
    }

    fn plus(&self, more: &Self) -> Self {
        Self {
            found: self.found + more.found,
            ended: self.ended + more.ended,
            late: self.late + more.late,
            collected: self.collected + more.collected,
            live: self.live + more.live,
        }
    }
}

/// The older report that one is told against.
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
    /// Bytes times the time for which nobody needed them.
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
    /// Who keeps a few of the live ones.
    pub retention: Vec<Held>,
}

/// How many were live when.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Point {
    /// Since the agent was armed.
    pub seconds: f64,
    /// The number.
    pub live: u64,
}

/// One frame.
#[derive(Debug, Deserialize)]
pub struct Frame {
    /// With dots and dollars.
    pub class: String,
    /// Its name.
    pub method: String,
    /// The source file, where the class names it.
    pub file: Option<String>,
    /// The line, where the class has lines.
    pub line: Option<u32>,
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

impl Report {
    /// Reads a report and checks its fields against the schema, but not what they say.
    pub fn read(text: &str) -> Result<Self> {
        let fields = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}\n{text}"))?;
        schema::check(&fields).map_err(|wrong| format!("{wrong}\n{text}"))?;
        Self::without_schema(text)
    }

    fn without_schema(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| format!("no report: {error}\n{text}"))
    }

    /// Reads a report and checks what must hold in every one.
    pub fn parse(text: &str) -> Result<Self> {
        let report = Self::read(text)?;
        report.check().map_err(|wrong| format!("{}\n{text}", wrong.join("\n")))?;
        Ok(report)
    }

    /// All that is wrong in itself.
    pub fn check(&self) -> std::result::Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let mut claim = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        claim(self.schema == "zaudit-report/1", format!("schema is {:?}", self.schema));
        claim(self.tool.name == "zaudit", format!("tool is {:?}", self.tool.name));
        claim(!self.tool.version.is_empty(), "the tool has no version".into());
        claim(!self.process.jvm.is_empty(), "the JVM has no name".into());
        claim(self.health.ok, format!("health is not ok: {:?}", self.health.details));
        let mut ids = HashSet::new();
        for site in &self.sites {
            let name = format!("site {}", site.id);
            claim(ids.insert(&site.id), format!("{name}: id is there twice"));
            let hex = site.id.chars().all(|c| c.is_ascii_hexdigit()) && !site.id.is_empty();
            claim(hex, format!("{name}: id is not hexadecimal"));
            for problem in unbalanced(&site.counts) {
                claim(false, format!("{name}: {problem}"));
            }
            claim(site.counts.created > 0, format!("{name}: nothing was made there"));
            claim(site.lateness_byte_seconds >= 0.0, format!("{name}: lateness is negative"));
            claim(site.oldest_live_seconds.is_none_or(|age| age >= 0.0), format!("{name}: age is negative"));
            claim(
                (site.counts.expected == 0) == site.rule.is_none(),
                format!("{name}: `expected` without a rule"),
            );
            if let Some(problem) = misjudged(site) {
                claim(false, format!("{name}: {problem}"));
            }
            let constructor = match site.kind {
                Kind::Inflater => "java.util.zip.Inflater.<init>",
                Kind::Deflater => "java.util.zip.Deflater.<init>",
            };
            let innermost = site.frames.first().map(ToString::to_string);
            claim(
                innermost.as_deref() == Some(constructor),
                format!("{name}: innermost frame is {innermost:?}"),
            );
            for frame in &site.frames {
                let foreign = !frame.class.starts_with("zaudit.") && !frame.class.contains(['/', ';']);
                claim(foreign, format!("{name}: frame {frame}"));
            }
        }
        let known: u64 = self.sites.iter().map(|site| site.known.leaked + site.known.suspects).sum();
        claim(
            known == self.baseline.as_ref().map_or(0, |baseline| baseline.known),
            format!("{known} are known, and the baseline is {:?}", self.baseline),
        );
        for rule in &self.rules {
            let sound = rule.over == (rule.excess > 0) && rule.max.is_none_or(|max| rule.matched <= max);
            claim(sound && (rule.max.is_some() || !rule.over), format!("a rule is not sound: {rule:?}"));
        }
        let matched: u64 = self.rules.iter().map(|rule| rule.matched).sum();
        let expected = self.totals.inflater.counts.expected + self.totals.deflater.counts.expected;
        claim(matched == expected, format!("rules cover {matched}, and {expected} are expected"));
        for kind in [Kind::Inflater, Kind::Deflater] {
            let total = &self.totals.of(kind).counts;
            let sum = self.sum(kind, |_| true);
            claim(sum == *total, format!("totals of {kind} are {total:?}, the sites sum up to {sum:?}"));
            let adopted = self.totals.adopted.of(kind).counts;
            claim(adopted.adds_up(), format!("adopted {kind}s do not add up: {adopted:?}"));
        }
        let Adoptions { both, inflater, deflater } = &self.totals.adopted;
        claim(
            inflater.counts.plus(&deflater.counts) == *both,
            format!("adopted of both kinds do not add up: {both:?}"),
        );
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The counts of all sites of `kind` that `belongs` to.
    pub fn sum(&self, kind: Kind, belongs: impl Fn(&Site) -> bool) -> Counts {
        let mut sum = Counts::default();
        for site in self.sites.iter().filter(|site| site.kind == kind && belongs(site)) {
            sum += &site.counts;
        }
        sum
    }
}

impl Site {
    /// Whether the program's class `main`, or one nested in it, takes part in the stack.
    #[must_use]
    pub fn is_of(&self, main: &str) -> bool {
        self.frames.iter().any(|frame| {
            frame
                .class
                .strip_prefix(main)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['$', '/', '.', '+']))
        })
    }

    /// The site in a few lines, for the person who reads why a test failed.
    #[must_use]
    pub fn describe(&self) -> String {
        let frames: Vec<String> = self.frames.iter().take(6).map(ToString::to_string).collect();
        format!("{} {} {:?} {}", self.kind, self.id, self.counts, frames.join(" < "))
    }
}

fn unbalanced(counts: &Counts) -> Vec<String> {
    let Counts { created, ended, late, collected, live, expected } = *counts;
    let mut problems = Vec::new();
    if created != ended + late + collected + live {
        problems.push(format!("created is not ended + late + collected + live: {counts:?}"));
    }
    if expected > late + collected + live {
        problems.push(format!("expected is more than late + collected + live: {counts:?}"));
    }
    problems
}

/// What is told of a site is all that was not ended, and nothing twice.
fn misjudged(site: &Site) -> Option<String> {
    let Site { counts, leaked, suspects, known, .. } = site;
    let leaks = leaked + known.leaked;
    let told = leaks + suspects + known.suspects + counts.expected;
    let all = counts.late + counts.collected + counts.live;
    let right = leaks <= counts.late + counts.collected && told <= all && all - told <= site.young;
    (!right).then(|| format!("{leaked} leaked, {suspects} suspects and {known:?} of {counts:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{ "schema": "zaudit-report/1", "tool": {"name": "zaudit", "version": "0.1.0"},
        "process": {"pid": 7, "jvm": "OpenJDK", "command": "Main", "started": 1.5, "taken": 2.5, "armed_seconds": 1.0,
                    "from_start": true, "trigger": "data_dump", "number": 1},
        "totals": {"inflater": {"created": 3, "ended": 1, "late": 0, "collected": 2, "live": 0, "expected": 0, "ended_unknown": 0},
                   "deflater": {"created": 0, "ended": 0, "late": 0, "collected": 0, "live": 0, "expected": 0, "ended_unknown": 0},
                   "adopted": {"found": 5, "ended": 2, "late": 1, "collected": 1, "live": 1,
                               "inflater": {"found": 3, "ended": 1, "late": 1, "collected": 0, "live": 1, "oldest_live_seconds": 3.5},
                               "deflater": {"found": 2, "ended": 1, "late": 0, "collected": 1, "live": 0, "oldest_live_seconds": null}}},
        "native": {"zlib": "1.3", "measured": true, "inflater": {"fresh": 1, "used": 2}, "deflater": {"fresh": 3, "used": 3}},
        "sites": [{"id": "00ff", "kind": "inflater", "class": null, "severity": "leak", "created": 3, "ended": 1, "late": 0, "collected": 2,
                   "live": 0, "expected": 0, "leaked": 2, "suspects": 0, "known": {"leaked": 0, "suspects": 0}, "bytes_held": 0, "lateness_byte_seconds": 1.0, "oldest_live_seconds": null,
                   "youngest_live_seconds": null, "young": 0, "tendency": null, "trend": [{"seconds": 1.0, "live": 3}],
                   "threads": ["main"], "rule": null, "truncated": false,
                   "frames": [{"class": "java.util.zip.Inflater", "method": "<init>", "file": "Inflater.java", "line": 1},
                              {"class": "Main$1", "method": "run", "file": null, "line": null}],
                   "retention": []}],
        "rules": [], "health": {"ok": true, "dropped": 0} }"#;

    /// It has only the fields that the checks need: too few for the schema.
    fn parsed(text: &str) -> Result<Report> {
        let report = Report::without_schema(text)?;
        report.check().map_err(|wrong| wrong.join("\n"))?;
        Ok(report)
    }

    #[test]
    fn a_sound_report_is_taken() {
        let report = parsed(REPORT).expect("sound");
        assert_eq!(report.process.trigger, Trigger::DataDump);
        assert!(report.sites[0].is_of("Main"));
        assert!(!report.sites[0].is_of("Mai"));
    }

    #[test]
    fn every_wrong_one_is_refused() {
        for (right, wrong) in [
            ("zaudit-report/1", "zaudit-report/2"),
            ("\"ok\": true", "\"ok\": false"),
            (
                "\"created\": 3, \"ended\": 1, \"late\": 0, \"collected\": 2,\n",
                "\"created\": 3, \"ended\": 1, \"late\": 0, \"collected\": 1,\n",
            ),
            ("{\"inflater\": {\"created\": 3, \"ended\": 1", "{\"inflater\": {\"created\": 3, \"ended\": 2"),
            ("\"adopted\": {\"found\": 5, \"ended\": 2", "\"adopted\": {\"found\": 6, \"ended\": 3"),
            ("\"found\": 2, \"ended\": 1", "\"found\": 2, \"ended\": 2"),
            ("00ff", "00fg"),
            ("\"leaked\": 2", "\"leaked\": 1"),
            ("\"leaked\": 2", "\"leaked\": 3"),
            ("\"known\": {\"leaked\": 0", "\"known\": {\"leaked\": 2"),
            (
                "\"rules\": []",
                "\"rules\": [{\"text\": \"live:x\", \"built_in\": false, \"source\": \"\", \"matched\": 1, \"excess\": 0, \
                 \"over\": false}]",
            ),
            ("\"rule\": null", "\"rule\": \"x\""),
            ("\"truncated\": false,", ""),
            ("java.util.zip.Inflater", "java.util.zip.Deflater"),
            ("Main$1", "zaudit.Hooks"),
            ("data_dump", "whim"),
        ] {
            assert!(REPORT.contains(right), "{right}");
            assert!(parsed(&REPORT.replacen(right, wrong, 1)).is_err(), "{wrong}");
        }
    }
}
