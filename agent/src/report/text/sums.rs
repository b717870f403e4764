//! What stands below the places: rules, sums, adopted ones, and what could not be seen.
//!
//! Invariant: all that the places leave out (covered, young, clean, without a stack) is in here as a number.

use super::{BOLD, Text, YELLOW};
use crate::classify::{Severity, grouped};
use crate::event::Kind;
use crate::report::words::{clean, count, tendency, times};
use crate::report::{Health, Report};
use std::fmt::Write as _;

impl Text {
    pub(super) fn rules(&mut self, report: &Report) {
        let used: Vec<_> =
            report.rules.iter().zip(&report.judgement.covered).filter(|(_, covered)| **covered > 0).collect();
        if !used.is_empty() {
            let head = self.paint(BOLD, "EXPECTED");
            let _ = writeln!(self.out, "\n{head}  never ended by the program, and covered by a rule");
            for (rule, covered) in used {
                let from = if rule.built_in { " (built in)" } else { "" };
                let line = format!("{:>10}  {}{from}", grouped(*covered), clean(&rule.text));
                let _ = writeln!(self.out, "{line}");
            }
        }
    }

    pub(super) fn totals(&mut self, report: &Report) {
        self.header("TOTALS", "created", "expected");
        for kind in Kind::ALL {
            let t = report.judgement.totals.get(kind);
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
            let words = report.growth.adopted(kind).and_then(|trend| tendency(&trend));
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
        .judgement
        .sites
        .iter()
        .filter(|site| site.verdict.severity() == Severity::Clean && site.rule.is_none())
        .filter(|site| site.verdict.spared() == 0);
    let clean = clean.count();
    let mut notes = Vec::new();
    if clean > 0 {
        notes.push(format!("{} with nothing left open", count(clean, "more site")));
    }
    let young: u64 = report.judgement.sites.iter().map(|site| site.verdict.spared()).sum();
    if young > 0 {
        notes.push(format!("{} live too young to be suspects (min_age)", grouped(young)));
    }
    let again = report.ended_again.inflater + report.ended_again.deflater;
    if again > 0 {
        notes.push(format!("end() was called {} again on what was ended (harmless)", times(again)));
    }
    let elsewhere =
        report.judgement.totals.inflater.ended_elsewhere + report.judgement.totals.deflater.ended_elsewhere;
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
