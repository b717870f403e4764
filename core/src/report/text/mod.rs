//! The text report: for a person who never heard of this tool and has ten seconds.
//!
//! First a line for `grep`, then what leaks, worst first, then what may, what was expected, the sums, and what
//! could not be seen. One line when all is clean. The first two lines are made here, places and sums in rooms of their
//! own. Invariant: nothing that came from the program (class, thread and file names) reaches a terminal unescaped.

pub(in crate::report) mod finding;
pub(in crate::report) mod totals;

use super::out::Out;
use super::words::{bytes, clean, count, duration};
use super::{Process, Report, lost};
use crate::analysis::classify::{grouped, kinds, some};
use crate::analysis::findings::{findings, leaks_and_suspects};
use crate::ledger::Tally;
use crate::model::{Kind, Trigger};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// How it may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal, where it is one.
    pub width: Option<usize>,
    /// Whether escape sequences for colour are welcome.
    pub colour: bool,
}

impl Style {
    /// The narrowest terminal that lines are fitted to.
    const NARROWEST: usize = 40;

    /// The style for a terminal with this number of columns. `variable` reads the environment: `NO_COLOR`
    /// (<https://no-color.org>) and `TERM` decide about colour.
    pub fn for_terminal(columns: Option<usize>, variable: impl Fn(&str) -> Option<OsString>) -> Style {
        let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|terminal| terminal == "dumb");
        Style { width: columns.filter(|columns| *columns >= Style::NARROWEST), colour: !dumb && !no_colour }
    }
}

/// Columns of prose where there is no terminal.
const WIDTH: usize = 110;
/// Places told in full: those that leak, those that may.
const LEAKS: usize = 20;
const SUSPECTS: usize = 10;

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const DIM: &str = "2";

/// The report, each line ended by a line break.
pub(super) fn render(report: &Report, style: Style, to: &mut dyn io::Write) -> io::Result<()> {
    let mut text = Text { out: Out::new(to), style };
    let findings = findings(&report.classification.sites)?;
    let (leaks, suspects) = leaks_and_suspects(&findings);
    text.summary(report, leaks, suspects);
    if report.found_something() {
        text.prose(0, &origin(report));
        memory(report).iter().for_each(|line| text.prose(0, line));
        let (leaking, rest) = findings.split_at_checked(leaks).unwrap_or_default();
        text.findings(report, leaking, "LEAK", LEAKS);
        text.findings(report, rest.get(..suspects).unwrap_or_default(), "LIVE", SUSPECTS);
        text.rules(report);
        text.totals(report);
        text.adopted(report);
    }
    text.unused_rules(report);
    text.health(report);
    text.out.finish()
}

struct Text<'w> {
    out: Out<'w>,
    style: Style,
}

impl Text<'_> {
    fn summary(&mut self, report: &Report, leaks: usize, suspects: usize) {
        let line = format!("SUMMARY: zaudit: {}", stats(report, leaks, suspects).join("; "));
        let line = self.paint(if leaks == 0 { BOLD } else { RED }, &line);
        let _ = writeln!(self.out, "{line}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Words, wrapped at the width; later lines stand a little further in.
    fn prose(&mut self, indent: usize, words: &str) {
        let width = self.style.width.unwrap_or(WIDTH);
        let mut column = 0;
        for word in clean(words).split(' ') {
            let length = word.chars().count();
            if column == 0 {
                self.out.push_str(&" ".repeat(indent));
                column = indent;
            } else if column + 1 + length > width {
                self.out.push('\n');
                self.out.push_str(&" ".repeat(indent + 2));
                column = indent + 2;
            } else {
                self.out.push(' ');
                column += 1;
            }
            self.out.push_str(word);
            column += length;
        }
        self.out.push('\n');
    }
}

/// What it comes to: the verdict, and what else is to be said beside it. `leaks` and `suspects` are how many
/// places have such.
pub(in crate::report) fn stats(report: &Report, leaks: usize, suspects: usize) -> Vec<String> {
    let all_stats = || report.classification.all_stats();
    let open = report.classification.kinds(|stats| stats.suspects);
    let adopted = adopted(report);
    // Those that were lost without a stack are leaks, only not of a place that anybody could name.
    let since = if adopted.iter().any(|(_, leaked)| *leaked) { " since arming" } else { "" };
    let known: u64 = all_stats().map(|stats| stats.known.sum()).sum();
    // What is as it was may be leaks, too.
    let new = if known > 0 { "new " } else { "" };
    let mut clauses = Vec::new();
    if leaks > 0 {
        clauses.push(format!(
            "LEAK: {} made at {} never ended by the program, freed by the garbage collector only",
            report.classification.kinds(|stats| stats.leaked),
            count(leaks, "place")
        ));
        if !open.is_empty() {
            clauses.push(format!("{open} still open"));
        }
    } else if suspects > 0 {
        let held: u64 = all_stats().map(|stats| stats.suspects * stats.bytes_each).sum();
        clauses.push(format!(
            "no {new}certain leaks{since}, but {open} made at {} still open, {}{} held: a pool, or a leak in the making",
            count(suspects, "place"),
            report.native.approx_prefix(),
            bytes(held)
        ));
    } else {
        let told: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| (report.classification.totals.get(*kind), *kind))
            .filter(|(totals, _)| totals.created > 0)
            .map(|(totals, kind)| format!("{} of {}", grouped(totals.ended), some(totals.created, kind)))
            .collect();
        let mut clause = match told.as_slice() {
            [] => format!("no {new}leaks{since}: no Inflater or Deflater was made"),
            told => format!("no {new}leaks{since}: {} ended", told.join(" and ")),
        };
        let expected: u64 = all_stats().map(|stats| stats.expected).sum();
        if expected > 0 {
            let used = report.rules.iter().zip(&report.classification.covered);
            let own = used.clone().any(|(rule, covered)| !rule.built_in && *covered > 0);
            let why = if own { "covered by rules" } else { "JDK caches" };
            let _ = write!(clause, ", {} not ended as expected ({why})", grouped(expected));
        }
        let young: u64 = all_stats().map(|stats| stats.too_young()).sum();
        if young > 0 {
            let _ = write!(clause, ", {} too young to be suspects (min_age)", grouped(young));
        }
        clauses.push(clause);
    }
    if known > 0 {
        clauses.push(format!("{} not ended as in the baseline", grouped(known)));
    }
    clauses.extend(adopted.into_iter().map(|(clause, _)| clause));
    if !report.health.ok() {
        clauses.push("not all could be seen, see HEALTH".into());
    }
    clauses
}

/// Whose report it is, and what asked for it.
pub(in crate::report) fn origin(report: &Report) -> String {
    let process = &report.process;
    let when = occasion(process);
    let age = duration(Duration::try_from_secs_f64(report.age_seconds).unwrap_or_default());
    let whose = match process.trigger {
        Trigger::Merge => format!("{when}, the longest of {age}"),
        _ => format!("{when} after {age}, pid {}", process.pid),
    };
    format!("zaudit {}, {whose} of {}: {}", env!("CARGO_PKG_VERSION"), process.jvm, process.command)
}

/// What all open streams hold of what the process has in memory; and how long it stood still for this report.
pub(in crate::report) fn memory(report: &Report) -> Vec<String> {
    let (native, held) = (&report.native, report.bytes_held());
    let mut lines = Vec::new();
    if held > 0 {
        let rss = report.process.rss_bytes.map(|rss| format!(" of {} (RSS)", bytes(rss))).unwrap_or_default();
        let zlib = if native.zlib.is_empty() { String::new() } else { format!(", zlib {}", native.zlib) };
        let known = if native.measured { "measured" } else { "an estimate" };
        lines.push(format!(
            "zlib streams hold {}{}{rss}: {known}{zlib}",
            native.approx_prefix(),
            bytes(held)
        ));
    }
    if let Some(time) = report.retention.pause {
        let time = duration(time);
        lines.push(format!(
            "the program stood still for {time} while it was looked who holds what is live (retain)"
        ));
    }
    lines
}

/// What asked for the report.
fn occasion(process: &Process) -> String {
    let word = process.trigger.name();
    match (process.trigger, process.number) {
        (Trigger::Exit, _) => "at exit".into(),
        (Trigger::Interval, Some(number)) => format!("snapshot {number} ({word})"),
        (Trigger::Interval, None) => format!("snapshot ({word})"),
        (Trigger::Duration, _) => format!("at the end of the audit ({word})"),
        (Trigger::Command, None) => "at disarm".into(),
        (Trigger::Merge, _) => format!("{} merged", count(process.reports as usize, "report")),
        (_, Some(number)) => format!("report {number} on demand ({word})"),
        (_, None) => format!("report on demand ({word})"),
    }
}

/// What is to be said of instances without a stack, and whether it is a leak.
fn adopted(report: &Report) -> Vec<(String, bool)> {
    if !report.adopts_the_program_s() {
        return Vec::new();
    }
    const MADE: &str = "made before the agent was armed";
    let numbers = [lost, |tally: &Tally| tally.live];
    let [freed, open] = numbers.map(|number| {
        let of = |kind| number(report.adopted.get(kind));
        (kinds(of), Kind::ALL.map(of).iter().sum::<u64>())
    });
    let approx_prefix = report.native.approx_prefix();
    let mut clauses = Vec::new();
    if freed.1 > 0 {
        let were = if freed.1 == 1 { "was" } else { "were" };
        clauses.push((format!("{} {MADE} {were} freed by the garbage collector only", freed.0), true));
    }
    if open.1 > 0 {
        let are = if open.1 == 1 { "is" } else { "are" };
        let held: u64 =
            Kind::ALL.map(|kind| report.native.bytes(kind, report.adopted.get(kind).live)).iter().sum();
        clauses.push((format!("{} {MADE} {are} still open, {approx_prefix}{}", open.0, bytes(held)), false));
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::session;
    use crate::analysis::footprint::Footprint;
    use crate::analysis::rules::Rule;
    use crate::model::{Nanos, ThreadId};
    use crate::options::Format;
    use crate::report::tests::{golden, rendered_in, report, sample};

    fn text(report: &Report, style: Style) -> String {
        String::from_utf8(rendered_in(report, Format::Text, style)).unwrap()
    }

    fn shown(report: &Report, style: Style) -> Vec<u8> {
        text(report, style).replace(env!("CARGO_PKG_VERSION"), "VERSION").into_bytes()
    }

    #[test]
    fn as_the_goldens_have_it() {
        golden("report.txt", &shown(&sample(), Style::default()));
        golden("report-narrow.txt", &shown(&sample(), Style { width: Some(72), colour: false }));
        golden("report-colour.txt", &shown(&sample(), Style { width: Some(110), colour: true }));
    }

    #[test]
    fn colour_and_width_of_a_terminal() {
        let style = |columns, variables: &[(&str, &str)]| {
            let value =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.into());
            Style::for_terminal(columns, value)
        };
        let coloured = Style { width: Some(100), colour: true };
        assert_eq!(style(Some(100), &[("TERM", "xterm")]), coloured);
        assert_eq!(style(Some(100), &[("TERM", "xterm"), ("NO_COLOR", "")]), coloured);
        for variables in [&[("TERM", "xterm"), ("NO_COLOR", "1")][..], &[("TERM", "dumb")], &[]] {
            assert!(!style(Some(100), variables).colour, "{variables:?}");
        }
        assert_eq!([None, Some(39), Some(40)].map(|n| style(n, &[]).width), [None, None, Some(40)]);
    }

    const MADE: &str = "java.util.zip.Inflater.<init>";

    #[test]
    fn clean_is_one_line() {
        for (sites, line) in [
            (&[][..], "SUMMARY: zaudit: no leaks: no Inflater or Deflater was made\n"),
            (
                &[(Kind::Inflater, &[MADE, "a.B.c"][..], 2_000, 2_000, 0, 0)],
                "SUMMARY: zaudit: no leaks: 2,000 of 2,000 Inflaters ended\n",
            ),
            (
                &[(Kind::Inflater, &[MADE, "java.util.zip.ZipFile.getInflater"], 3, 1, 0, 0)],
                "SUMMARY: zaudit: no leaks: 1 of 3 Inflaters ended, 2 not ended as expected (JDK caches)\n",
            ),
        ] {
            assert_eq!(text(&report(&session(sites)), Style::default()), line);
        }
    }

    #[test]
    fn the_young_and_the_covered_are_said_in_it() {
        let sites = [
            (Kind::Inflater, &[MADE, "a.B.c"][..], 9, 3, 0, 0),
            (Kind::Inflater, &[MADE, "a.Pool.d"], 2, 0, 0, 0),
        ];
        let mut snapshot = session(&sites).snapshot(Nanos(1), Duration::ZERO).unwrap();
        snapshot.sites[0].tally.young = 6;
        let rule = Rule::parse("live:a.Pool.*", false).unwrap();
        let process = report(&session(&[])).process;
        let report =
            Report::new(process, Footprint::default(), &snapshot, vec![rule], Default::default()).unwrap();
        assert_eq!(
            text(&report, Style::default()),
            "SUMMARY: zaudit: no leaks: 3 of 11 Inflaters ended, 2 not ended as expected (covered by rules), 6 too young to \
             be suspects (min_age)\n"
        );
        assert!(report.nothing_to_tell());
    }

    #[test]
    fn adopted_ones_are_said_in_the_first_line_and_below() {
        for (inflaters, deflaters, lost, sites, line) in [
            (0, 0, 0, &[][..], "no leaks: no Inflater or Deflater was made"),
            (
                1_000,
                1_000,
                0,
                &[],
                "no leaks: no Inflater or Deflater was made; 1,000 Inflaters and 1,000 Deflaters made before the agent was \
                 armed are still open, ≈294 MiB",
            ),
            (
                2,
                0,
                1,
                &[(Kind::Inflater, &[MADE, "a.B.c"][..], 1, 1, 0, 0)],
                "no leaks since arming: 1 of 1 Inflater ended; 1 Inflater made before the agent was armed was freed by the \
                 garbage collector only; 1 Inflater made before the agent was armed is still open, ≈39.1 KiB",
            ),
            (
                12,
                0,
                12,
                &[(Kind::Inflater, &[MADE, "a.B.c"], 1, 0, 0, 0)],
                "no certain leaks since arming, but 1 Inflater made at 1 place still open, ≈39.1 KiB held: a pool, or a leak \
                 in the making; 12 Inflaters made before the agent was armed were freed by the garbage collector only",
            ),
        ] {
            let session = session(sites);
            for n in 0..inflaters + deflaters {
                let id = session.id(ThreadId(1));
                let kind = if n < inflaters { Kind::Inflater } else { Kind::Deflater };
                session.adopted(id, kind, Nanos(0)).unwrap();
                if n < lost {
                    session.freed(id, Nanos(1));
                }
            }
            let text = text(&report(&session), Style::default());
            assert_eq!(text.lines().next().unwrap().strip_prefix("SUMMARY: zaudit: "), Some(line));
            assert_eq!(text.contains("\nADOPTED "), inflaters > 0, "{text}");
            assert_eq!(text.contains("\nzaudit "), inflaters > 0, "{text}");
        }
    }

    #[test]
    fn it_says_what_asked_for_it() {
        for (trigger, number, said) in [
            (Trigger::Exit, None, "at exit"),
            (Trigger::Interval, Some(12), "snapshot 12 (interval)"),
            (Trigger::Command, Some(3), "report 3 on demand (command)"),
            (Trigger::Command, None, "at disarm"),
            (Trigger::Signal, Some(1), "report 1 on demand (signal)"),
            (Trigger::DataDump, Some(2), "report 2 on demand (data_dump)"),
            (Trigger::Duration, None, "at the end of the audit (duration)"),
        ] {
            let mut report = sample();
            (report.process.trigger, report.process.number) = (trigger, number);
            let text = String::from_utf8(shown(&report, Style::default())).unwrap();
            assert!(text.contains(&format!("\nzaudit VERSION, {said} after 3 h, ")), "{text}");
        }
    }

    #[test]
    fn what_was_not_seen_is_said_even_when_all_else_is_clean() {
        let session = session(&[]);
        session.hooks_missing("x", vec!["x.Inflater.end(): no such method".into()]);
        session.dropped("the site could not be read");
        let text = text(&report(&session), Style::default());
        golden("report-unwell.txt", text.as_bytes());
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let class = "a.\u{1b}[2J\u{202e}B\n.c";
        let text = text(
            &report(&session(&[(Kind::Inflater, &[MADE, class], 1, 0, 0, 1)])),
            Style { width: Some(20), colour: false },
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
        assert!(text.contains("\\u{1b}[2J"));
    }
}
