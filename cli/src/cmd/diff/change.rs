//! The changes between two reports, site by site.
//!
//! Owns which sites correspond and what counts as a change; [`crate::cmd::diff`] writes them.
//! Invariant: only leaks and suspects that no rule covers are compared, and each site of either
//! report is in at most one change.

use std::cmp::Reverse;
use std::collections::HashMap;
use zaudit_core::analysis::classify::{ClassifiedSite, Severity};
use zaudit_core::model::Kind;
use zaudit_core::report::Report;

/// How a site has changed; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// It had no leaks and no suspects.
    New,
    /// It has more leaks, or more suspects.
    Grown,
    /// It has fewer of one and not more of the other.
    Shrunk,
    /// It has no leaks and no suspects any more.
    Gone,
}

impl ChangeKind {
    pub(crate) const ALL: [ChangeKind; 4] =
        [ChangeKind::New, ChangeKind::Grown, ChangeKind::Shrunk, ChangeKind::Gone];

    pub(crate) fn name(self) -> &'static str {
        match self {
            ChangeKind::New => "new",
            ChangeKind::Grown => "grown",
            ChangeKind::Shrunk => "shrunk",
            ChangeKind::Gone => "gone",
        }
    }

    /// Whether the change fails the comparison.
    pub(crate) fn worse(self) -> bool {
        matches!(self, ChangeKind::New | ChangeKind::Grown)
    }
}

/// The change of one site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) kind: ChangeKind,
    /// The site in the old report, if it is listed there.
    pub(crate) old: Option<&'a ClassifiedSite>,
    /// The site in the new report, if it is listed there.
    pub(crate) new: Option<&'a ClassifiedSite>,
    /// A site that is gone, and differs from this new one only in files and lines.
    pub(crate) moved_from: Option<&'a ClassifiedSite>,
    /// Whether the report that does not list this site may have left it out as clean.
    pub(crate) unlisted: bool,
}

impl<'a> Change<'a> {
    fn of(old: Option<&'a ClassifiedSite>, new: Option<&'a ClassifiedSite>) -> Option<Self> {
        let (before, now) = (found(old), found(new));
        let kind = match (before, now) {
            _ if before == now => return None,
            ((0, 0), _) => ChangeKind::New,
            (_, (0, 0)) => ChangeKind::Gone,
            _ if now.0 > before.0 || now.1 > before.1 => ChangeKind::Grown,
            _ => ChangeKind::Shrunk,
        };
        Some(Self { kind, old, new, moved_from: None, unlisted: false })
    }

    /// The site in the new report, else in the old one.
    pub(crate) fn classified(&self) -> Option<&'a ClassifiedSite> {
        self.new.or(self.old)
    }

    /// The severity in the new report; in the old one if the site is gone.
    pub(crate) fn severity(&self) -> Severity {
        let shown = if self.kind == ChangeKind::Gone { self.old } else { self.new };
        shown.map_or(Severity::Clean, |classified| classified.stats.severity())
    }

    /// The order: new or grown leaks first, new or grown suspects, then the rest; by bytes.
    fn weight(&self) -> (u8, u64) {
        let (before, now) = (found(self.old), found(self.new));
        let bytes = |one: u64, other: u64| {
            one.saturating_sub(other).saturating_mul(
                self.classified().map_or(0, |classified| classified.stats.bytes_each),
            )
        };
        match self.kind {
            ChangeKind::New | ChangeKind::Grown if now.0 > before.0 => (3, bytes(now.0, before.0)),
            ChangeKind::New | ChangeKind::Grown => (2, bytes(now.1, before.1)),
            ChangeKind::Shrunk => (1, bytes(before.0 + before.1, now.0 + now.1)),
            ChangeKind::Gone => (0, bytes(before.0 + before.1, 0)),
        }
    }
}

/// The numbers of leaks and of suspects.
pub(crate) fn found(classified: Option<&ClassifiedSite>) -> (u64, u64) {
    classified.map_or((0, 0), |classified| (classified.stats.leaked, classified.stats.suspects))
}

/// All changes, worst first, in the same order for the same two reports.
pub(crate) fn changes<'a>(old: &'a Report, new: &'a Report) -> Vec<Change<'a>> {
    let by_id = |report: &'a Report| -> HashMap<u64, &'a ClassifiedSite> {
        report
            .classification
            .sites
            .iter()
            .map(|classified| (classified.site.stable_id, classified))
            .collect()
    };
    let (before, now) = (by_id(old), by_id(new));
    let kept = new
        .classification
        .sites
        .iter()
        .map(|classified| (before.get(&classified.site.stable_id).copied(), Some(classified)));
    let left = old
        .classification
        .sites
        .iter()
        .filter(|classified| !now.contains_key(&classified.site.stable_id));
    let pairs = kept.chain(left.map(|classified| (Some(classified), None)));
    let mut changes: Vec<Change<'_>> =
        pairs.filter_map(|(old, new)| Change::of(old, new)).collect();
    let [old_leaves_out, new_leaves_out] =
        [old, new].map(|report| report.classification.sites_left_out() > 0);
    for change in &mut changes {
        change.unlisted =
            change.old.is_none() && old_leaves_out || change.new.is_none() && new_leaves_out;
    }
    find_moved(&mut changes);
    let id =
        |change: &Change<'_>| change.classified().map_or(0, |classified| classified.site.stable_id);
    changes.sort_by_key(|change| (Reverse(change.weight()), id(change)));
    changes
}

/// A kind, a subclass and the names of all frames.
type Names<'a> = (Kind, Option<&'a str>, Vec<(&'a str, &'a str)>);

/// Links new sites to gone ones that differ only in lines. Lines are part of a site, and move with
/// each release of the program, so that an old leak would look new.
fn find_moved(changes: &mut [Change<'_>]) {
    fn names(classified: &ClassifiedSite) -> Names<'_> {
        let frames =
            classified.site.frames().map(|frame| (frame.class.as_str(), frame.method.as_str()));
        (classified.site.kind, classified.site.subclass.as_deref(), frames.collect())
    }
    // A site has moved only if the other report does not have it, and if there is only one
    // candidate.
    let mut gone: HashMap<Names<'_>, Option<&ClassifiedSite>> = HashMap::new();
    for old in
        changes.iter().filter(|it| it.new.is_none() && !it.unlisted).filter_map(|change| change.old)
    {
        gone.entry(names(old)).and_modify(|several| *several = None).or_insert(Some(old));
    }
    for change in changes.iter_mut().filter(|change| change.old.is_none()) {
        change.moved_from = change.new.and_then(|new| gone.get(&names(new)).copied().flatten());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The agent's golden report, after some change.
    pub(crate) fn report(change: impl FnOnce(&mut Value)) -> Report {
        let mut root =
            serde_json::from_slice(include_bytes!("../../../../tests/goldens/report.json"))
                .unwrap();
        change(&mut root);
        Report::read(&serde_json::to_vec(&root).unwrap()).unwrap()
    }

    /// Sets the leaks and suspects of a site, and what follows from them.
    pub(crate) fn set(site: &mut Value, leaked: u64, suspects: u64) {
        for (field, number) in [
            ("created", leaked + suspects),
            ("ended", 0),
            ("late", 0),
            ("collected", leaked),
            ("live", suspects),
            ("expected", 0),
            ("young", 0),
            ("leaked", leaked),
            ("suspects", suspects),
        ] {
            site[field] = number.into();
        }
        site["rule"] = Value::Null;
    }

    fn kinds(old: &Report, new: &Report) -> Vec<(ChangeKind, String)> {
        let name = |classified: &ClassifiedSite| format!("{:016x}", classified.site.stable_id);
        changes(old, new)
            .iter()
            .map(|change| (change.kind, change.classified().map(name).unwrap()))
            .collect()
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        assert_eq!(kinds(&report(|_| {}), &report(|_| {})), []);
    }

    #[test]
    fn kinds_of_changes_and_their_order() {
        const IDS: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];
        let numbers = |all: [(u64, u64); 6]| {
            report(|root| {
                for (at, (leaked, suspects)) in all.into_iter().enumerate() {
                    let site = &mut root["sites"][at];
                    set(site, leaked, suspects);
                    site["id"] = IDS[at].into();
                    site["kind"] = "inflater".into();
                }
            })
        };
        let old = numbers([(5, 5), (0, 0), (0, 3), (9, 0), (1, 1), (0, 0)]);
        let new = numbers([(4, 6), (2, 0), (0, 0), (7, 0), (1, 1), (0, 8)]);
        let expected = [
            (ChangeKind::New, "a1"),
            (ChangeKind::New, "a5"),
            (ChangeKind::Grown, "a0"),
            (ChangeKind::Shrunk, "a3"),
            (ChangeKind::Gone, "a2"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(kind, id)| (kind, format!("{id:0>16}"))).collect();
        assert_eq!(kinds(&old, &new), expected);
        // Bytes decide between two changes of the same rank.
        let more = numbers([(5, 5), (1, 0), (0, 3), (20, 0), (1, 1), (0, 0)]);
        let expected = [(ChangeKind::Grown, "a3"), (ChangeKind::New, "a1")]
            .map(|(kind, id)| (kind, format!("{id:0>16}")));
        assert_eq!(kinds(&old, &more), expected);
    }

    #[test]
    fn sites_come_and_go_and_move() {
        let old = report(|_| {});
        let new = report(|root| {
            let sites = root["sites"].as_array_mut().unwrap();
            sites[0]["id"] = "1".into();
            sites[0]["frames"][0]["line"] = 999.into();
            sites.remove(1);
            sites.push(json!({}));
            let last = sites.len() - 1;
            sites[last] = sites[0].clone();
            set(&mut sites[last], 1, 0);
            sites[last]["id"] = "2".into();
            sites[last]["frames"][0]["method"] = "other".into();
        });
        let changes = changes(&old, &new);
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                let id = |classified: &ClassifiedSite| classified.site.stable_id;
                (change.kind, change.classified().map(id), change.moved_from.map(id))
            })
            .collect();
        let [first, second] = [0, 1].map(|at: usize| old.classification.sites[at].site.stable_id);
        assert_eq!(
            found,
            [
                (ChangeKind::New, Some(1), Some(first)),
                (ChangeKind::New, Some(2), None),
                (ChangeKind::Gone, Some(first), None),
                (ChangeKind::Gone, Some(second), None),
            ]
        );
    }

    #[test]
    fn what_a_rule_covers_is_not_compared() {
        let covered = report(|root| {
            let rule = root["rules"][0]["text"].clone();
            let site = &mut root["sites"][2];
            site["expected"] = 181.into();
            site["suspects"] = 0.into();
            site["rule"] = rule;
        });
        let more = report(|root| {
            let site = &mut root["sites"][5];
            for field in ["created", "live", "expected"] {
                site[field] = 99.into();
            }
        });
        let kinds = kinds(&covered, &more);
        assert_eq!(kinds.len(), 1, "{kinds:?}");
        assert_eq!(kinds[0].0, ChangeKind::New);
    }
}
