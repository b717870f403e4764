//! Reports: the data, and one renderer a file.
//!
//! Owns the shape of a report and the choice of the renderer; opens no file. Renderers write as
//! they go and hold no report in memory. Invariant: the same snapshot and process give the same
//! bytes.

mod collapsed;
mod html;
mod json;
mod markdown;
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
use crate::analysis::hints::{self, Context, Hint};
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
pub use words::{clean, frame};

/// The process that a report is about, and when and why it was written.
#[derive(Clone, Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Name and version of the JVM.
    pub jvm: String,
    /// Main class and arguments, as `jps -lm` has them.
    pub command: String,
    /// The options of the audit, without those that were wrong.
    pub options: String,
    /// Start of counting: the agent was armed, or its counts were reset.
    pub started: SystemTime,
    /// The same on the clock of the snapshot, which may start earlier: an agent may be armed long
    /// after it is loaded.
    pub armed: Nanos,
    /// Time of this report.
    pub taken: SystemTime,
    /// Whether the agent was armed when the JVM started, before the program.
    pub from_start: bool,
    /// What requested it.
    pub trigger: Trigger,
    /// Number of a snapshot or a report on demand; none for the last report.
    pub number: Option<u32>,
    /// Resident set size of the process, in bytes.
    pub rss_bytes: Option<u64>,
    /// Number of reports that are merged in it; 1 if none are.
    pub reports: u32,
}

impl Default for Process {
    fn default() -> Self {
        Process {
            pid: 0,
            jvm: String::new(),
            command: String::new(),
            options: String::new(),
            started: UNIX_EPOCH,
            armed: Nanos(0),
            taken: UNIX_EPOCH,
            from_start: true,
            trigger: Trigger::Exit,
            number: None,
            rss_bytes: None,
            reports: 1,
        }
    }
}

impl Process {
    /// Main class, or the file name of the jar: without folders and arguments, which vary.
    fn program(&self) -> &str {
        let first = self.command.split_whitespace().next().unwrap_or("java");
        first.rsplit('/').find(|name| !name.is_empty()).unwrap_or(first)
    }
}

/// The baseline of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// The file's name.
    pub file: String,
    /// Time of that report.
    pub taken: SystemTime,
    /// Number of its sites with leaks or suspects.
    pub sites: u64,
    /// Number of instances that it has already.
    pub known: u64,
}

/// All data of a report.
#[derive(Clone, Debug)]
pub struct Report {
    /// The process.
    pub process: Process,
    /// Native bytes of one instance.
    pub native: Footprint,
    /// Seconds since counting began.
    pub age_seconds: f64,
    /// Sites and sums, in order.
    pub classification: Classification,
    /// Adopted instances by outcome: they have no site.
    pub adopted: PerKind<Tally>,
    /// Live instances in this and in earlier snapshots.
    pub history: Arc<History>,
    /// Retaining paths of a few live instances, if they were searched.
    pub retention: Retention,
    /// The rules that were applied, in their order.
    pub rules: Vec<Rule>,
    /// The earlier report that it is compared with.
    pub baseline: Option<Against>,
    /// Second and further calls of `end()`.
    pub ended_again: PerKind<u64>,
    /// The lines of most of these calls, most often first.
    pub double_ends: Vec<DoubleEnd>,
    /// First calls of `end()` on instances that were created before the audit and not adopted.
    pub ended_unknown: PerKind<u64>,
    /// Time of the snapshot, from which ages are computed.
    pub snapshot_nanos: Nanos,
    /// What could not be seen.
    pub health: Health,
}

/// What could not be seen. In good health every count is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Reasons, from the session.
    pub gaps: Gaps,
    /// Sites whose sum is off.
    pub sums_off: u64,
    /// New stacks that did not fit into the table of sites or of double ends.
    pub overflowed: u64,
    /// Sites whose stack is truncated at the outer end; their counts are exact.
    pub truncated_sites: u64,
    /// How stacks were captured.
    pub walk: StackWalk,
}

/// How stacks were captured: by the agent's own walk or from JVMTI's GetStackTrace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackWalk {
    /// Whether the agent walks.
    pub state: WalkState,
    /// Why it does not, unless it was an option.
    pub reason: Option<String>,
    /// Stacks whose site was found by the walk.
    pub stacks: u64,
    /// Stacks that came from GetStackTrace although the agent walks, by reason.
    pub fallbacks: Reasons,
    /// Walked stacks that were compared with GetStackTrace.
    pub compared: u64,
    /// Of them: those that differed.
    pub mismatches: u64,
    /// The part of this that is about frozen frames.
    pub frozen: FrozenWalk,
}

/// How stacks of virtual threads were captured that have frozen frames: those that the walk found
/// are part of the numbers in [`StackWalk`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenWalk {
    /// Whether the walk continues with frozen frames.
    pub state: WalkState,
    /// Why it does not, unless it was an option or the walk is off.
    pub reason: Option<String>,
    /// Stacks with frozen frames whose site was found by the walk.
    pub stacks: u64,
    /// Stacks with frozen frames that were compared with GetStackTrace.
    pub compared: u64,
    /// Of them: those that differed.
    pub mismatches: u64,
}

impl StackWalk {
    /// Whether a check failed.
    pub fn has_failed(&self) -> bool {
        [self.state, self.frozen.state].contains(&WalkState::Failed)
    }
}

/// Numbers by reason.
pub type Reasons = std::collections::BTreeMap<std::borrow::Cow<'static, str>, u64>;

/// Whether the agent walks stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalkState {
    /// Where it can.
    On,
    /// No: the option `walk` says so.
    #[default]
    Off,
    /// No: not on this JVM.
    Unsupported,
    /// No longer: a check failed.
    Failed,
}

impl WalkState {
    /// All of them, those that matter most last.
    pub const ALL: [WalkState; 4] =
        [WalkState::Off, WalkState::On, WalkState::Unsupported, WalkState::Failed];

    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            WalkState::On => "on",
            WalkState::Off => "off",
            WalkState::Unsupported => "unsupported",
            WalkState::Failed => "failed",
        }
    }

    /// By that word.
    pub fn named(name: &str) -> Option<WalkState> {
        WalkState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Health {
    /// Whether every event was seen and every sum is balanced.
    pub fn ok(&self) -> bool {
        self.gaps == Gaps::default()
            && self.sums_off == 0
            && self.overflowed == 0
            && !self.walk.has_failed()
    }
}

impl Report {
    /// Classifies a snapshot. `history` includes it already.
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
                walk: StackWalk::default(),
            },
            process,
            native,
            classification,
            adopted: snapshot.adopted,
            history,
            retention: Retention::default(),
            rules,
            baseline: None,
            ended_again: PerKind::from_fn(again),
            double_ends: double_ends(&snapshot.ended_again)?,
            ended_unknown: snapshot.ended_unknown,
            snapshot_nanos: snapshot.taken,
        })
    }

    /// What was found, as the baseline of later reports. Includes what its own baseline has.
    pub fn as_baseline(&self, file: &str) -> Baseline {
        let found = |classified: &ClassifiedSite| {
            let SiteStats { leaked, suspects, known, .. } = classified.stats;
            let known =
                Known { leaked: leaked + known.leaked, suspects: suspects + known.suspects };
            (known != Known::default()).then_some((classified.site.stable_id, known))
        };
        let sites = self.classification.sites.iter().filter_map(found).collect();
        Baseline { file: file.into(), taken: self.process.taken, sites }
    }

    /// The same, compared with an earlier report.
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

    /// Rules of the user that matched nothing.
    pub fn unused_rules(&self) -> impl Iterator<Item = &Rule> {
        let used = self
            .rules
            .iter()
            .zip(self.classification.covered.iter().zip(&self.classification.excess));
        used.filter(|(rule, (covered, excess))| !rule.built_in && **covered + **excess == 0)
            .map(|(rule, _)| rule)
    }

    /// The baseline that a JSON report is, without the whole report in memory. The error is one
    /// sentence.
    pub fn read_baseline(from: impl io::Read, file: &str) -> Result<Baseline, String> {
        json::read_baseline(from, file)
    }

    /// A report out of its JSON. The error is one sentence.
    pub fn read(bytes: &[u8]) -> Result<Report, String> {
        json::read(bytes)
    }

    /// Whether nothing is wrong: no leak, no suspect, with a stack or without one, and health is
    /// good.
    pub fn nothing_to_tell(&self) -> bool {
        !self.found_something() && self.health.ok()
    }

    fn found_something(&self) -> bool {
        let clean =
            self.classification.sites.iter().all(|site| site.stats.severity() == Severity::Clean);
        let adopted = Kind::ALL.iter().map(|kind| self.adopted.get(*kind));
        !clean
            || (self.adopts_the_program_s()
                && adopted.map(|tally| lost(tally) + tally.live).sum::<u64>() > 0)
    }

    /// The kinds that the totals have a line for: entry streams only if there were any.
    fn kinds_listed(&self) -> impl Iterator<Item = Kind> {
        let created = |kind: Kind| self.classification.totals.get(kind).created > 0;
        Kind::ALL.into_iter().filter(move |kind| *kind != Kind::ZipEntry || created(*kind))
    }

    /// Native bytes that all live instances hold, expected and adopted ones included.
    pub fn bytes_held(&self) -> u64 {
        let live = |kind| self.classification.totals.get(kind).live + self.adopted.get(kind).live;
        // Those of entry streams are those of Inflaters.
        Kind::CLASSES.map(|kind| self.native.bytes(kind, live(kind))).iter().sum()
    }

    /// Instances that are open when an audit begins with the JVM belong to the JVM: not reported as
    /// suspects.
    fn adopts_the_program_s(&self) -> bool {
        !self.process.from_start
    }

    /// Whether there is a leak, with a stack or without one.
    fn leaks(&self) -> bool {
        self.classification.sites.iter().any(|site| site.stats.leaked > 0)
            || Kind::ALL.iter().any(|kind| lost(self.adopted.get(*kind)) > 0)
    }

    /// What to change in the code of a finding.
    pub fn hint(&self, finding: &Finding<'_>) -> Option<Hint> {
        self.hint_given(finding, self.tendency(finding))
    }

    /// How the number of live instances of a finding changes.
    fn tendency(&self, finding: &Finding<'_>) -> Option<Trend> {
        self.history.together(finding.sites.iter().map(|site| site.site.stable_id))?.tendency()
    }

    /// The same, where that trend is known already.
    fn hint_given(&self, finding: &Finding<'_>, tendency: Option<Trend>) -> Option<Hint> {
        let release = hints::release(&self.process.jvm);
        hints::hint(finding, Context { release, tendency, double_ends: &self.double_ends })
    }

    /// The findings as the text report has them, without what stands above and below them, where
    /// everything should have been ended: what is live is a leak, and has a hint.
    pub fn findings_as_text(&self) -> io::Result<String> {
        text::findings_alone(self)
    }

    /// Writes the report in this format. `style` applies to text. The writer should be buffered.
    pub fn render(&self, format: Format, style: Style, to: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => text::render(self, style, to),
            Format::Json => json::render(self, to),
            Format::Html => html::render(self, to),
            Format::Pprof => pprof::render(self, to),
            Format::Collapsed => collapsed::render(self, to),
            Format::Prom => prom::render(self, to),
            Format::Markdown => markdown::render(self, to),
        }
    }
}

/// Certain leaks: late and collected instances.
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
