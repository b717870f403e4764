//! What stands below the places: rules, sums, adopted ones, and what could not be seen.
//!
//! Invariant: all that the places leave out (covered, young, clean, without a stack) is in here as a number.

use super::{BOLD, RED, Text, YELLOW};
use crate::analysis::classify::{Severity, grouped};
use crate::model::Kind;
use crate::report::words::{clean, count, placed, tendency, times};
use crate::report::{Health, Report};
use std::fmt::Write as _;

/// Rules without use that are told.
const RULES: usize = 5;
/// Characters told of each.
const RULE: usize = 120;

impl Text<'_> {
    pub(super) fn rules(&mut self, report: &Report) {
        let classification = &report.classification;
        let used = report.rules.iter().zip(classification.covered.iter().zip(&classification.excess));
        let used: Vec<_> = used.filter(|(_, (covered, excess))| **covered + **excess > 0).collect();
        if !used.is_empty() {
            let head = self.paint(BOLD, "EXPECTED");
            let _ = writeln!(self.out, "\n{head}  never ended by the program, and covered by a rule");
            for (rule, (covered, excess)) in used {
                let from = if rule.built_in { " (built in)" } else { "" };
                let line = format!("{:>10}  {}{from}", grouped(*covered), clean(&rule.text));
                let _ = writeln!(self.out, "{line}");
                if *excess > 0 {
                    let (all, max) = (grouped(covered + excess), grouped(rule.max.unwrap_or_default()));
                    let line = format!("{:12}over its maximum: {all} of at most {max}", "");
                    let line = self.paint(RED, &line);
                    let _ = writeln!(self.out, "{line}");
                }
            }
        }
    }

    /// The user's rules that had nothing to do: perhaps what they were for is mended.
    pub(super) fn unused_rules(&mut self, report: &Report) {
        let unused: Vec<_> = report.unused_rules().collect();
        if unused.is_empty() {
            return;
        }
        let told: Vec<_> = unused
            .iter()
            .take(RULES)
            .map(|rule| format!("{} ({})", cut(&rule.text), cut(&rule.source)))
            .collect();
        let more = unused.len().saturating_sub(RULES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let rules = count(unused.len(), "rule");
        let line = format!("RULES not used: {rules}: {}{more}", told.join(", "));
        self.out.push('\n');
        self.prose(0, &line);
    }

    pub(super) fn totals(&mut self, report: &Report) {
        self.header("TOTALS", "created", "expected");
        for kind in Kind::ALL {
            let t = report.classification.totals.get(kind);
            let numbers = [t.created, t.ended, t.late, t.collected, t.live, t.expected];
            self.row(kind, &numbers);
        }
        let notes = notes(report);
        if !notes.is_empty() {
            self.prose(2, &notes.join("; "));
        }
    }

    /// Those that were open when counting began.
    pub(super) fn adopted(&mut self, report: &Report) {
        let found = Kind::ALL.map(|kind| (kind, report.adopted.get(kind)));
        let found: Vec<_> = found.into_iter().filter(|(_, tally)| tally.counts.created > 0).collect();
        if found.is_empty() {
            return;
        }
        self.header("ADOPTED", "found", "");
        let mut notes = vec![
            "open already when the agent was armed, so their stacks are not known; late and collected are leaks, live is a \
             pool or a leak"
                .to_owned(),
        ];
        for (kind, tally) in found {
            let c = &tally.counts;
            self.row(kind, &[c.created, c.ended, c.late, c.collected, tally.live]);
            let words = report.history.adopted(kind).and_then(|trend| tendency(&trend));
            notes.extend(words.map(|words| format!("live {}s: {words}", kind.class())));
        }
        notes.iter().for_each(|note| self.prose(2, note));
    }

    /// Six columns; the first and the last are named by the caller.
    fn header(&mut self, title: &str, first: &str, last: &str) {
        let head = self.paint(BOLD, title);
        let gap = " ".repeat(10 - title.len().min(10));
        let line = format!(
            "\n{head}{gap}{first:>12}{:>12}{:>9}{:>14}{:>9}{last:>11}",
            "= ended", "+ late", "+ collected", "+ live"
        );
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn row(&mut self, kind: Kind, numbers: &[u64]) {
        let _ = write!(self.out, "  {:<8}", kind.class());
        for (number, width) in numbers.iter().zip([12, 12, 9, 14, 9, 11]) {
            let _ = write!(self.out, "{:>width$}", grouped(*number));
        }
        self.out.push('\n');
    }

    pub(super) fn health(&mut self, report: &Report) {
        let health = &report.health;
        if health.ok() {
            return;
        }
        let head = self.paint(YELLOW, "HEALTH");
        let _ = writeln!(self.out, "\n{head}  not all could be seen, so the figures above may be too small:");
        unseen(health).iter().for_each(|line| self.prose(4, line));
    }
}

/// What the sums alone do not say.
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
        notes.push(format!("{} with nothing left open", count(clean, "more site")));
    }
    let young: u64 = report.classification.sites.iter().map(|site| site.stats.too_young()).sum();
    if young > 0 {
        notes.push(format!("{} live too young to be suspects (min_age)", grouped(young)));
    }
    if let Some(baseline) = &report.baseline {
        let known = grouped(baseline.known);
        notes.push(format!("{known} of what no rule covers as in the baseline {}", cut(&baseline.file)));
    }
    let again = report.ended_again.inflater + report.ended_again.deflater;
    if again > 0 {
        let most = report.double_ends.first().map(|double_end| match double_end.times {
            all if all == again => format!(", by {}", cut(&placed(&double_end.frame))),
            some => format!(", {} by {}", times(some), cut(&placed(&double_end.frame))),
        });
        let most = most.unwrap_or_default();
        notes.push(format!("end() was called {} on what was ended already (harmless){most}", times(again)));
    }
    let elsewhere = report.classification.totals.inflater.ended_elsewhere
        + report.classification.totals.deflater.ended_elsewhere;
    if elsewhere > 0 {
        notes.push(format!("{} ended by another thread than the one that made them", grouped(elsewhere)));
    }
    let unknown = report.ended_unknown.inflater + report.ended_unknown.deflater;
    if unknown > 0 {
        notes.push(format!("{} ended that were made before the agent was armed", grouped(unknown)));
    }
    notes
}

/// All that could not be seen, and why.
pub(in crate::report) fn unseen(health: &Health) -> Vec<String> {
    let mut lines = Vec::new();
    for hook in &health.gaps.missing_hooks {
        lines.push(format!("not hooked: {hook}"));
    }
    for (reason, number) in &health.gaps.dropped {
        lines.push(format!("{} not counted: {reason}", count(*number as usize, "event")));
    }
    for (reason, number) in &health.gaps.unreadable {
        lines.push(format!("{}: {reason}", times(*number)));
    }
    lines.extend(health.gaps.unsettled.clone());
    if health.overflowed > 0 {
        lines.push(format!("{} new stacks came when the site table was full", grouped(health.overflowed)));
    }
    if health.sums_off > 0 {
        lines.push(format!(
            "at {} created = ended + late + collected + live does not hold: a defect of zaudit, please report it",
            count(health.sums_off as usize, "site")
        ));
    }
    lines
}

/// The begin of what may be long.
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
    fn told(rules: &str) -> Report {
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
        let text = text(&told("live:a.Pool.* max=16"));
        let lines = "        16  live:a.Pool.* max=16\n            over its maximum: 21 of at most 16\n";
        assert!(text.contains(lines) && text.contains("\nLIVE 1 of 1  a.Pool.get(Pool.java:11)\n"), "{text}");
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
            let text = text(&told(rules));
            let found = text.lines().find(|line| line.starts_with("RULES"));
            assert_eq!(found, line, "{text}");
        }
        let long = text(&told(&format!("live:*\nleak:*\nleak:{}", "x".repeat(4_000))));
        assert_eq!(long.lines().count(), 3);
        assert!(long.len() < 500, "{long}");
        // Nobody wrote those that are built in.
        let mut unused = told("live:*\nleak:*");
        unused.rules.extend(Rule::built_in());
        unused.classification.covered.resize(unused.rules.len(), 0);
        unused.classification.excess.resize(unused.rules.len(), 0);
        assert_eq!(unused.unused_rules().count(), 0);
    }

    #[test]
    fn what_is_as_in_the_baseline_is_a_number_and_no_news() {
        let known = |pool, leaked| {
            let mut baseline = told("leak,live:*").as_baseline("old\u{1b}.json");
            assert!(baseline.sites.is_empty());
            for classified in told("").classification.sites {
                let pooled = classified.stats.leaked == 0;
                let old = Known { leaked, suspects: if pooled { pool } else { 0 } };
                baseline.sites.insert(classified.site.stable_id, old);
            }
            told("").against(&baseline)
        };
        let all = known(21, 3);
        assert_eq!(
            text(&all),
            "SUMMARY: zaudit: no new leaks: 6 of 30 Inflaters ended; 24 not ended as in the baseline\n"
        );
        assert!(all.nothing_to_tell());
        let grown = text(&known(20, 2));
        let first = "LEAK: 1 Inflater made at 1 place never ended by the program, freed by the garbage collector only; 1 \
                     Inflater still open; 22 not ended as in the baseline\n";
        assert!(grown.contains(first), "{grown}");
        assert!(
            grown.contains("3 collected, never ended") && grown.contains("2 as in the baseline"),
            "{grown}"
        );
        assert!(grown.contains("22 of what no rule covers as in the baseline old\\u{1b}.json"), "{grown}");
        let open = text(&known(20, 3));
        assert!(open.contains("no new certain leaks, but 1 Inflater made at 1 place still open"), "{open}");
    }
}
