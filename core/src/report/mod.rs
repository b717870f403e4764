//! What is said: one plain report, and one renderer a file.
//!
//! Owns the report's shape and the choice of renderer; opens no file. Renderers write as they go and hold no
//! report in memory. Invariant: the same snapshot and process give the same bytes.

mod collapsed;
mod html;
mod json;
mod merge;
mod out;
mod pprof;
mod prom;
mod text;
mod tree;
mod words;

use crate::analysis::classify::{
    Baseline, Classification, ClassifiedSite, Known, Severity, SiteStats, classify,
};
use crate::analysis::findings::{DoubleEnd, Finding, double_ends};
use crate::analysis::footprint::Footprint;
use crate::analysis::hints::{self, Context};
use crate::analysis::history::{History, Trend};
use crate::analysis::retention::Retention;
use crate::analysis::rules::Rule;
use crate::ledger::Tally;
use crate::model::{Kind, Nanos, OutOfMemory, PerKind, Trigger};
use crate::options::Format;
use crate::session::{Gaps, Snapshot};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use merge::merge;
pub use text::Style;
pub use words::{bytes, clean, count, duration, frame};

/// Whose report it is, and when and why it was taken.
#[derive(Clone, Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Name and version of the JVM.
    pub jvm: String,
    /// Main class and arguments, as `jps -lm` has them.
    pub command: String,
    /// The options that it was given, but for those that could not be understood.
    pub options: String,
    /// When counting began: the agent was armed, or its counts were reset.
    pub started: SystemTime,
    /// The same by the clock of the snapshot, which may be older: an agent can be loaded long before it is armed.
    pub armed: Nanos,
    /// When this report was taken.
    pub taken: SystemTime,
    /// Whether the agent was armed when the JVM started, before the program.
    pub from_start: bool,
    /// What asked for it.
    pub trigger: Trigger,
    /// Number of a snapshot or a report on demand; none for the last one.
    pub number: Option<u32>,
    /// Bytes of it in memory (RSS) then.
    pub rss_bytes: Option<u64>,
    /// How many reports were summed up in it: more than one where JVMs were taken together.
    pub reports: u32,
}

impl Process {
    /// Main class, or the file name of the jar: without folders and arguments, which differ where the program does not.
    fn program(&self) -> &str {
        let first = self.command.split_whitespace().next().unwrap_or("java");
        first.rsplit('/').find(|name| !name.is_empty()).unwrap_or(first)
    }
}

/// What the report is told against.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// The file's name.
    pub file: String,
    /// When that report was taken.
    pub taken: SystemTime,
    /// How many of its sites had leaks or suspects.
    pub sites: u64,
    /// How many instances are as they were in it.
    pub known: u64,
}

/// Everything that a renderer may say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose.
    pub process: Process,
    /// What a stream holds outside the Java heap.
    pub native: Footprint,
    /// Seconds since counting began.
    pub age_seconds: f64,
    /// Sites and sums, in order.
    pub classification: Classification,
    /// Found open when counting began, and what became of them: they have no site.
    pub adopted: PerKind<Tally>,
    /// How many were live in this and the snapshots before it.
    pub history: Arc<History>,
    /// Who keeps a few of the live ones, where that was looked for.
    pub retention: Retention,
    /// The rules that were asked.
    pub rules: Vec<Rule>,
    /// The older report that it is told against.
    pub baseline: Option<Against>,
    /// Second and further calls of `end()`.
    pub ended_again: PerKind<u64>,
    /// The lines that most of these come from, most often first.
    pub double_ends: Vec<DoubleEnd>,
    /// First calls of `end()` on what was made before the agent was armed, and not adopted.
    pub ended_unknown: PerKind<u64>,
    /// When the snapshot was taken, for ages.
    pub snapshot_nanos: Nanos,
    /// What could not be seen.
    pub health: Health,
}

/// What could not be seen. Good health means: every count is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Reasons, from the session.
    pub gaps: Gaps,
    /// Sites whose sum is off.
    pub sums_off: u64,
    /// New stacks that found the site table full.
    pub overflowed: u64,
    /// Sites whose stack was cut at the outer end; their counts are exact.
    pub truncated_sites: u64,
}

impl Health {
    /// Whether all was seen and all adds up.
    pub fn ok(&self) -> bool {
        self.gaps == Gaps::default() && self.sums_off == 0 && self.overflowed == 0
    }
}

impl Report {
    /// Judges a snapshot and puts it in order. `history` has taken the snapshot in already.
    pub fn new(
        process: Process,
        native: Footprint,
        snapshot: &Snapshot,
        rules: Vec<Rule>,
        history: Arc<History>,
    ) -> Result<Report, OutOfMemory> {
        let classification = classify(snapshot, &native, &rules)?;
        let again = |kind| {
            let of_kind = snapshot.ended_again.iter().filter(|(site, _)| site.kind == kind);
            of_kind.map(|(_, times)| *times).sum()
        };
        Ok(Report {
            age_seconds: snapshot.taken.since(process.armed).as_secs_f64(),
            health: Health {
                gaps: snapshot.gaps.clone(),
                sums_off: classification.mismatches,
                overflowed: snapshot.overflowed,
                truncated_sites: classification.truncated_sites(),
            },
            process,
            native,
            classification,
            adopted: snapshot.adopted,
            history,
            retention: Retention::default(),
            rules,
            baseline: None,
            ended_again: PerKind { inflater: again(Kind::Inflater), deflater: again(Kind::Deflater) },
            double_ends: double_ends(&snapshot.ended_again)?,
            ended_unknown: snapshot.ended_unknown,
            snapshot_nanos: snapshot.taken,
        })
    }

    /// What was found, as the baseline of later reports. What this one's own baseline knew is as old as what was new.
    pub fn as_baseline(&self, file: &str) -> Baseline {
        let found = |classified: &ClassifiedSite| {
            let SiteStats { leaked, suspects, known, .. } = classified.stats;
            let known = Known { leaked: leaked + known.leaked, suspects: suspects + known.suspects };
            (known != Known::default()).then_some((classified.site.stable_id, known))
        };
        let sites = self.classification.sites.iter().filter_map(found).collect();
        Baseline { file: file.into(), taken: self.process.taken, sites }
    }

    /// The same, told against an older report.
    #[must_use]
    pub fn against(mut self, baseline: &Baseline) -> Report {
        self.baseline = Some(Against {
            file: baseline.file.clone(),
            taken: baseline.taken,
            sites: baseline.sites.len() as u64,
            known: self.classification.against(baseline),
        });
        self
    }

    /// The user's rules that had nothing to do.
    pub fn unused_rules(&self) -> impl Iterator<Item = &Rule> {
        let used = self.rules.iter().zip(self.classification.covered.iter().zip(&self.classification.excess));
        used.filter(|(rule, (covered, excess))| !rule.built_in && **covered + **excess == 0)
            .map(|(rule, _)| rule)
    }

    /// The baseline that a JSON report is, without the whole report in memory. The error is one sentence.
    pub fn read_baseline(from: impl io::Read, file: &str) -> Result<Baseline, String> {
        json::read_baseline(from, file)
    }

    /// A report out of its JSON. The error is one sentence.
    pub fn read(bytes: &[u8]) -> Result<Report, String> {
        json::read(bytes)
    }

    /// Whether nobody needs to read it: no leak, no suspect, with a stack or without one, and all was seen.
    pub fn nothing_to_tell(&self) -> bool {
        !self.found_something() && self.health.ok()
    }

    fn found_something(&self) -> bool {
        let clean = self.classification.sites.iter().all(|site| site.stats.severity() == Severity::Clean);
        let adopted = Kind::ALL.iter().map(|kind| self.adopted.get(*kind));
        !clean
            || (self.adopts_the_program_s() && adopted.map(|tally| lost(tally) + tally.live).sum::<u64>() > 0)
    }

    /// Native bytes that all open streams hold, expected ones and those without a stack included.
    pub fn bytes_held(&self) -> u64 {
        let live = |kind| self.classification.totals.get(kind).live + self.adopted.get(kind).live;
        Kind::ALL.map(|kind| self.native.bytes(kind, live(kind))).iter().sum()
    }

    /// What is open when an audit begins with the JVM is its own, or another agent's: counted, and no news.
    fn adopts_the_program_s(&self) -> bool {
        !self.process.from_start
    }

    /// Whether something was freed by the collector only, with a stack or without one.
    fn leaks(&self) -> bool {
        self.classification.sites.iter().any(|site| site.stats.leaked > 0)
            || Kind::ALL.iter().any(|kind| lost(self.adopted.get(*kind)) > 0)
    }

    /// What to change at a place.
    pub fn hint(&self, finding: &Finding<'_>) -> Option<String> {
        self.hint_given(finding, self.tendency(finding))
    }

    /// Which way the number of live ones of a place goes.
    fn tendency(&self, finding: &Finding<'_>) -> Option<Trend> {
        self.history.together(finding.sites.iter().map(|site| site.site.stable_id))?.tendency()
    }

    /// What to change at a place where the number of live ones goes this way.
    fn hint_given(&self, finding: &Finding<'_>, tendency: Option<Trend>) -> Option<String> {
        let release = hints::release(&self.process.jvm);
        hints::hint(finding, Context { release, tendency, double_ends: &self.double_ends })
    }

    /// Writes the report in this format. `style` is for people's eyes only. The writer should be buffered.
    pub fn render(&self, format: Format, style: Style, to: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => text::render(self, style, to),
            Format::Json => json::render(self, to),
            Format::Html => html::render(self, to),
            Format::Pprof => pprof::render(self, to),
            Format::Collapsed => collapsed::render(self, to),
            Format::Prom => prom::render(self, to),
        }
    }
}

/// Freed by the collector only: certain leaks.
fn lost(tally: &Tally) -> u64 {
    tally.counts.late + tally.counts.collected
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
