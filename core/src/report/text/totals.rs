//! The part below the findings: rules, totals, adopted instances, health.
//!
//! Invariant: what the findings leave out (covered, too young, clean, without a stack) is a number
//! here.

use super::{BOLD, RED, Text, YELLOW, approximate};
use crate::analysis::blame::blame_frame;
use crate::analysis::classify::Severity;
use crate::analysis::findings::DoubleEnd;
use crate::analysis::hints::LONG;
use crate::analysis::history::Direction;
use crate::model::{Kind, Outcome};
use crate::report::words::{clean, placed, tendency};
use crate::report::{Health, Report, WalkState};
use crate::session::Gaps;
use crate::wording::{grouped, notes as wording};
use std::fmt::Write as _;

/// Unused rules that are listed.
const RULES: usize = 5;
/// Characters of a rule or a name that are shown.
const RULE: usize = 120;

impl Text<'_> {
    pub(super) fn rules(&mut self, report: &Report) {
        let classification = &report.classification;
        let used =
            report.rules.iter().zip(classification.covered.iter().zip(&classification.excess));
        let used: Vec<_> = used
            .enumerate()
            .filter(|(_, (_, (covered, excess)))| **covered + **excess > 0)
            .collect();
        if !used.is_empty() {
            let head = self.paint(BOLD, "EXPECTED");
            let _ = writeln!(self.out, "\n{head}  {}", wording::EXPECTED);
            for (at, (rule, (covered, excess))) in used {
                let from = if rule.built_in { " (built in)" } else { "" };
                let line = format!("{:>10}  {}{from}", grouped(*covered), clean(&rule.text));
                let _ = writeln!(self.out, "{line}");
                if let Some(line) = where_expected(report, at) {
                    self.prose(12, &line);
                }
                if *excess > 0 {
                    let (all, max) =
                        (grouped(covered + excess), grouped(rule.max.unwrap_or_default()));
                    let line = format!("{:12}{}", "", wording::over_maximum(&all, &max));
                    let line = self.paint(RED, &line);
                    let _ = writeln!(self.out, "{line}");
                }
            }
        }
    }

    /// Rules of the user that matched nothing: perhaps their leaks are fixed.
    pub(super) fn unused_rules(&mut self, report: &Report) {
        let unused: Vec<_> = report.unused_rules().collect();
        if unused.is_empty() {
            return;
        }
        let listed: Vec<_> = unused
            .iter()
            .take(RULES)
            .map(|rule| format!("{} ({})", cut(&rule.text), cut(&rule.source)))
            .collect();
        let more = unused.len().saturating_sub(RULES);
        let line = wording::unused_rules(unused.len(), &listed.join(", "), more);
        self.out.push('\n');
        self.prose(0, &line);
    }

    pub(super) fn totals(&mut self, report: &Report) {
        self.header("TOTALS", "created", "expected");
        for kind in report.kinds_listed() {
            let t = report.classification.totals.get(kind);
            let outcomes = Outcome::ALL.map(|outcome| t.of(outcome));
            self.row(kind, [t.created].into_iter().chain(outcomes).chain([t.expected]));
        }
        let notes = notes(report);
        if !notes.is_empty() {
            self.prose(2, &notes.join("; "));
        }
    }

    /// The adopted instances.
    pub(super) fn adopted(&mut self, report: &Report) {
        let found = Kind::ALL.map(|kind| (kind, report.adopted.get(kind)));
        let found: Vec<_> =
            found.into_iter().filter(|(_, tally)| tally.counts.created > 0).collect();
        if found.is_empty() {
            return;
        }
        self.header("ADOPTED", "found", "");
        let mut notes = vec![wording::ADOPTED.to_owned()];
        for (kind, tally) in found {
            let outcomes = Outcome::ALL.map(|outcome| tally.of(outcome));
            self.row(kind, [tally.counts.created].into_iter().chain(outcomes));
            let words = report.history.adopted(kind).and_then(|trend| tendency(&trend));
            notes.extend(words.map(|words| format!("live {}s: {words}", kind.noun())));
        }
        notes.iter().for_each(|note| self.prose(2, note));
    }

    /// The first and the last column are named by the caller.
    fn header(&mut self, title: &str, first: &str, last: &str) {
        let head = self.paint(BOLD, title);
        let gap = " ".repeat(10 - title.len().min(10));
        let terms = wording::terms();
        let titles = [first].into_iter().chain(terms.iter().map(String::as_str)).chain([last]);
        let columns: String =
            titles.zip(widths()).map(|(title, width)| format!("{title:>width$}")).collect();
        let _ = writeln!(self.out, "\n{head}{gap}{}", columns.trim_end());
    }

    fn row(&mut self, kind: Kind, numbers: impl Iterator<Item = u64>) {
        // A longer name takes space from the first number.
        let _ = write!(self.out, "  {}", kind.noun());
        let mut room = 8_usize.wrapping_sub(kind.noun().len());
        for (number, width) in numbers.zip(widths()) {
            let width = width.wrapping_add(std::mem::take(&mut room));
            let _ = write!(self.out, "{:>width$}", grouped(number));
        }
        self.out.push('\n');
    }

    pub(super) fn health(&mut self, report: &Report) {
        let health = &report.health;
        if health.ok() {
            return;
        }
        let head = self.paint(YELLOW, "HEALTH");
        let _ = writeln!(self.out, "\n{head}  {}:", wording::INCOMPLETE);
        unseen(health).iter().for_each(|line| self.prose(4, line));
    }
}

/// The widths of the columns: the number created, the outcomes, and how many are expected.
fn widths() -> impl Iterator<Item = usize> {
    // As many may be ended as are created; of the others there are few.
    let least = [12].into_iter().chain(std::iter::repeat(0));
    let outcomes =
        wording::terms().into_iter().zip(least).map(|(term, least)| least.max(term.len() + 3));
    [12].into_iter().chain(outcomes).chain([11])
}

/// From this number on, the live instances that a rule covers get a line of their own.
const MANY: u64 = 100;

/// Where the live instances that a rule covers come from, and what they hold, if there are many or
/// their number grows.
pub(in crate::report) fn where_expected(report: &Report, rule: usize) -> Option<String> {
    let covered = || report.classification.sites.iter().filter(|site| site.rule == Some(rule));
    let live: u64 = covered().map(|site| site.stats.tally.live).sum();
    let ids = covered().map(|site| site.site.stable_id);
    let trend = report.history.together(ids).filter(|trend| {
        trend.tendency().is_some_and(|trend| {
            trend.over >= LONG && matches!(trend.way, Direction::Grew | Direction::GrewLately)
        })
    });
    if live < MANY && trend.is_none() {
        return None;
    }
    let most = covered().max_by_key(|site| site.stats.tally.live)?;
    let frame = most.site.frames().nth(blame_frame(&most.site))?;
    let held = approximate(report, covered().map(|site| site.stats.bytes_held()).sum());
    let (number, line) = (most.stats.tally.live, cut(&placed(frame)));
    let trend = trend.and_then(|trend| tendency(&trend));
    Some(wording::where_expected(live, &held, (number, &line), trend.as_deref()))
}

/// What the totals alone do not say.
pub(in crate::report) fn notes(report: &Report) -> Vec<String> {
    let clean = report
        .classification
        .sites
        .iter()
        .filter(|site| site.stats.severity() == Severity::Clean && site.rule.is_none())
        .filter(|site| site.stats.too_young() == 0);
    let clean = clean.count();
    let mut notes = Vec::new();
    if clean > 0 {
        notes.push(wording::clean_sites(clean));
    }
    let young: u64 = report.classification.sites.iter().map(|site| site.stats.too_young()).sum();
    if young > 0 {
        notes.push(wording::too_young(young));
    }
    if let Some(baseline) = &report.baseline {
        notes.push(wording::as_in_baseline(baseline.known, &cut(&baseline.file)));
    }
    let again = Kind::ALL.iter().map(|kind| report.ended_again.get(*kind)).sum();
    if again > 0 {
        let line = |double_end: &DoubleEnd| (double_end.times, cut(&placed(&double_end.frame)));
        let most = report.double_ends.first().map(line);
        let most = most.as_ref().map(|(times, line)| (*times, line.as_str()));
        notes.push(wording::double_ends(again, most));
    }
    let totals = Kind::ALL.map(|kind| report.classification.totals.get(kind));
    let elsewhere = totals.iter().map(|totals| totals.ended_elsewhere).sum();
    if elsewhere > 0 {
        notes.push(wording::ended_by_other_thread(elsewhere));
    }
    let with_file = totals.iter().map(|totals| totals.ended_with_file).sum();
    if with_file > 0 {
        notes.push(wording::ended_with_file(with_file));
    }
    let unknown = Kind::ALL.iter().map(|kind| report.ended_unknown.get(*kind)).sum();
    if unknown > 0 {
        notes.push(wording::ended_unknown(unknown));
    }
    notes
}

/// What could not be seen, and why.
pub(in crate::report) fn unseen(health: &Health) -> Vec<String> {
    let Gaps { missing_hooks, dropped, unreadable, unsettled } = &health.gaps;
    let mut lines: Vec<String> =
        missing_hooks.iter().map(|hook| wording::not_hooked(hook)).collect();
    lines.extend(dropped.iter().map(|(reason, number)| wording::not_counted(*number, reason)));
    lines.extend(unreadable.iter().map(|(reason, number)| wording::unreadable(*number, reason)));
    lines.extend(unsettled.clone());
    if health.overflowed > 0 {
        lines.push(wording::overflowed(health.overflowed));
    }
    if health.sums_off > 0 {
        lines.push(wording::unbalanced(health.sums_off));
    }
    if health.walk.state == WalkState::Failed {
        lines.push(wording::walk_failed(health.walk.reason.as_deref().unwrap_or("unknown")));
    }
    if health.walk.frozen.state == WalkState::Failed {
        let reason = health.walk.frozen.reason.as_deref().unwrap_or("unknown");
        lines.push(wording::frozen_walk_failed(reason));
    }
    lines
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(RULE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::analysis::classify::Known;
    use crate::analysis::classify::tests::session;
    use crate::analysis::footprint::Footprint;
    use crate::analysis::rules::Rule;
    use crate::model::{Kind, Nanos};
    use crate::options::Format;
    use crate::report::tests::{rendered_in, report};
    use crate::report::{Report, Style};
    use std::time::Duration;

    const MADE: &str = "java.util.zip.Inflater.<init>";

    /// A report of 21 pooled ones and three leaks, under rules of the user's own.
    fn under_rules(rules: &str) -> Report {
        let sites = [
            (Kind::Inflater, &[MADE, "a.Pool.get"][..], 21, 0, 0, 0),
            (Kind::Inflater, &[MADE, "a.Codec.decode"], 9, 6, 0, 3),
        ];
        let snapshot = session(&sites).snapshot(Nanos(1), Duration::ZERO).unwrap();
        let (rules, complaints) = Rule::read_file("my.rules", rules);
        assert_eq!(complaints, [""; 0]);
        let process = report(&session(&[])).process;
        Report::new(process, Footprint::default(), &snapshot, rules, Default::default()).unwrap()
    }

    fn text(report: &Report) -> String {
        let style = Style { width: Some(1_000), colour: false };
        String::from_utf8(rendered_in(report, Format::Text, style)).unwrap()
    }

    #[test]
    fn rules_over_their_maximum() {
        let text = text(&under_rules("live:a.Pool.* max=16"));
        let lines = "        16  live:a.Pool.* max=16\n            over its maximum: 21 found, 16 allowed\n";
        assert!(
            text.contains(lines) && text.contains("\nSUSPECT 1 of 1  a.Pool.get(Pool.java:11)\n"),
            "{text}"
        );
        assert!(!text.contains("RULES not used"), "{text}");
    }

    #[test]
    fn rules_without_use_are_one_line_also_where_all_is_clean() {
        for (rules, line) in [
            ("live:*\nleak:*", None),
            (
                "live:*\nleak:*\nleak:x.\u{1b}[2J max=3",
                Some("RULES not used: 1 rule: leak:x.\\u{1b}[2J max=3 (my.rules:3)"),
            ),
            (
                "leak:a\n\nleak:b\nleak:c\nleak:d\nleak:e\nleak:f\nleak:g",
                Some(
                    "RULES not used: 7 rules: leak:a (my.rules:1), leak:b (my.rules:3), leak:c (my.rules:4), \
                     leak:d (my.rules:5), leak:e (my.rules:6) and 2 more",
                ),
            ),
        ] {
            let text = text(&under_rules(rules));
            let found = text.lines().find(|line| line.starts_with("RULES"));
            assert_eq!(found, line, "{text}");
        }
        let long = text(&under_rules(&format!("live:*\nleak:*\nleak:{}", "x".repeat(4_000))));
        assert_eq!(long.lines().count(), 3);
        assert!(long.len() < 500, "{long}");
        // Built-in rules do not count.
        let mut unused = under_rules("live:*\nleak:*");
        unused.rules.extend(Rule::built_in());
        unused.classification.covered.resize(unused.rules.len(), 0);
        unused.classification.excess.resize(unused.rules.len(), 0);
        assert_eq!(unused.unused_rules().count(), 0);
    }

    #[test]
    fn what_is_as_in_the_baseline_is_a_number_and_no_news() {
        let known = |pool, leaked| {
            let mut baseline = under_rules("leak,live:*").as_baseline("old\u{1b}.json");
            assert!(baseline.sites.is_empty());
            for classified in under_rules("").classification.sites {
                let pooled = classified.stats.leaked == 0;
                let old = Known { leaked, suspects: if pooled { pool } else { 0 } };
                baseline.sites.insert(classified.site.stable_id, old);
            }
            under_rules("").against(&baseline)
        };
        let all = known(21, 3);
        assert_eq!(
            text(&all),
            "SUMMARY: zaudit: no new leaks: 6 of 30 Inflaters ended; 24 not ended, as in the baseline\n"
        );
        assert!(all.nothing_to_tell());
        let grown = text(&known(20, 2));
        let first = "LEAK: 1 Inflater in 1 finding was never ended; only the garbage collector freed it; 1 \
                     Inflater is a suspect (still live); 22 not ended, as in the baseline\n";
        assert!(grown.contains(first), "{grown}");
        assert!(
            grown.contains("3 collected, never ended") && grown.contains("2 as in the baseline"),
            "{grown}"
        );
        assert!(
            grown.contains("22 instances not ended, as in the baseline old\\u{1b}.json"),
            "{grown}"
        );
        let open = text(&known(20, 3));
        assert!(
            open.contains("no new certain leaks, but 1 Inflater in 1 finding is a suspect"),
            "{open}"
        );
    }
}
