//! What has changed between two reports, site by site.
//!
//! Owns which sites are one and what counts as a change; words and bytes are [`crate::cmd::diff`]'s. Invariant: only what no rule covers is
//! compared, and each site of either report is in at most one change.

use std::cmp::Reverse;
use std::collections::HashMap;
use zaudit_core::analysis::classify::{ClassifiedSite, Severity};
use zaudit_core::model::Kind;
use zaudit_core::report::Report;

/// Which way a site went; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// There was nothing to find here.
    New,
    /// More leaked, or more are open.
    Grown,
    /// Less of one and not more of the other.
    Shrunk,
    /// There is nothing to find here any more.
    Gone,
}

impl Way {
    pub(crate) const ALL: [Way; 4] = [Way::New, Way::Grown, Way::Shrunk, Way::Gone];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::New => "new",
            Way::Grown => "grown",
            Way::Shrunk => "shrunk",
            Way::Gone => "gone",
        }
    }

    /// Whether somebody should look.
    pub(crate) fn worse(self) -> bool {
        matches!(self, Way::New | Way::Grown)
    }
}

/// One site, then and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) way: Way,
    pub(crate) old: Option<&'a ClassifiedSite>,
    pub(crate) new: Option<&'a ClassifiedSite>,
    /// A site that is gone and differs from this new one in nothing but files and lines.
    pub(crate) moved_from: Option<&'a ClassifiedSite>,
    /// Whether the report without this site may have it as a clean one that is not listed.
    pub(crate) unlisted: bool,
}

impl<'a> Change<'a> {
    fn of(old: Option<&'a ClassifiedSite>, new: Option<&'a ClassifiedSite>) -> Option<Self> {
        let (before, now) = (found(old), found(new));
        let way = match (before, now) {
            _ if before == now => return None,
            ((0, 0), _) => Way::New,
            (_, (0, 0)) => Way::Gone,
            _ if now.0 > before.0 || now.1 > before.1 => Way::Grown,
            _ => Way::Shrunk,
        };
        Some(Self { way, old, new, moved_from: None, unlisted: false })
    }

    /// The site as it is now, else as it was.
    pub(crate) fn classified(&self) -> Option<&'a ClassifiedSite> {
        self.new.or(self.old)
    }

    /// The word for what is found here; for what was, where that is gone.
    pub(crate) fn severity(&self) -> &'static str {
        let told = if self.way == Way::Gone { self.old } else { self.new };
        match told.map(|classified| classified.stats.severity()) {
            Some(Severity::Leak) => "leak",
            _ => "live",
        }
    }

    /// What comes first: certain leaks that are new or grew, what is open and is new or grew, the rest; by bytes.
    fn weight(&self) -> (u8, u64) {
        let (before, now) = (found(self.old), found(self.new));
        let bytes = |one: u64, other: u64| {
            one.saturating_sub(other)
                .saturating_mul(self.classified().map_or(0, |classified| classified.stats.bytes_each))
        };
        match self.way {
            Way::New | Way::Grown if now.0 > before.0 => (3, bytes(now.0, before.0)),
            Way::New | Way::Grown => (2, bytes(now.1, before.1)),
            Way::Shrunk => (1, bytes(before.0 + before.1, now.0 + now.1)),
            Way::Gone => (0, bytes(before.0 + before.1, 0)),
        }
    }
}

/// Certain leaks and suspects.
pub(crate) fn found(classified: Option<&ClassifiedSite>) -> (u64, u64) {
    classified.map_or((0, 0), |classified| (classified.stats.leaked, classified.stats.suspects))
}

/// All changes, worst first; the same for the same two reports.
pub(crate) fn changes<'a>(old: &'a Report, new: &'a Report) -> Vec<Change<'a>> {
    let by_id = |report: &'a Report| -> HashMap<u64, &'a ClassifiedSite> {
        report.classification.sites.iter().map(|classified| (classified.site.stable_id, classified)).collect()
    };
    let (before, now) = (by_id(old), by_id(new));
    let kept = new
        .classification
        .sites
        .iter()
        .map(|classified| (before.get(&classified.site.stable_id).copied(), Some(classified)));
    let left =
        old.classification.sites.iter().filter(|classified| !now.contains_key(&classified.site.stable_id));
    let pairs = kept.chain(left.map(|classified| (Some(classified), None)));
    let mut changes: Vec<Change<'_>> = pairs.filter_map(|(old, new)| Change::of(old, new)).collect();
    let [old_leaves_out, new_leaves_out] =
        [old, new].map(|report| report.classification.sites_left_out() > 0);
    for change in &mut changes {
        change.unlisted = change.old.is_none() && old_leaves_out || change.new.is_none() && new_leaves_out;
    }
    find_moved(&mut changes);
    let id = |change: &Change<'_>| change.classified().map_or(0, |classified| classified.site.stable_id);
    changes.sort_by_key(|change| (Reverse(change.weight()), id(change)));
    changes
}

/// A kind, a subclass and the names of all frames.
type Names<'a> = (Kind, Option<&'a str>, Vec<(&'a str, &'a str)>);

/// A site is its lines, too: with another release of the program they move, and an old leak seems to be a new one.
fn find_moved(changes: &mut [Change<'_>]) {
    fn names(classified: &ClassifiedSite) -> Names<'_> {
        let frames = classified.site.frames().map(|frame| (frame.class.as_str(), frame.method.as_str()));
        (classified.site.kind, classified.site.subclass.as_deref(), frames.collect())
    }
    // Only what is nowhere in the other report can have moved, and only where it is clear from where.
    let mut gone: HashMap<Names<'_>, Option<&ClassifiedSite>> = HashMap::new();
    for old in changes.iter().filter(|it| it.new.is_none() && !it.unlisted).filter_map(|change| change.old) {
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

    /// The agent's own golden, after some change.
    pub(crate) fn report(change: impl FnOnce(&mut Value)) -> Report {
        let mut root =
            serde_json::from_slice(include_bytes!("../../../../tests/goldens/report.json")).unwrap();
        change(&mut root);
        Report::read(&serde_json::to_vec(&root).unwrap()).unwrap()
    }

    /// Sets the certain leaks and suspects of a site, and what follows from them.
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

    fn ways(old: &Report, new: &Report) -> Vec<(Way, String)> {
        let name = |classified: &ClassifiedSite| format!("{:016x}", classified.site.stable_id);
        changes(old, new).iter().map(|change| (change.way, change.classified().map(name).unwrap())).collect()
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        assert_eq!(ways(&report(|_| {}), &report(|_| {})), []);
    }

    #[test]
    fn ways_and_their_order() {
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
        let expected =
            [(Way::New, "a1"), (Way::New, "a5"), (Way::Grown, "a0"), (Way::Shrunk, "a3"), (Way::Gone, "a2")];
        let expected: Vec<_> = expected.into_iter().map(|(way, id)| (way, format!("{id:0>16}"))).collect();
        assert_eq!(ways(&old, &new), expected);
        // Bytes decide between two of the same rank.
        let more = numbers([(5, 5), (1, 0), (0, 3), (20, 0), (1, 1), (0, 0)]);
        let expected = [(Way::Grown, "a3"), (Way::New, "a1")].map(|(way, id)| (way, format!("{id:0>16}")));
        assert_eq!(ways(&old, &more), expected);
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
                (change.way, change.classified().map(id), change.moved_from.map(id))
            })
            .collect();
        let [first, second] = [0, 1].map(|at: usize| old.classification.sites[at].site.stable_id);
        assert_eq!(
            found,
            [
                (Way::New, Some(1), Some(first)),
                (Way::New, Some(2), None),
                (Way::Gone, Some(first), None),
                (Way::Gone, Some(second), None),
            ]
        );
    }

    #[test]
    fn what_a_rule_covers_is_no_change() {
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
        let ways = ways(&covered, &more);
        assert_eq!(ways.len(), 1, "{ways:?}");
        assert_eq!(ways[0].0, Way::New);
    }
}
