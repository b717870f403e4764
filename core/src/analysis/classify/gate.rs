//! The gate: whether a run fails, and why.
//!
//! What a failure does is decided elsewhere. Invariant: only what has a stack can fail a run.
//! Adopted instances have none, so they could be neither fixed nor covered by a rule. What the
//! baseline has cannot fail a run either.

use super::{Classification, SiteStats};
use crate::analysis::rules::Rule;
use crate::escape;
use crate::options::FailOn;
use crate::wording::{gate, grouped, kinds};

/// Rules over their maximum that the sentence names.
const RULES: usize = 3;

impl Classification {
    /// Why the gate fails: leaks that no rule covers and rules over their maximum always, suspects
    /// if `on` has a condition for them.
    pub fn failure(&self, rules: &[Rule], on: &FailOn) -> Option<String> {
        let (mut leaked, mut suspects, mut held) = (0, 0, 0);
        for site in &self.sites {
            leaked += site.stats.leaked;
            suspects += site.stats.suspects;
            held += site.stats.suspects * site.stats.bytes_each;
        }
        let mut reasons = Vec::new();
        if leaked > 0 {
            reasons.push(gate::leaks(&self.kinds(|stats| stats.leaked), leaked));
        }
        if let Some(least) = on.live.filter(|least| suspects >= *least) {
            reasons.push(gate::suspects(&self.kinds(|stats| stats.suspects), suspects, least));
        }
        if let Some(least) = on.bytes.filter(|least| held >= *least) {
            reasons.push(gate::bytes(&format!("{}{}", self.approx_prefix, grouped(held)), least));
        }
        let over: Vec<String> = self.over(rules).map(|(rule, count)| over(rule, count)).collect();
        let more = over.len().saturating_sub(RULES);
        reasons.extend(over.into_iter().take(RULES));
        if more > 0 {
            reasons.push(gate::more_over_maximum(more));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// The rules that would have covered more but for their maximum, each with how many it was to
    /// cover in all.
    pub fn over<'a>(&'a self, rules: &'a [Rule]) -> impl Iterator<Item = (&'a Rule, u64)> + 'a {
        let used = rules.iter().zip(self.covered.iter().zip(&self.excess));
        used.filter(|(_, (_, excess))| **excess > 0)
            .map(|(rule, (covered, excess))| (rule, covered + excess))
    }

    /// Sums over the sites of each kind, in words.
    pub fn kinds(&self, pick: fn(&SiteStats) -> u64) -> String {
        kinds(|kind| self.all_stats().filter(|stats| stats.kind == kind).map(pick).sum())
    }
}

fn over(rule: &Rule, count: u64) -> String {
    let max = grouped(rule.max.unwrap_or_default());
    gate::over_maximum(&grouped(count), &max, &escape::text(&rule.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::classify;
    use crate::analysis::classify::tests::{MADE, classified, session};
    use crate::analysis::footprint::Footprint;
    use crate::model::{Kind, Nanos};
    use std::time::Duration;

    #[test]
    fn what_fails() {
        let leak = (Kind::Inflater, &[MADE, "a.Leak.x"][..], 9, 6, 1, 2);
        let open = (Kind::Deflater, &[MADE, "a.Open.x"][..], 4, 0, 0, 0);
        let covered =
            (Kind::Inflater, &[MADE, "java.util.zip.ZipFile.getInflater"][..], 50, 0, 0, 0);
        let ended = (Kind::Inflater, &[MADE, "a.Fine.x"][..], 5, 5, 0, 0);
        const LEAK: &str = "3 Inflaters were never ended; only the garbage collector freed them";
        const LIVE: &str = "4 Deflaters are suspects (fail_on=live:4)";
        const BYTES: &str = "suspects hold ≈1,072,768 bytes (fail_on=bytes:1072768)";
        for (sites, live, bytes, reasons) in [
            (&[][..], None, None, &[][..]),
            (&[ended, covered], Some(1), Some(1), &[]),
            (&[ended, open], None, None, &[]),
            (&[ended, open], Some(5), Some(1_072_769), &[]),
            (&[leak, ended], None, None, &[LEAK]),
            (&[leak, open], None, None, &[LEAK]),
            (&[open, covered], Some(4), None, &[LIVE]),
            (&[open, covered], None, Some(1_072_768), &[BYTES]),
            (&[leak, open], Some(4), Some(1_072_768), &[LEAK, LIVE, BYTES]),
        ] {
            let failure = classified(sites).failure(&[], &FailOn { live, bytes });
            assert_eq!(
                failure,
                (!reasons.is_empty()).then(|| reasons.join("; ")),
                "{sites:?} {live:?} {bytes:?}"
            );
        }
    }

    #[test]
    fn a_rule_over_its_maximum_fails_it() {
        let open = session(&[(Kind::Deflater, &[MADE, "a.Pool.x"][..], 21, 0, 0, 0)]);
        let snapshot = open.snapshot(Nanos(3), Duration::ZERO).unwrap();
        for (max, why) in [
            (20, Some("rule live:a.Pool.* max=20 is over its maximum: 21 found, 20 allowed")),
            (21, None),
        ] {
            let rules = [Rule::parse(&format!("live:a.Pool.* max={max}"), false).unwrap()];
            let classification = classify(&snapshot, &Footprint::default(), &rules).unwrap();
            assert_eq!(classification.failure(&rules, &FailOn::default()).as_deref(), why);
        }
        let rules: Vec<_> = (0..5).map(|n| format!("live:a.Pool.* < *{n} max=0")).collect();
        let frames: Vec<String> = (0..5).map(|n| format!("b.C.x{n}")).collect();
        let many: Vec<_> = frames.iter().map(|frame| [MADE, "a.Pool.x", frame]).collect();
        let many: Vec<_> =
            many.iter().map(|frames| (Kind::Inflater, &frames[..], 1, 0, 0, 0)).collect();
        let rules: Vec<_> = rules.iter().map(|text| Rule::parse(text, false).unwrap()).collect();
        let snapshot = session(&many).snapshot(Nanos(3), Duration::ZERO).unwrap();
        let why = classify(&snapshot, &Footprint::default(), &rules)
            .unwrap()
            .failure(&rules, &FailOn::default())
            .unwrap();
        assert!(
            why.ends_with(
                "rule live:a.Pool.* < *2 max=0 is over its maximum: 1 found, 0 allowed; 2 more rules are over \
                 their maximum"
            ),
            "{why}"
        );
    }

    #[test]
    fn adopted_ones_never_fail_it() {
        let session = session(&[]);
        let lost = session.id();
        for id in [lost, session.id()] {
            session.record_adopted(id, Kind::Inflater, Nanos(1)).unwrap();
        }
        session.record_freed(lost, Nanos(2));
        let snapshot = session.snapshot(Nanos(3), Duration::ZERO).unwrap();
        let on = FailOn { live: Some(1), bytes: Some(1) };
        assert_eq!(
            classify(&snapshot, &Footprint::default(), &[]).unwrap().failure(&[], &on),
            None
        );
    }
}
