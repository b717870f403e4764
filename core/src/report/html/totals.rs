//! The end of the page: totals, rules, health, and the run.
//!
//! Invariant: what the text report says below its findings is here, too.

use super::Page;
use super::escape::Plain;
use crate::files::utc;
use crate::model::{Kind, Outcome};
use crate::report::text::totals::{notes, unseen, where_expected};
use crate::report::words::tendency;
use crate::wording::{duration, grouped, notes as wording};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

impl Page<'_, '_> {
    pub(super) fn sums(&mut self) {
        self.out.push_str(
            "<section id=\"sums\" aria-labelledby=\"sums-title\">\n<h2 id=\"sums-title\">Totals</h2>\n",
        );
        self.totals();
        self.adopted();
        self.rules();
        self.out.push_str("</section>\n");
        self.health();
        self.run();
    }

    fn totals(&mut self) {
        let row = |kind| {
            let t = self.report.classification.totals.get(kind);
            let outcomes = Outcome::ALL.map(|outcome| t.of(outcome));
            (kind, [t.created].into_iter().chain(outcomes).chain([t.expected]).collect())
        };
        let rows: Vec<_> = self.report.kinds_listed().map(row).collect();
        self.equation("created", "of these, expected", &rows);
        let notes = notes(self.report);
        if !notes.is_empty() {
            let _ = writeln!(self.out, "<p>{}.</p>", Plain(&notes.join("; ")));
        }
    }

    /// The adopted instances.
    fn adopted(&mut self) {
        let rows: Vec<_> = Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.report.adopted.get(kind)))
            .filter(|(_, tally)| tally.counts.created > 0)
            .map(|(kind, tally)| {
                let outcomes = Outcome::ALL.map(|outcome| tally.of(outcome));
                (kind, [tally.counts.created].into_iter().chain(outcomes).collect())
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(self.out, "<h3>Adopted</h3>\n<p>{}.</p>", capital(wording::ADOPTED));
        self.equation("found", "", &rows);
        for (kind, _) in rows {
            let words = self.report.history.adopted(kind).and_then(|trend| tendency(&trend));
            if let Some(words) = words {
                let _ = writeln!(self.out, "<p>Live {}s: {}.</p>", kind.noun(), Plain(&words));
            }
        }
    }

    /// `created = ended + late + collected + live`, as a table.
    fn equation(&mut self, first: &str, last: &str, rows: &[(Kind, Vec<u64>)]) {
        self.out.push_str("<div class=\"scroll\"><table class=\"sums\">\n<thead><tr><td></td>");
        let terms = wording::terms();
        for title in [first].into_iter().chain(terms.iter().map(String::as_str)).chain([last]) {
            if !title.is_empty() {
                let _ = write!(self.out, "<th scope=\"col\">{title}</th>");
            }
        }
        self.out.push_str("</tr></thead>\n<tbody>\n");
        for (kind, numbers) in rows {
            let _ = write!(self.out, "<tr><th scope=\"row\">{}</th>", kind.noun());
            for number in numbers {
                let _ = write!(self.out, "<td>{}</td>", grouped(*number));
            }
            self.out.push_str("</tr>\n");
        }
        self.out.push_str("</tbody>\n</table></div>\n");
    }

    fn rules(&mut self) {
        let classification = &self.report.classification;
        for rule in self.report.unused_rules() {
            let (text, source) = (Plain(&rule.text), Plain(&rule.source));
            let _ = writeln!(self.out, "<p>Unused rule: <code>{text}</code> ({source}).</p>");
        }
        let used =
            self.report.rules.iter().zip(classification.covered.iter().zip(&classification.excess));
        let used: Vec<_> = used
            .enumerate()
            .filter(|(_, (_, (covered, excess)))| **covered + **excess > 0)
            .collect();
        if used.is_empty() {
            return;
        }
        let _ = write!(
            self.out,
            "<h3>Expected</h3>\n<p>{}.</p>\n<div class=\"scroll\"><table class=\"rules\">\n<thead><tr><th scope=\"col\">Covered</th><th scope=\"col\">Rule</th></tr></thead>\n<tbody>\n",
            capital(wording::EXPECTED)
        );
        for (at, (rule, (covered, excess))) in used {
            let from = if rule.built_in { " (built in)" } else { "" };
            let over = match (excess, rule.max) {
                (0, _) | (_, None) => String::new(),
                (_, Some(max)) => format!(
                    "<br><span class=\"warning\">{}</span>",
                    wording::over_maximum(&grouped(covered + excess), &grouped(max))
                ),
            };
            let place = where_expected(self.report, at)
                .map(|line| format!("<br>{}", Plain(&line)))
                .unwrap_or_default();
            let _ = writeln!(
                self.out,
                "<tr><td>{}</td><td><code>{}</code>{from}{place}{over}</td></tr>",
                grouped(*covered),
                Plain(&rule.text)
            );
        }
        self.out.push_str("</tbody>\n</table></div>\n");
    }

    fn health(&mut self) {
        self.out.push_str(
            "<section id=\"health\" aria-labelledby=\"health-title\">\n<h2 id=\"health-title\">Health</h2>\n",
        );
        let health = &self.report.health;
        if health.ok() {
            let _ = writeln!(self.out, "<p>{}.</p>", capital(wording::COMPLETE));
        } else {
            let incomplete = capital(wording::INCOMPLETE);
            let _ = writeln!(self.out, "<p class=\"warning\">{incomplete}:</p>\n<ul>");
            for line in unseen(health) {
                let _ = writeln!(self.out, "<li>{}</li>", Plain(&line));
            }
            self.out.push_str("</ul>\n");
        }
        if health.truncated_sites > 0 {
            let _ = writeln!(self.out, "<p>{}.</p>", wording::truncated(health.truncated_sites));
        }
        self.out.push_str("</section>\n");
    }

    fn run(&mut self) {
        let process = &self.report.process;
        let age =
            duration(Duration::try_from_secs_f64(self.report.age_seconds).unwrap_or_default());
        let whose = match process.reports {
            0 | 1 => process.pid.to_string(),
            several => format!("merged from {several} reports"),
        };
        let options =
            if process.options.is_empty() { "none".to_owned() } else { process.options.clone() };
        let lines = [
            ("Program", process.command.clone()),
            ("Process", whose),
            ("JVM", process.jvm.clone()),
            ("Counting started", date(process.started)),
            ("Report taken", format!("{}, after {age}", date(process.taken))),
            ("Trigger", process.trigger.name().to_owned()),
            ("Options", options),
        ];
        self.out.push_str("<section id=\"run\" aria-labelledby=\"run-title\">\n<h2 id=\"run-title\">This run</h2>\n<dl class=\"run\">\n");
        for (name, value) in lines {
            let _ = writeln!(self.out, "<dt>{name}</dt><dd>{}</dd>", Plain(&value));
        }
        self.out.push_str("</dl>\n</section>\n");
    }
}

/// With a capital letter, as at the beginning of a paragraph.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `2026-11-23 13:26:33 UTC`.
fn date(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = utc(time);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}
