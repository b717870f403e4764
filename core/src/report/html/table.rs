//! The table of findings: a row of numbers each, and below it what is known, to be opened.
//!
//! Every row is written here; the script only moves rows. Those beyond the first [`ROWS`] stand in
//! a template, and the script fills in their stacks. Invariant: the page says what it leaves out.

use super::escape::Plain;
use super::{Group, Page, badge, chart};
use crate::analysis::classify::{ClassifiedSite, SiteStats};
use crate::analysis::findings::Finding;
use crate::model::Frame;
use crate::report::text::approximate;
use crate::report::text::finding::{facts, held, source, threads, way};
use crate::wording::{byte_seconds, finding as wording, grouped};
use std::fmt::Write as _;

/// Findings in the table itself.
pub(super) const ROWS: usize = 300;
/// Stacks of a finding in the table; the script shows the rest.
const STACKS: usize = 20;

/// Bytes of a name that is shown in a few lines only; the stack has it whole.
const LONG: usize = 300;

/// The columns of numbers, with the word that the script knows each by.
const COLUMNS: [(&str, &str); 5] = [
    ("leaked", "Leaked"),
    ("live", "Live"),
    ("held", "Held"),
    ("lateness", "Lateness"),
    ("created", "Created"),
];

impl Page<'_, '_> {
    pub(super) fn table(&mut self) {
        if self.findings.is_empty() {
            return;
        }
        self.out.push_str(
            "<div class=\"scroll\"><table id=\"table\">\n<thead><tr><th scope=\"col\" data-key=\"rank\" aria-sort=\"ascending\">#</th>\
             <th scope=\"col\" data-key=\"name\">Blame frame</th>",
        );
        for (key, title) in COLUMNS {
            let _ = write!(self.out, "<th scope=\"col\" data-key=\"{key}\">{title}</th>");
        }
        self.out.push_str("</tr></thead>\n");
        let mut first_site = 0;
        for (at, finding) in self.findings.iter().enumerate() {
            if at == ROWS {
                self.out.push_str("</table></div>\n<template id=\"rest\">\n");
            }
            self.finding(finding, at, first_site);
            if !self.out.is_ok() {
                return;
            }
            first_site += finding.sites.len();
        }
        self.out.push_str(if self.findings.len() > ROWS {
            "</template>\n"
        } else {
            "</table></div>\n"
        });
    }

    fn finding(&mut self, finding: &Finding<'_>, at: usize, first_site: usize) {
        let (stats, group, number) = (&finding.stats, Group::of(finding), at + 1);
        let Some(worst) = finding.sites.first() else { return };
        let blame_frame = worst.site.frames().nth(finding.blame_frame).map(frame);
        let blame_frame = blame_frame.as_deref().unwrap_or("a stack without frames");
        let _ = write!(
            self.out,
            "<tbody id=\"p{number}\" data-at=\"{at}\">\n<tr class=\"row\"><td>{number}</td><th scope=\"row\">{} {blame_frame}</th>",
            badge(group)
        );
        for (number, figure) in [
            (stats.leaked, grouped(stats.leaked)),
            (stats.tally.live, grouped(stats.tally.live)),
            (stats.bytes_held(), approximate(self.report, stats.bytes_held())),
            (stats.lateness() as u64, byte_seconds(stats.lateness())),
            (1, grouped(stats.tally.counts.created)),
        ] {
            let _ = match number {
                0 => write!(self.out, "<td class=\"none\">0</td>"),
                _ => write!(self.out, "<td>{figure}</td>"),
            };
        }
        let class =
            worst.site.subclass.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        let _ = write!(
            self.out,
            "</tr>\n<tr class=\"more\"><td></td><td colspan=\"6\"><details><summary>{}s{}: {}</summary>\n",
            stats.kind.noun(),
            Plain(&class),
            Plain(&stats.ratio())
        );
        self.sentences(finding);
        for (after, classified) in finding.sites.iter().take(STACKS).enumerate() {
            self.site(finding, classified, at < ROWS, first_site + after);
        }
        if let Some(more) = finding.sites.len().checked_sub(STACKS).filter(|more| *more > 0) {
            let from = first_site + STACKS;
            let _ = writeln!(
                self.out,
                "<p class=\"rest\" data-from=\"{from}\" data-to=\"{}\">{}</p>",
                from + more,
                wording::more_stacks(more)
            );
        }
        self.out.push_str("</details></td></tr>\n</tbody>\n");
    }

    /// What the text report says about a finding.
    fn sentences(&mut self, finding: &Finding<'_>) {
        let mut sentences = facts(self.report, &finding.stats);
        sentences.extend(threads(finding));
        if !sentences.is_empty() {
            let _ = writeln!(self.out, "<p>{}</p>", Plain(&sentences.join(" · ")));
        }
        if let Some(hint) = self.report.hint(finding) {
            let _ =
                writeln!(self.out, "<p class=\"hint\"><b>Hint:</b> {}.</p>", Plain(&hint.message));
        }
        for line in held(self.report, finding) {
            let _ = writeln!(self.out, "<p>{}</p>", Plain(&line));
        }
        let history = &self.report.history;
        let trend =
            history.together(finding.sites.iter().map(|classified| classified.site.stable_id));
        let chart = chart::history(trend.as_ref(), self.report.process.armed);
        if let Some(way) = way(self.report, finding) {
            let _ = writeln!(
                self.out,
                "<figure>{chart}<figcaption>{}</figcaption></figure>",
                Plain(&way)
            );
        }
    }

    fn site(
        &mut self,
        finding: &Finding<'_>,
        classified: &ClassifiedSite,
        with_stack: bool,
        number: usize,
    ) {
        let id = format!("s{:016x}", classified.site.stable_id);
        if finding.sites.len() == 1 {
            let _ = write!(self.out, "<div class=\"site\" id=\"{id}\">");
        } else {
            let caller = finding.caller_of(classified, finding.shared());
            let caller = classified.site.frames().nth(caller).map(frame);
            let _ = writeln!(
                self.out,
                "<details class=\"site\" id=\"{id}\"><summary>{} <span class=\"from\">from {}</span></summary>",
                in_short(&classified.stats),
                caller.as_deref().unwrap_or(wording::THREAD_START)
            );
            if with_stack {
                let trend = self.report.history.trend(classified.site.stable_id);
                self.out.push_str(&chart::history(trend.as_ref(), self.report.process.armed));
            }
        }
        let _ = write!(self.out, "<pre class=\"stack\" data-site=\"{number}\">");
        if with_stack {
            self.stack(finding, classified);
        }
        self.out.push_str(if finding.sites.len() == 1 {
            "</pre></div>\n"
        } else {
            "</pre></details>\n"
        });
    }

    /// As Java prints it, so that an editor that is given a copy finds the lines.
    fn stack(&mut self, finding: &Finding<'_>, classified: &ClassifiedSite) {
        let blamed = finding.blame_frame_of(classified);
        for (at, frame) in classified.site.frames().enumerate() {
            let line = format!("{}.{}({})", frame.class, frame.method, source(frame));
            let line = Plain(&line);
            let _ = match (at == blamed, frame.jdk) {
                (true, _) => writeln!(self.out, "<mark>at {line}</mark>"),
                (_, true) => writeln!(self.out, "<i>at {line}</i>"),
                (_, false) => writeln!(self.out, "at {line}"),
            };
        }
        if classified.site.truncated {
            let _ = writeln!(self.out, "… {}", wording::TRUNCATED);
        }
    }
}

/// As in `page.js`, for the stacks that the script shows.
fn in_short(stats: &SiteStats) -> String {
    let numbers: Vec<String> = [(stats.leaked, "leaked"), (stats.tally.live, "live")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", grouped(number)))
        .collect();
    let numbers = if numbers.is_empty() { "0 live".to_owned() } else { numbers.join(", ") };
    format!("{numbers} of {}", grouped(stats.tally.counts.created))
}

/// A frame as a name to be read: the package steps back.
pub(super) fn frame(frame: &Frame) -> String {
    let (package, class) = frame.class.rsplit_once('.').unwrap_or(("", &frame.class));
    let dot = if package.is_empty() { "" } else { "." };
    let clamp = |length: usize| if length > LONG { " long" } else { "" };
    format!(
        "<code class=\"name{}\"><span class=\"package\">{}{dot}</span><wbr>{}.{}</code> <span class=\"source{}\">{}</span>",
        clamp(frame.class.len() + frame.method.len()),
        Plain(package),
        Plain(class),
        Plain(&frame.method),
        clamp(frame.file.as_ref().map_or(0, String::len)),
        Plain(&source(frame))
    )
}
