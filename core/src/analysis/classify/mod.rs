//! What the numbers mean: which sites leak for certain, which are suspects, in which order.
//!
//! Pure functions of a snapshot and the rules. Adopted instances are not classified: they have no
//! stack, so there is no line to fix and no frame for a rule. What rules cover is `cover`'s, what
//! an earlier report has is `baseline`'s. Invariant: no count is changed on the way.

mod baseline;
mod cover;
mod gate;
mod others;
mod stats;

use crate::analysis::footprint::Footprint;
use crate::analysis::rules::Rule;
use crate::model::{Kind, OutOfMemory, Outcome, PerKind};
use crate::session::Snapshot;
use crate::stacks::Site;
use std::cmp::Reverse;
use std::sync::Arc;

pub use baseline::{Baseline, Known};
pub use others::Others;
pub use stats::{Severity, SiteStats};

/// A site with its severity.
#[derive(Clone, Debug)]
pub struct ClassifiedSite {
    /// Kind and stack.
    pub site: Arc<Site>,
    /// Outcomes and severity.
    pub stats: SiteStats,
    /// Index of the rule that covers some of its late and collected ones, else of its live ones.
    pub rule: Option<usize>,
}

/// Sums over all sites of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Constructors that returned.
    pub created: u64,
    /// Ended by the program.
    pub ended: u64,
    /// Ended by a finalizer or Cleaner.
    pub late: u64,
    /// Freed by the garbage collector.
    pub collected: u64,
    /// None of these so far.
    pub live: u64,
    /// Of the last three, covered by a rule.
    pub expected: u64,
    /// Of `ended`, by another thread than the creator's.
    pub ended_elsewhere: u64,
    /// Of `ended`, entry streams whose `ZipFile` was closed.
    pub ended_with_file: u64,
}

impl Totals {
    /// The instances with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ended => self.ended,
            Outcome::Late => self.late,
            Outcome::Collected => self.collected,
            Outcome::Live => self.live,
        }
    }

    /// Adds those of another report.
    pub(crate) fn add(&mut self, other: &Totals) {
        self.created += other.created;
        self.ended += other.ended;
        self.late += other.late;
        self.collected += other.collected;
        self.live += other.live;
        self.expected += other.expected;
        self.ended_elsewhere += other.ended_elsewhere;
        self.ended_with_file += other.ended_with_file;
    }
}

/// A snapshot, classified and sorted.
#[derive(Clone, Debug, Default)]
pub struct Classification {
    /// Worst first; the order is the same for the same numbers. Not all clean ones.
    pub sites: Vec<ClassifiedSite>,
    /// The clean ones that are not among them.
    pub others: PerKind<Option<Others>>,
    /// Sums.
    pub totals: PerKind<Totals>,
    /// What stands before bytes that are an estimate.
    pub approx_prefix: &'static str,
    /// Instances that each rule covers.
    pub covered: Vec<u64>,
    /// Instances that each rule would cover besides, but for its maximum.
    pub excess: Vec<u64>,
    /// Sites, and kinds of adopted instances, whose sum is not balanced: a bug in zaudit.
    pub mismatches: u64,
}

/// Classifies a snapshot.
pub fn classify(
    snapshot: &Snapshot,
    native: &Footprint,
    rules: &[Rule],
) -> Result<Classification, OutOfMemory> {
    let mut sites = Vec::new();
    sites.try_reserve_exact(snapshot.sites.len())?;
    sites.extend(snapshot.sites.iter().map(|seen| ClassifiedSite {
        site: Arc::clone(&seen.site),
        stats: SiteStats::without_rules(seen.site.kind, seen.tally, native),
        rule: None,
    }));
    let others = |kind| Others::of(kind, snapshot.others.get(kind), native);
    let mut classification = Classification {
        approx_prefix: native.approx_prefix(),
        sites,
        others: PerKind::from_fn(others),
        ..Classification::default()
    };
    classification.order();
    classification.cover(rules);
    classification.order();
    let (mut totals, mut mismatches) = (PerKind::<Totals>::default(), 0);
    for SiteStats { kind, tally, expected, .. } in classification.all_stats() {
        totals.get_mut(*kind).add(&Totals {
            created: tally.counts.created,
            ended: tally.counts.ended,
            late: tally.counts.late,
            collected: tally.counts.collected,
            live: tally.live,
            expected: *expected,
            ended_elsewhere: tally.counts.ended_elsewhere,
            ended_with_file: tally.counts.ended_with_file,
        });
        mismatches += u64::from(!tally.is_balanced());
    }
    let adopted = Kind::ALL.iter().filter(|kind| !snapshot.adopted.get(**kind).is_balanced());
    classification.totals = totals;
    classification.mismatches = mismatches + adopted.count() as u64;
    classification.leave_out_clean();
    Ok(classification)
}

impl Classification {
    /// Worst first. The site's own id settles ties, so that the order is the same in every run.
    pub(crate) fn order(&mut self) {
        self.sites.sort_unstable_by_key(|classified| {
            (Reverse(classified.stats.weight()), classified.site.stable_id)
        });
    }

    /// The numbers of all sites: those that are listed, and the sums of the others.
    pub fn all_stats(&self) -> impl Iterator<Item = &SiteStats> {
        let others = self.others().map(|others| &others.stats);
        self.sites.iter().map(|classified| &classified.stats).chain(others)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Actor, Frame, Nanos, Role, Stack, ThreadId};
    use crate::testing::Recording;
    use std::time::Duration;

    /// Kind, frames, created, ended, late, collected; the rest is live.
    pub(crate) type Made<'a> = (Kind, &'a [&'a str], u64, u64, u64, u64);

    /// A stack of these methods.
    pub(crate) fn stack(frames: &[&str]) -> Stack {
        let frame = |(depth, name): (usize, &&str)| {
            let (class, method) = name.rsplit_once('.').unwrap();
            let file = class.rsplit('.').next().and_then(|name| name.split('$').next());
            Frame {
                file: file.map(|name| format!("{name}.java")),
                // What is generated has no lines.
                line: Some(10 + depth as u32).filter(|_| !class.contains("$$")),
                ..Frame::named(class, method)
            }
        };
        let frames = frames.iter().enumerate().map(frame).collect();
        Stack { frames, truncated: false, subclass: None }
    }

    pub(crate) fn session(sites: &[Made<'_>]) -> Recording {
        let session = Recording::default();
        for (kind, frames, created, ended, late, collected) in sites {
            let site = session.learn(*kind, stack(frames)).unwrap();
            session.name_thread(site, "main".into());
            for n in 0..*created {
                let id = session.id();
                session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
                let by =
                    |role| Actor { thread: ThreadId(1 + u64::from(role == Role::Reclaimer)), role };
                let second = Nanos(1_000_000_000);
                if n < *ended {
                    session.record_ended(id, by(Role::Program), second);
                } else if n < ended + late {
                    session.record_ended(id, by(Role::Reclaimer), second);
                } else if n < ended + late + collected {
                    session.record_freed(id, second);
                }
            }
        }
        session
    }

    pub(crate) const MADE: &str = "java.util.zip.Inflater.<init>";

    pub(crate) fn classified(sites: &[Made<'_>]) -> Classification {
        classify(
            &session(sites).snapshot(Nanos(2_000_000_000), Duration::ZERO).unwrap(),
            &Footprint::default(),
            &Rule::built_in(),
        )
        .unwrap()
    }

    #[test]
    fn worst_first() {
        let order: Vec<_> = classified(&[
            (Kind::Inflater, &[MADE, "a.Fine.x"], 900, 900, 0, 0),
            (Kind::Inflater, &[MADE, "a.Live.x"], 500, 0, 0, 0),
            (Kind::Inflater, &[MADE, "a.Leak.small"], 10, 0, 0, 10),
            (Kind::Deflater, &[MADE, "a.Leak.big"], 5, 0, 5, 0),
        ])
        .sites
        .iter()
        .map(|classified| {
            let method = &classified.site.frames().nth(1).unwrap().method;
            format!("{method} {:?}", classified.stats.severity())
        })
        .collect();
        assert_eq!(order, ["big Leak", "small Leak", "x Suspect", "x Clean"]);
    }

    #[test]
    fn totals_are_the_sum_and_rules_only_cover() {
        let pool: &[&str] = &[MADE, "java.util.zip.ZipFile.getInflater", "a.Main.x"];
        let classification = classified(&[
            (Kind::Inflater, pool, 10, 2, 1, 3),
            (Kind::Inflater, &[MADE, "a.B.c"], 3, 3, 0, 0),
            (Kind::Deflater, &["java.util.zip.Deflater.<init>", "a.B.c"], 2, 0, 0, 2),
        ]);
        let totals = classification.totals.inflater;
        assert_eq!(
            totals,
            Totals {
                created: 13,
                ended: 5,
                late: 1,
                collected: 3,
                live: 4,
                expected: 4,
                ..Totals::default()
            }
        );
        assert_eq!(classification.totals.deflater.collected, 2);
        let site = classification
            .sites
            .iter()
            .map(|site| site.stats)
            .find(|site| site.tally.live > 0)
            .unwrap();
        assert_eq!((site.leaked, site.suspects, site.severity()), (4, 0, Severity::Leak));
        assert_eq!(classification.covered.iter().sum::<u64>(), 4);
        assert_eq!(classification.mismatches, 0);
    }

    #[test]
    fn what_was_lost_with_its_entry_stream_is_no_leak_beside_it() {
        let pool: &[&str] = &[MADE, "java.util.zip.ZipFile.getInflater", "a.Main.x"];
        for (frames, lent, stats) in [
            // Leaked, suspects, expected.
            (pool, 0, (3, 0, 2)),
            (pool, 2, (1, 0, 4)),
            (pool, 3, (0, 0, 5)),
            // Nothing says that this is a pool.
            (&[MADE, "a.B.c"][..], 3, (3, 2, 0)),
        ] {
            let session = session(&[(Kind::Inflater, frames, 5, 0, 2, 1)]);
            let mut snapshot = session.snapshot(Nanos(2), Duration::ZERO).unwrap();
            snapshot.sites[0].tally.counts.lost_lent = lent;
            let classification =
                classify(&snapshot, &Footprint::default(), &Rule::built_in()).unwrap();
            let site = &classification.sites[0];
            let SiteStats { leaked, suspects, expected, .. } = site.stats;
            assert_eq!((leaked, suspects, expected), stats, "{frames:?} {lent}");
            assert_eq!(site.rule.is_some(), expected > 0);
            assert_eq!(classification.covered.iter().sum::<u64>(), expected);
        }
    }

    #[test]
    fn the_young_are_no_suspects() {
        let pool: &[&str] = &[MADE, "java.util.zip.ZipFile.getInflater", "a.Main.x"];
        for (frames, live, young, stats) in [
            // Leaked, suspects, expected.
            (&[MADE, "a.B.c"][..], 5, 0, (1, 5, 0)),
            (&[MADE, "a.B.c"], 5, 3, (1, 2, 0)),
            (&[MADE, "a.B.c"], 5, 5, (1, 0, 0)),
            (pool, 5, 0, (1, 0, 5)),
            (pool, 5, 3, (1, 0, 5)),
        ] {
            let session = session(&[(Kind::Inflater, frames, 1 + live, 0, 0, 1)]);
            let mut snapshot = session.snapshot(Nanos(2), Duration::ZERO).unwrap();
            snapshot.sites[0].tally.young = young;
            let classification =
                classify(&snapshot, &Footprint::default(), &Rule::built_in()).unwrap();
            let site = classification.sites[0].stats;
            assert_eq!(
                (site.leaked, site.suspects, site.expected),
                stats,
                "{frames:?} {live} {young}"
            );
            assert_eq!(site.too_young(), if site.expected > 0 { 0 } else { young });
            assert_eq!(
                (site.tally.live, classification.totals.inflater.live),
                (live, live),
                "no count is changed"
            );
        }
    }

    #[test]
    fn adopted_ones_are_no_site_but_must_add_up() {
        let session = session(&[]);
        session.record_adopted(session.id(), Kind::Deflater, Nanos(1)).unwrap();
        let mut snapshot = session.snapshot(Nanos(2), Duration::ZERO).unwrap();
        let classification = classify(&snapshot, &Footprint::default(), &[]).unwrap();
        assert_eq!((classification.sites.len(), classification.mismatches), (0, 0));
        assert_eq!(classification.totals, PerKind::default());
        snapshot.adopted.deflater.live = 7;
        assert_eq!(classify(&snapshot, &Footprint::default(), &[]).unwrap().mismatches, 1);
    }

    #[test]
    fn ratios_in_words() {
        for (created, ended, collected, words) in [
            (10_000, 9_998, 2, "9,998 of 10,000 were ended: some path did not call end()"),
            (10_000, 0, 10_000, "0 of 10,000 were ended: nothing called end()"),
            (10, 5, 5, "5 of 10 were ended: only some paths called end()"),
            (7, 7, 0, "all 7 were ended"),
            (1, 0, 1, "0 of 1 was ended: nothing called end()"),
            (7, 0, 0, "0 of 7 were ended so far"),
            (7, 6, 0, "6 of 7 were ended so far"),
        ] {
            let classification =
                classified(&[(Kind::Inflater, &[MADE, "a.B.c"], created, ended, 0, collected)]);
            assert_eq!(classification.sites[0].stats.ratio(), words);
        }
    }
}
