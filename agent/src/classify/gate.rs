//! The gate: whether a run fails, and the sentence that says why.
//!
//! Leaves to others what a failure does. Invariant: only what has a stack can fail a run; adopted ones have none, so
//! that nobody could mend them or cover them with a rule.

use super::{Judgement, Verdict, grouped, kinds};
use crate::options::FailOn;

impl Judgement {
    /// Why the gate fails: leaks that no rule covers always, suspects where they were asked about.
    pub fn failure(&self, on: &FailOn) -> Option<String> {
        let leaked = self.kinds(|verdict| verdict.leaked);
        let (mut suspects, mut held) = (0, 0);
        for site in &self.sites {
            suspects += site.verdict.suspects;
            held += site.verdict.suspects * site.verdict.bytes_each;
        }
        let about = self.about;
        let mut reasons = Vec::new();
        if !leaked.is_empty() {
            reasons.push(format!("{leaked} never ended by the program, freed by the garbage collector only"));
        }
        let open = self.kinds(|verdict| verdict.suspects);
        if let Some(least) = on.live.filter(|least| suspects >= *least) {
            let open = if open.is_empty() { "nothing" } else { &open };
            reasons.push(format!("{open} still open (fail_on=live:{least})"));
        }
        if let Some(least) = on.bytes.filter(|least| held >= *least) {
            let held = grouped(held);
            reasons.push(format!("{about}{held} bytes held by what is still open (fail_on=bytes:{least})"));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Sums over the sites of each kind, in words.
    pub fn kinds(&self, pick: fn(&Verdict) -> u64) -> String {
        kinds(|kind| {
            let verdicts = self.sites.iter().map(|site| &site.verdict);
            verdicts.filter(|verdict| verdict.kind == kind).map(pick).sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::judge;
    use crate::classify::tests::{MADE, judged, session};
    use crate::event::{Kind, Nanos, ThreadId};
    use crate::native::Native;
    use std::time::Duration;

    #[test]
    fn what_fails() {
        let leak = (Kind::Inflater, &[MADE, "a.Leak.x"][..], 9, 6, 1, 2);
        let open = (Kind::Deflater, &[MADE, "a.Open.x"][..], 4, 0, 0, 0);
        let covered = (Kind::Inflater, &[MADE, "java.util.zip.ZipFile.getInflater"][..], 50, 0, 0, 0);
        let ended = (Kind::Inflater, &[MADE, "a.Fine.x"][..], 5, 5, 0, 0);
        const LEAK: &str = "3 Inflaters never ended by the program, freed by the garbage collector only";
        const LIVE: &str = "4 Deflaters still open (fail_on=live:4)";
        const BYTES: &str = "≈1,072,768 bytes held by what is still open (fail_on=bytes:1072768)";
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
            let failure = judged(sites).failure(&FailOn { live, bytes });
            assert_eq!(
                failure,
                (!reasons.is_empty()).then(|| reasons.join("; ")),
                "{sites:?} {live:?} {bytes:?}"
            );
        }
    }

    #[test]
    fn adopted_ones_never_fail_it() {
        let session = session(&[]);
        let lost = session.id(ThreadId(1));
        for id in [lost, session.id(ThreadId(1))] {
            session.adopted(id, Kind::Inflater, Nanos(1));
        }
        session.freed(lost, Nanos(2));
        let snapshot = session.snapshot(Nanos(3), Duration::ZERO);
        let on = FailOn { live: Some(1), bytes: Some(1) };
        assert_eq!(judge(&snapshot, &Native::default(), &[]).failure(&on), None);
    }
}
