//! What the rules cover, up to their maxima.
//!
//! A rule with a maximum covers the worst sites first, in the order that the report would have
//! without rules; so a known pool stays covered, and new suspects beside it are reported. Instances
//! that are too young to be suspects use up no maximum. Invariant: no rule covers more than its
//! maximum, and its excess is what it would have covered besides.

use super::{Classification, ClassifiedSite, SiteStats};
use crate::analysis::rules::{Rule, RuleIndex};
use crate::model::Kind;

/// What a rule covers, and what it would cover besides but for its maximum.
#[derive(Clone, Copy, Default)]
struct Use {
    covered: u64,
    excess: u64,
}

impl Classification {
    /// Applies the rules to each site, in the order of the sites.
    pub(super) fn cover(&mut self, rules: &[Rule]) {
        let mut used = vec![Use::default(); rules.len()];
        let index = RuleIndex::new(rules);
        for classified in &mut self.sites {
            classified.cover(rules, &index, &mut used);
        }
        (self.covered, self.excess) =
            used.into_iter().map(|used| (used.covered, used.excess)).unzip();
    }
}

impl ClassifiedSite {
    fn cover(&mut self, rules: &[Rule], index: &RuleIndex<'_>, used: &mut [Use]) {
        let SiteStats { kind, tally, leaked, .. } = self.stats;
        let first = |any: bool, speaks: fn(&Rule, Kind) -> bool| {
            any.then(|| index.first(self.site.frames(), |rule| speaks(rule, kind)))?
        };
        // Those that were lent are as expected as the others of their pool: the loan is the leak.
        let lent = tally.counts.lost_lent;
        let of_live = first(tally.live + lent > 0, Rule::speaks_of_live);
        let mut ask = |found: Option<usize>, all: u64, grown_up: u64| -> Option<u64> {
            let (rule, used) = (rules.get(found?)?, used.get_mut(found?)?);
            let covered =
                rule.max.map_or(all, |max| grown_up.min(max.saturating_sub(used.covered)));
            used.covered += covered;
            used.excess += grown_up.saturating_sub(covered);
            (covered > 0).then_some(covered)
        };
        let lent = ask(of_live, lent, lent).unwrap_or_default();
        let leaked = leaked - lent;
        let of_leaks = first(leaked > 0, Rule::speaks_of_leaks);
        let leaks = ask(of_leaks, leaked, leaked);
        let live = ask(of_live, tally.live, self.stats.suspects);
        // A rule that covers nothing of this site is not its rule.
        let covers_open = live.is_some() || lent > 0;
        self.rule = leaks.and(of_leaks).or(of_live.filter(|_| covers_open));
        let (leaks, live) = (leaks.unwrap_or_default(), live.unwrap_or_default());
        self.stats.leaked = leaked - leaks;
        self.stats.suspects = self.stats.suspects.saturating_sub(live);
        self.stats.expected = lent + leaks + live;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::classify;
    use crate::analysis::classify::tests::{MADE, Made, session};
    use crate::analysis::footprint::Footprint;
    use crate::model::Nanos;
    use std::time::Duration;

    const POOL: &str = "a.Pool.get";

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts.iter().map(|text| Rule::parse(text, false).unwrap()).collect()
    }

    /// Of each site in the order of the table: leaked, suspects, expected. And of each rule:
    /// covered, excess.
    fn covered(
        sites: &[Made<'_>],
        young: &[u64],
        texts: &[&str],
    ) -> (Vec<[u64; 3]>, Vec<[u64; 2]>) {
        let mut snapshot = session(sites).snapshot(Nanos(2_000_000_000), Duration::ZERO).unwrap();
        let ids: Vec<_> = snapshot.sites.iter().map(|seen| seen.site.stable_id).collect();
        for (seen, young) in snapshot.sites.iter_mut().zip(young) {
            seen.tally.young = *young;
        }
        let classification = classify(&snapshot, &Footprint::default(), &rules(texts)).unwrap();
        let stats = |id| {
            classification
                .sites
                .iter()
                .find(|classified| classified.site.stable_id == id)
                .unwrap()
                .stats
        };
        let stats_of = |id| {
            let stats: SiteStats = stats(id);
            let counts = stats.tally.counts;
            let sum = stats.leaked + stats.suspects + stats.expected + stats.too_young();
            assert_eq!(sum, counts.late + counts.collected + stats.tally.live);
            [stats.leaked, stats.suspects, stats.expected]
        };
        let sites: Vec<_> = ids.into_iter().map(stats_of).collect();
        let used: Vec<_> = classification
            .covered
            .iter()
            .zip(&classification.excess)
            .map(|(c, e)| [*c, *e])
            .collect();
        assert_eq!(
            sites.iter().map(|stats| stats[2]).sum::<u64>(),
            classification.covered.iter().sum::<u64>(),
            "what is expected is what rules cover"
        );
        (sites, used)
    }

    #[test]
    fn a_rule_covers_the_verdicts_and_kinds_that_it_names() {
        let sites = [
            // Three leaks and four live ones each.
            (Kind::Inflater, &[MADE, POOL][..], 9, 2, 1, 2),
            (Kind::Deflater, &[MADE, POOL][..], 9, 2, 1, 2),
        ];
        for (text, inflaters, deflaters) in [
            ("leak:a.Pool.*", [0, 4, 3], [0, 4, 3]),
            ("live:a.Pool.*", [3, 0, 4], [3, 0, 4]),
            ("leak,live:a.Pool.*", [0, 0, 7], [0, 0, 7]),
            ("leak,inflater:a.Pool.*", [0, 4, 3], [3, 4, 0]),
            ("live,deflater:a.Pool.*", [3, 4, 0], [3, 0, 4]),
            ("leak,live:a.Pond.*", [3, 4, 0], [3, 4, 0]),
        ] {
            assert_eq!(covered(&sites, &[], &[text]).0, [inflaters, deflaters], "{text}");
        }
    }

    #[test]
    fn leaks_and_live_ones_may_have_a_rule_each() {
        let sites = [(Kind::Inflater, &[MADE, POOL][..], 9, 2, 1, 2)];
        let (stats, used) =
            covered(&sites, &[], &["leak:a.Pool.*", "live:a.Pool.*", "leak,live:*"]);
        assert_eq!((stats, used), (vec![[0, 0, 7]], vec![[3, 0], [4, 0], [0, 0]]));
    }

    #[test]
    fn a_maximum_holds_over_all_sites_and_the_worst_are_covered_first() {
        let sites = [
            (Kind::Inflater, &[MADE, POOL, "b.Few.x"][..], 2, 0, 0, 0),
            (Kind::Inflater, &[MADE, POOL, "b.Many.x"][..], 16, 0, 0, 0),
            (Kind::Inflater, &[MADE, POOL, "b.Some.x"][..], 3, 0, 0, 0),
        ];
        for (max, few, many, some, used) in [
            (21, [0, 0, 2], [0, 0, 16], [0, 0, 3], [21, 0]),
            (20, [0, 1, 1], [0, 0, 16], [0, 0, 3], [20, 1]),
            (16, [0, 2, 0], [0, 0, 16], [0, 3, 0], [16, 5]),
            (1, [0, 2, 0], [0, 15, 1], [0, 3, 0], [1, 20]),
            (0, [0, 2, 0], [0, 16, 0], [0, 3, 0], [0, 21]),
            (u64::MAX, [0, 0, 2], [0, 0, 16], [0, 0, 3], [21, 0]),
        ] {
            let rule = format!("live:a.Pool.* max={max}");
            // A rule that is full hands nothing on.
            let found = covered(&sites, &[], &[&rule, "live:*"]);
            assert_eq!(found, (vec![few, many, some], vec![used, [0, 0]]), "{max}");
        }
    }

    #[test]
    fn the_young_use_up_no_maximum() {
        let sites = [(Kind::Inflater, &[MADE, POOL][..], 16, 0, 0, 1)];
        for (young, rule, stats, used) in [
            (10, "live:*", [1, 0, 15], [15, 0]),
            (10, "live:* max=5", [1, 0, 5], [5, 0]),
            (10, "live:* max=4", [1, 1, 4], [4, 1]),
            (15, "live:* max=0", [1, 0, 0], [0, 0]),
            (10, "leak,live:* max=6", [0, 0, 6], [6, 0]),
            (10, "leak,live:* max=0", [1, 5, 0], [0, 6]),
        ] {
            assert_eq!(
                covered(&sites, &[young], &[rule]),
                (vec![stats], vec![used]),
                "{young} {rule}"
            );
        }
    }
}
