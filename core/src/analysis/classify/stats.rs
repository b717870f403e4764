//! The outcomes of the instances of one site or finding, and their severity.
//!
//! What rules cover is decided in `cover`. Invariant: sentences and numbers of a report are made of
//! the same counts.

use super::Known;
use crate::analysis::footprint::Footprint;
use crate::ledger::Tally;
use crate::model::Kind;
use crate::wording::finding;
use std::time::Duration;

/// How serious a site or finding is, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Every instance was ended, or a rule covers what was not.
    Clean,
    /// Some are live: a leak or a pool.
    Suspect,
    /// Some were freed only by the collector.
    Leak,
}

impl Severity {
    /// The word that machine-readable reports use.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Clean => "clean",
            Severity::Suspect => "suspect",
            Severity::Leak => "leak",
        }
    }
}

/// The outcomes of the instances of one kind at a site or finding, and their severity.
#[derive(Clone, Copy, Debug)]
pub struct SiteStats {
    /// What is made there.
    pub kind: Kind,
    /// Native bytes of one instance.
    pub bytes_each: u64,
    /// The outcomes.
    pub tally: Tally,
    /// Late and collected instances that no rule covers and the baseline does not have.
    pub leaked: u64,
    /// Live instances that no rule covers, that the baseline does not have and that are old enough.
    pub suspects: u64,
    /// Instances of `late + collected + live` that rules cover.
    pub expected: u64,
    /// Of those that no rule covers: those that the baseline has.
    pub known: Known,
}

impl SiteStats {
    /// As if there were no rules.
    pub(super) fn without_rules(kind: Kind, tally: Tally, native: &Footprint) -> SiteStats {
        SiteStats {
            kind,
            bytes_each: *native.each.get(kind),
            tally,
            leaked: tally.counts.late + tally.counts.collected,
            suspects: tally.live.saturating_sub(tally.young),
            expected: 0,
            known: Known::default(),
        }
    }

    /// The severity of the worst instance.
    pub fn severity(&self) -> Severity {
        match (self.leaked, self.suspects) {
            (0, 0) => Severity::Clean,
            (0, _) => Severity::Suspect,
            _ => Severity::Leak,
        }
    }

    /// Live ones that are too young to be suspects.
    pub fn too_young(&self) -> u64 {
        let counts = &self.tally.counts;
        let counted = self.leaked + self.suspects + self.expected + self.known.sum();
        counts.late + counts.collected + self.tally.live - counted
    }

    /// Native bytes that the live instances hold.
    pub fn bytes_held(&self) -> u64 {
        self.tally.live * self.bytes_each
    }

    /// Native bytes × seconds between creation and release of the late and collected ones.
    pub fn lateness(&self) -> f64 {
        self.lateness_seconds() * self.bytes_each as f64
    }

    /// Seconds between creation and release, summed over the late and collected ones.
    pub fn lateness_seconds(&self) -> f64 {
        seconds(self.tally.counts.late_nanos)
    }

    /// How long one late or collected instance kept its memory, on average.
    pub fn mean_lateness(&self) -> Option<Duration> {
        let counts = &self.tally.counts;
        let freed = u128::from(counts.late + counts.collected);
        let nanos = counts.late_nanos.checked_div(freed)?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How many were ended, and what that suggests: one sentence.
    pub fn ratio(&self) -> String {
        let lost = self.leaked + self.known.leaked > 0;
        finding::ratio(self.kind, self.tally.counts.created, self.tally.counts.ended, lost)
    }

    /// Certain leaks first, by the bytes that they kept from the system; then suspects, by the
    /// bytes that they hold; then the rest, by how busy they are.
    pub(crate) fn weight(&self) -> (Severity, u64, u64) {
        let without_rules = self.leaked + self.suspects;
        (self.severity(), without_rules * self.bytes_each, self.tally.counts.created)
    }

    /// Adds those of another site of the same kind.
    pub(crate) fn add(&mut self, other: &SiteStats) {
        self.tally.add(&other.tally);
        self.leaked += other.leaked;
        self.suspects += other.suspects;
        self.expected += other.expected;
        self.known.leaked += other.known.leaked;
        self.known.suspects += other.known.suspects;
    }
}

/// The number next to it that a float can be: what is read back from a report gives the same one
/// again.
fn seconds(nanos: u128) -> f64 {
    const SECOND: u128 = 1_000_000_000;
    (nanos / SECOND) as f64 + (nanos % SECOND) as f64 / SECOND as f64
}
