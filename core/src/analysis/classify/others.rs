//! Clean sites that a report leaves out: their number and their sums.
//!
//! Every leak and every suspect stays, also those that the baseline knows: this report may be the
//! next baseline. Clean sites with open or lost instances (a rule or their age makes them clean)
//! are kept first, then the busiest. Invariant: what is listed and what is left out add up to the
//! totals.

use super::{Classification, ClassifiedSite, Severity, SiteStats};
use crate::analysis::footprint::Footprint;
use crate::model::Kind;
use crate::session::{self, Room};

/// The clean sites of one kind that are not listed.
#[derive(Clone, Copy, Debug)]
pub struct Others {
    /// Number of sites. In a merged report: summed up, so a site may count more than once.
    pub sites: u64,
    /// Of them: with a stack that was cut.
    pub truncated: u64,
    /// Their numbers, added up.
    pub stats: SiteStats,
}

impl Others {
    /// The sums that a snapshot has, if there are any.
    pub(super) fn of(kind: Kind, others: &session::Others, native: &Footprint) -> Option<Others> {
        let session::Others { sites, truncated, tally } = *others;
        (sites > 0).then(|| Others {
            sites,
            truncated,
            stats: SiteStats::without_rules(kind, tally, native),
        })
    }

    /// Adds more of the same kind to what there is.
    pub(crate) fn add(all: &mut Option<Others>, more: Others) {
        let Some(others) = all else {
            *all = Some(more);
            return;
        };
        others.sites += more.sites;
        others.truncated += more.truncated;
        others.stats.add(&more.stats);
    }
}

impl Classification {
    /// Replaces the clean sites that do not fit by their sums.
    pub(crate) fn leave_out_clean(&mut self) {
        let mut room = Room::CLEAN;
        let mut fitting = |open: bool| {
            let of_this_sort =
                self.sites.iter().filter(|classified| is_clean(classified) == Some(open));
            of_this_sort.take_while(|classified| room.take(&classified.site)).count()
        };
        let (mut open, mut ended) = (fitting(true), fitting(false));
        let others = &mut self.others;
        self.sites.retain(|classified| {
            let left = match is_clean(classified) {
                None => return true,
                Some(true) => &mut open,
                Some(false) => &mut ended,
            };
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                return true;
            }
            let truncated = u64::from(classified.site.truncated);
            let one = Others { sites: 1, truncated, stats: classified.stats };
            Others::add(others.get_mut(classified.site.kind), one);
            false
        });
    }

    /// Number of sites with a truncated stack, those that are not listed included.
    pub(crate) fn truncated_sites(&self) -> u64 {
        let listed =
            self.sites.iter().filter(|classified| classified.site.truncated).count() as u64;
        listed + self.others().map(|others| others.truncated).sum::<u64>()
    }

    /// Number of clean sites that are not listed.
    pub fn sites_left_out(&self) -> u64 {
        self.others().map(|others| others.sites).sum()
    }

    /// The sums of what is not listed, of the kinds that have any.
    pub(super) fn others(&self) -> impl Iterator<Item = &Others> {
        Kind::ALL.into_iter().filter_map(|kind| self.others.get(kind).as_ref())
    }
}

/// None where something is wrong; else whether something is open or lost nevertheless.
fn is_clean(classified: &ClassifiedSite) -> Option<bool> {
    let SiteStats { tally, known, .. } = &classified.stats;
    let clean =
        classified.stats.severity() == Severity::Clean && known.sum() == 0 && tally.is_balanced();
    clean.then_some(tally.counts.created > tally.counts.ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::classify;
    use crate::analysis::classify::tests::{MADE, Made, session};
    use crate::analysis::rules::Rule;
    use crate::model::Nanos;
    use std::time::Duration;

    /// Sites of `n` stacks each: ended, kept by a rule, leaked.
    fn classified(ended: usize, pooled: usize, leaked: usize) -> Classification {
        let names: Vec<String> = (0..ended + pooled + leaked)
            .map(|n| match n {
                n if n < ended => format!("a.Ended{n}.x"),
                n if n < ended + pooled => format!("a.Pool.x{n}"),
                n => format!("a.Leak{n}.x"),
            })
            .collect();
        let stacks: Vec<[&str; 2]> = names.iter().map(|name| [MADE, name.as_str()]).collect();
        let made: Vec<Made<'_>> = stacks
            .iter()
            .enumerate()
            .map(|(n, stack)| match n {
                n if n < ended => {
                    (Kind::Inflater, &stack[..], 1 + n as u64 % 7, 1 + n as u64 % 7, 0, 0)
                }
                n if n < ended + pooled => (Kind::Inflater, &stack[..], 1, 0, 0, 0),
                _ => (Kind::Inflater, &stack[..], 2, 1, 0, 1),
            })
            .collect();
        let snapshot = session(&made).snapshot(Nanos(9), Duration::ZERO).unwrap();
        classify(&snapshot, &Footprint::default(), &[Rule::parse("live:a.Pool.*", false).unwrap()])
            .unwrap()
    }

    #[test]
    fn what_is_wrong_is_listed_and_the_rest_as_there_is_room() {
        for (ended, pooled, leaked, listed) in [
            (10, 10, 10, 30),
            (1_500, 0, 3, 1_003),
            (1_500, 600, 3, 1_003),
            (5, 1_200, 1_100, 2_100),
            (2_500, 2_500, 0, 1_000),
        ] {
            let classification = classified(ended, pooled, leaked);
            assert_eq!(classification.sites.len(), listed, "{ended} {pooled} {leaked}");
            assert_eq!(classification.sites_left_out(), (ended + pooled + leaked - listed) as u64);
            let of =
                |pick: fn(&SiteStats) -> u64| classification.all_stats().map(pick).sum::<u64>();
            let totals = classification.totals.inflater;
            assert_eq!(of(|v| v.tally.counts.created), totals.created);
            assert_eq!(of(|v| v.tally.counts.ended), totals.ended);
            assert_eq!((of(|v| v.expected), totals.expected), (pooled as u64, pooled as u64));
            assert_eq!(of(|v| v.leaked), leaked as u64);
            let kept = |name: &str| {
                let class = |site: &&ClassifiedSite| {
                    site.site.frames().nth(1).unwrap().class.starts_with(name)
                };
                classification.sites.iter().filter(class).count()
            };
            assert_eq!(kept("a.Leak"), leaked);
            assert_eq!(kept("a.Pool"), pooled.min(1_000), "what is open comes before what is busy");
        }
    }

    #[test]
    fn the_busiest_are_listed() {
        let classification = classified(2_800, 0, 0);
        let created = |classified: &ClassifiedSite| classified.stats.tally.counts.created;
        assert!(classification.sites.iter().all(|classified| created(classified) >= 5));
        assert_eq!(classification.sites.iter().map(created).max(), Some(7));
    }
}
