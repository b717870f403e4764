//! The numbers of a site at one moment.

use crate::model::{Nanos, Outcome};

/// What happened to the instances of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances that were created; of adopted ones: found open.
    pub created: u64,
    /// First `end()` by the program.
    pub ended: u64,
    /// First `end()` by a finalizer or Cleaner.
    pub late: u64,
    /// Freed by the collector, never ended.
    pub collected: u64,
    /// Of `ended`: by another thread than the creator's.
    pub ended_elsewhere: u64,
    /// Of `ended`, entry streams only: left open, and ended when their `ZipFile` was closed.
    pub ended_with_file: u64,
    /// Of `late` and `collected`, Inflaters only: lent to an entry stream until then. That stream
    /// is the leak.
    pub lost_lent: u64,
    /// Creation to release, summed over `late` and `collected`.
    pub late_nanos: u128,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        self.created += other.created;
        self.ended += other.ended;
        self.late += other.late;
        self.collected += other.collected;
        self.ended_elsewhere += other.ended_elsewhere;
        self.ended_with_file += other.ended_with_file;
        self.lost_lent += other.lost_lent;
        self.late_nanos += other.late_nanos;
    }
}

/// A site's numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What became of its instances.
    pub counts: Counts,
    /// Records that were counted, not derived, so that the sum can be checked.
    pub live: u64,
    /// Of `live`: those younger than `min_age`.
    pub young: u64,
    /// Creation of the oldest live instance.
    pub oldest: Option<Nanos>,
    /// Creation of the youngest live instance: near the oldest if a pool filled once.
    pub youngest: Option<Nanos>,
}

impl Tally {
    /// Takes another site's numbers in.
    pub fn add(&mut self, other: &Tally) {
        self.counts.add(&other.counts);
        self.live += other.live;
        self.young += other.young;
        other.oldest.into_iter().chain(other.youngest).for_each(|made| self.saw(made));
    }

    pub(super) fn count(&mut self, created: Nanos, young_since: Option<Nanos>) {
        self.live += 1;
        self.counts.created += 1;
        self.young += u64::from(young_since.is_some_and(|since| created > since));
        self.saw(created);
    }

    fn saw(&mut self, made: Nanos) {
        self.oldest = Some(self.oldest.map_or(made, |oldest| oldest.min(made)));
        self.youngest = self.youngest.max(Some(made));
    }

    /// The instances with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ended => self.counts.ended,
            Outcome::Late => self.counts.late,
            Outcome::Collected => self.counts.collected,
            Outcome::Live => self.live,
        }
    }

    /// Whether `created = ended + late + collected + live`.
    pub fn is_balanced(&self) -> bool {
        self.counts.created == Outcome::ALL.map(|outcome| self.of(outcome)).iter().sum::<u64>()
    }
}
