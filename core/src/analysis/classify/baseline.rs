//! A baseline: what an earlier report found, and what there is beyond that.
//!
//! Knows no format. Invariant: no count is changed: what the baseline has moves to `known`, and
//! only the rest is leaked or suspect.

use super::Classification;
use std::collections::HashMap;
use std::time::SystemTime;

/// Instances of a site in the baseline that no rule covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Late and collected instances.
    pub leaked: u64,
    /// Live instances.
    pub suspects: u64,
}

impl Known {
    /// All of these.
    pub fn sum(&self) -> u64 {
        self.leaked.saturating_add(self.suspects)
    }
}

/// What an older report found at each site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The file's name.
    pub file: String,
    /// Time of that report.
    pub taken: SystemTime,
    /// By the site's id.
    pub sites: HashMap<u64, Known>,
}

impl Classification {
    /// Moves what the baseline has to `known`, and returns the number of these instances.
    pub fn against(&mut self, baseline: &Baseline) -> u64 {
        let mut sum = 0;
        for classified in &mut self.sites {
            let Some(old) = baseline.sites.get(&classified.site.stable_id) else { continue };
            let stats = &mut classified.stats;
            stats.known = Known {
                leaked: old.leaked.min(stats.leaked),
                suspects: old.suspects.min(stats.suspects),
            };
            stats.leaked -= stats.known.leaked;
            stats.suspects -= stats.known.suspects;
            sum += stats.known.sum();
        }
        self.order();
        self.leave_out_clean();
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, classified};
    use crate::model::Kind;

    #[test]
    fn only_what_is_above_it_is_reported() {
        let frames = &[MADE, "a.B.c"][..];
        for (leaked, live, old, reported, known) in [
            (5, 7, None, (5, 7), (0, 0)),
            (5, 7, Some((5, 7)), (0, 0), (5, 7)),
            (5, 7, Some((3, 0)), (2, 7), (3, 0)),
            (5, 7, Some((0, 9)), (5, 0), (0, 7)),
            (0, 0, Some((u64::MAX, u64::MAX)), (0, 0), (0, 0)),
        ] {
            let mut classification = classified(&[
                (Kind::Inflater, frames, leaked + live + 1, 1, 0, leaked),
                (Kind::Inflater, &[MADE, "x.Y.z"], 1, 0, 0, 1),
            ]);
            let of = |classification: &Classification| {
                let found = classification
                    .sites
                    .iter()
                    .find(|site| site.site.frames().any(|f| f.class == "a.B"));
                found.map(|classified| (classified.site.stable_id, classified.stats)).unwrap()
            };
            let (id, before) = of(&classification);
            let sites = old.map(|(leaked, suspects)| (id, Known { leaked, suspects })).into_iter();
            let sites = sites.chain([(7, Known::default())]).collect();
            let baseline =
                Baseline { file: "old.json".into(), taken: SystemTime::UNIX_EPOCH, sites };
            let sum = classification.against(&baseline);
            let (_, stats) = of(&classification);
            assert_eq!((stats.leaked, stats.suspects), reported, "{leaked} {live} {old:?}");
            assert_eq!(
                (stats.known.leaked, stats.known.suspects, sum),
                (known.0, known.1, known.0 + known.1)
            );
            assert_eq!((stats.tally, stats.too_young()), (before.tally, 0), "no count is changed");
            if reported == (0, 0) {
                assert_eq!(
                    of(&classification).0,
                    classification.sites[1].site.stable_id,
                    "the order is made anew"
                );
            }
        }
    }
}
