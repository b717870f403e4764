//! A baseline: what an older report found, and what there is beyond that.
//!
//! Knows no format. Invariant: no count is changed: what the baseline knows is told as `known`, and only what is above is
//! leaked or suspect.

use super::Judgement;
use std::collections::HashMap;
use std::time::SystemTime;

/// How many the baseline had of what no rule covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Late and collected ones.
    pub leaked: u64,
    /// Live ones.
    pub suspects: u64,
}

impl Known {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.leaked.saturating_add(self.suspects)
    }
}

/// What an older report found at each site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The file's name.
    pub file: String,
    /// When that report was taken.
    pub taken: SystemTime,
    /// By the site's id.
    pub sites: HashMap<u64, Known>,
}

impl Judgement {
    /// Takes what the baseline had for known. How many that is.
    pub fn against(&mut self, baseline: &Baseline) -> u64 {
        let mut sum = 0;
        for judged in &mut self.sites {
            let Some(old) = baseline.sites.get(&judged.site.stable_id) else { continue };
            let verdict = &mut judged.verdict;
            verdict.known = Known {
                leaked: old.leaked.min(verdict.leaked),
                suspects: old.suspects.min(verdict.suspects),
            };
            verdict.leaked -= verdict.known.leaked;
            verdict.suspects -= verdict.known.suspects;
            sum += verdict.known.sum();
        }
        self.order();
        self.leave_out_clean();
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, judged};
    use crate::model::Kind;

    #[test]
    fn only_what_is_above_it_is_told() {
        let frames = &[MADE, "a.B.c"][..];
        for (leaked, live, old, told, known) in [
            (5, 7, None, (5, 7), (0, 0)),
            (5, 7, Some((5, 7)), (0, 0), (5, 7)),
            (5, 7, Some((3, 0)), (2, 7), (3, 0)),
            (5, 7, Some((0, 9)), (5, 0), (0, 7)),
            (0, 0, Some((u64::MAX, u64::MAX)), (0, 0), (0, 0)),
        ] {
            let mut judgement = judged(&[
                (Kind::Inflater, frames, leaked + live + 1, 1, 0, leaked),
                (Kind::Inflater, &[MADE, "x.Y.z"], 1, 0, 0, 1),
            ]);
            let of = |judgement: &Judgement| {
                let found = judgement.sites.iter().find(|site| site.site.frames().any(|f| f.class == "a.B"));
                found.map(|judged| (judged.site.stable_id, judged.verdict)).unwrap()
            };
            let (id, before) = of(&judgement);
            let sites = old.map(|(leaked, suspects)| (id, Known { leaked, suspects })).into_iter();
            let sites = sites.chain([(7, Known::default())]).collect();
            let baseline = Baseline { file: "old.json".into(), taken: SystemTime::UNIX_EPOCH, sites };
            let sum = judgement.against(&baseline);
            let (_, verdict) = of(&judgement);
            assert_eq!((verdict.leaked, verdict.suspects), told, "{leaked} {live} {old:?}");
            assert_eq!(
                (verdict.known.leaked, verdict.known.suspects, sum),
                (known.0, known.1, known.0 + known.1)
            );
            assert_eq!((verdict.tally, verdict.spared()), (before.tally, 0), "no count is changed");
            if told == (0, 0) {
                assert_eq!(of(&judgement).0, judgement.sites[1].site.stable_id, "the order is made anew");
            }
        }
    }
}
