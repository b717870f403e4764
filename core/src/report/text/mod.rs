//! The text report: for a reader who does not know this tool and has ten seconds.
//!
//! First a line for `grep`, then leaks, worst first, then suspects, expected instances, totals and
//! health. One line if nothing is wrong. Findings and totals have modules of their own. Invariant:
//! no text of the program (names of classes, threads and files) reaches a terminal unescaped.

pub(in crate::report) mod finding;
pub(in crate::report) mod totals;

use super::out::Out;
use super::words::clean;
use super::{Process, Report, lost};
use crate::analysis::classify::SiteStats;
use crate::analysis::findings::{Finding, findings, leaks_and_suspects};
use crate::ledger::Tally;
use crate::model::{Kind, Trigger};
use crate::wording::summary::{self, Leaks};
use crate::wording::{bytes, count, duration, grouped, kinds, some};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// What the output device supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal; none if it is not one.
    pub width: Option<usize>,
    /// Whether to write escape sequences for colour.
    pub colour: bool,
}

impl Style {
    /// The narrowest terminal that lines are fitted to.
    const NARROWEST: usize = 40;

    /// The style for a terminal with this number of columns. `variable` reads the environment:
    /// `NO_COLOR` (<https://no-color.org>) and `TERM` decide about colour.
    pub fn for_terminal(
        columns: Option<usize>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Style {
        let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|terminal| terminal == "dumb");
        Style {
            width: columns.filter(|columns| *columns >= Style::NARROWEST),
            colour: !dumb && !no_colour,
        }
    }
}

/// Columns of text if there is no terminal.
const WIDTH: usize = 110;
/// Findings that are shown in full.
const LEAKS: usize = 20;
const SUSPECTS: usize = 10;

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const DIM: &str = "2";

/// Writes the report; every line ends with a line break.
pub(super) fn render(report: &Report, style: Style, to: &mut dyn io::Write) -> io::Result<()> {
    let mut text = Text { out: Out::new(to), style };
    let findings = findings(&report.classification.sites)?;
    let (leaks, suspects) = leaks_and_suspects(&findings);
    text.summary(report, leaks, suspects);
    if report.found_something() {
        text.prose(0, &origin(report));
        memory(report).iter().for_each(|line| text.prose(0, line));
        let (leaking, rest) = findings.split_at_checked(leaks).unwrap_or_default();
        text.findings(report, leaking, LEAKS);
        text.findings(report, rest.get(..suspects).unwrap_or_default(), SUSPECTS);
    }
    text.below_findings(report);
    text.out.finish()
}

/// What the report says of a finding, without escape sequences. `head` stands in front of it.
pub(super) fn one_finding(
    report: &Report,
    finding: &Finding<'_>,
    head: &str,
) -> io::Result<String> {
    captured(|text| text.finding(report, finding, head))
}

/// All findings, and nothing else. What is live is a leak.
pub(super) fn findings_alone(report: &Report) -> io::Result<String> {
    let mut findings = findings(&report.classification.sites)?;
    for finding in &mut findings {
        finding.stats.leaked += std::mem::take(&mut finding.stats.suspects);
    }
    captured(|text| text.findings(report, &findings, LEAKS))
}

/// What stands below the findings.
pub(super) fn below_findings(report: &Report) -> io::Result<String> {
    captured(|text| text.below_findings(report))
}

fn captured(write: impl FnOnce(&mut Text<'_>)) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut text = Text { out: Out::new(&mut bytes), style: Style::default() };
    write(&mut text);
    text.out.finish()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Text<'w> {
    out: Out<'w>,
    style: Style,
}

impl Text<'_> {
    fn below_findings(&mut self, report: &Report) {
        if report.found_something() {
            self.rules(report);
            self.totals(report);
            self.adopted(report);
        }
        self.unused_rules(report);
        self.health(report);
    }

    fn summary(&mut self, report: &Report, leaks: usize, suspects: usize) {
        let line =
            format!("SUMMARY: zaudit: {}", summary_clauses(report, leaks, suspects).join("; "));
        let line = self.paint(if leaks == 0 { BOLD } else { RED }, &line);
        let _ = writeln!(self.out, "{line}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Text, wrapped at the width; continuation lines are indented further.
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

/// The clauses of the summary line. `leaks` and `suspects` are how many findings are such.
pub(in crate::report) fn summary_clauses(
    report: &Report,
    leaks: usize,
    suspects: usize,
) -> Vec<String> {
    let all_stats = || report.classification.all_stats();
    let sum = |of: fn(&SiteStats) -> u64| -> u64 { all_stats().map(of).sum() };
    let suspect = report.classification.kinds(|stats| stats.suspects);
    let adopted = adopted(report);
    let known = sum(|stats| stats.known.sum());
    let scope = Leaks {
        // The baseline may have leaks.
        new: known > 0,
        // Adopted instances that were lost are leaks, but belong to no finding.
        since_begin: adopted.iter().any(|(_, leaked)| *leaked),
    };
    let mut clauses = Vec::new();
    if leaks > 0 {
        let leaked = report.classification.kinds(|stats| stats.leaked);
        clauses.push(summary::leak(&leaked, sum(|stats| stats.leaked), leaks));
        if !suspect.is_empty() {
            clauses.push(summary::suspects(&suspect, sum(|stats| stats.suspects)));
        }
    } else if suspects > 0 {
        let held = approximate(report, sum(|stats| stats.suspects * stats.bytes_each));
        let number = sum(|stats| stats.suspects);
        clauses.push(summary::only_suspects(scope, &suspect, number, suspects, &held));
    } else {
        let ended: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| (report.classification.totals.get(*kind), *kind))
            .filter(|(totals, kind)| {
                // The JDK itself opens many entry streams.
                let usual = totals.ended + totals.expected;
                totals.created > if *kind == Kind::ZipEntry { usual } else { 0 }
            })
            .map(|(totals, kind)| {
                format!("{} of {}", grouped(totals.ended), some(totals.created, kind))
            })
            .collect();
        let mut clause = summary::no_leaks(scope, &ended.join(" and "));
        let expected = sum(|stats| stats.expected);
        if expected > 0 {
            let used = report.rules.iter().zip(&report.classification.covered);
            let others = used.clone().any(|(rule, covered)| !rule.is_of_jdk() && *covered > 0);
            clause.push_str(&summary::expected(&grouped(expected), others));
        }
        let young = sum(SiteStats::too_young);
        if young > 0 {
            clause.push_str(&summary::too_young(&grouped(young)));
        }
        clauses.push(clause);
    }
    if known > 0 {
        clauses.push(summary::as_in_baseline(&grouped(known)));
    }
    clauses.extend(adopted.into_iter().map(|(clause, _)| clause));
    if !report.health.ok() {
        clauses.push(summary::SEE_HEALTH.into());
    }
    clauses
}

/// A size, marked if it is an estimate.
pub(in crate::report) fn approximate(report: &Report, number: u64) -> String {
    format!("{}{}", report.native.approx_prefix(), bytes(number))
}

/// Which process the report is of, and what requested it.
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

/// What live instances hold of the memory of the process, and how long the report paused it.
pub(in crate::report) fn memory(report: &Report) -> Vec<String> {
    let (native, held) = (&report.native, report.bytes_held());
    let memory = (held > 0).then(|| {
        let held = approximate(report, held);
        summary::memory(&held, report.process.rss_bytes, native.measured, &native.zlib)
    });
    memory.into_iter().chain(report.retention.pause.map(summary::pause)).collect()
}

/// What requested the report.
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

/// The clauses about adopted instances, and whether each is about leaks.
fn adopted(report: &Report) -> Vec<(String, bool)> {
    if !report.adopts_the_program_s() {
        return Vec::new();
    }
    let numbers = [lost, |tally: &Tally| tally.live];
    let [(lost, lost_number), (live, live_number)] = numbers.map(|number| {
        let of = |kind| number(report.adopted.get(kind));
        (kinds(of), Kind::ALL.map(of).iter().sum::<u64>())
    });
    let mut clauses = Vec::new();
    if lost_number > 0 {
        clauses.push((summary::adopted_lost(&lost, lost_number), true));
    }
    if live_number > 0 {
        let held =
            Kind::CLASSES.map(|kind| report.native.bytes(kind, report.adopted.get(kind).live));
        let held = approximate(report, held.iter().sum());
        clauses.push((summary::adopted_live(&live, live_number, &held), false));
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::session;
    use crate::analysis::footprint::Footprint;
    use crate::analysis::rules::Rule;
    use crate::model::Nanos;
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
            let value = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.into())
            };
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
            (&[][..], "SUMMARY: zaudit: no leaks: no Inflater or Deflater was created\n"),
            (
                &[(Kind::Inflater, &[MADE, "a.B.c"][..], 2_000, 2_000, 0, 0)],
                "SUMMARY: zaudit: no leaks: 2,000 of 2,000 Inflaters ended\n",
            ),
            (
                &[(Kind::Inflater, &[MADE, "java.util.zip.ZipFile.getInflater"], 3, 1, 0, 0)],
                "SUMMARY: zaudit: no leaks: 1 of 3 Inflaters ended, 2 not ended but expected (JDK caches)\n",
            ),
        ] {
            assert_eq!(text(&report(&session(sites)), Style::default()), line);
        }
    }

    #[test]
    fn what_a_library_leaves_open_is_no_cache_of_the_jdk() {
        let loader =
            "org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater";
        let sites = [(Kind::Inflater, &[MADE, loader, "a.Main.m"][..], 3, 1, 0, 0)];
        assert_eq!(
            text(&report(&session(&sites)), Style::default()),
            "SUMMARY: zaudit: no leaks: 1 of 3 Inflaters ended, 2 not ended but expected (covered by rules)\n"
        );
    }

    #[test]
    fn the_blame_frame_is_shown_however_deep_it_is() {
        let mut frames = vec![MADE];
        frames.extend(["org.jruby.ir.interpreter.InterpreterEngine.interpret"; 30]);
        frames.extend(["app.leak.pack"]);
        frames.extend(["org.jruby.Main.run"; 30]);
        let text =
            text(&report(&session(&[(Kind::Inflater, &frames, 3, 0, 0, 3)])), Style::default());
        assert!(text.contains("LEAK 1 of 1  app.leak.pack(leak.java:41)\n"), "{text}");
        let stack = "InterpreterEngine.java:40)\n    > app.leak.pack(leak.java:41)\n      … 30 more frames;";
        assert!(text.contains(stack), "{text}");
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
            Report::new(process, Footprint::default(), &snapshot, vec![rule], Default::default())
                .unwrap();
        assert_eq!(
            text(&report, Style::default()),
            "SUMMARY: zaudit: no leaks: 3 of 11 Inflaters ended, 2 not ended but expected (covered by rules), 6 too young to \
             be suspects (min_age)\n"
        );
        assert!(report.nothing_to_tell());
    }

    #[test]
    fn adopted_ones_are_said_in_the_first_line_and_below() {
        for (inflaters, deflaters, lost, sites, line) in [
            (0, 0, 0, &[][..], "no leaks: no Inflater or Deflater was created"),
            (
                1_000,
                1_000,
                0,
                &[],
                "no leaks: no Inflater or Deflater was created; 1,000 Inflaters and 1,000 Deflaters created \
                 before the audit are still live and hold ≈294 MiB",
            ),
            (
                2,
                0,
                1,
                &[(Kind::Inflater, &[MADE, "a.B.c"][..], 1, 1, 0, 0)],
                "no leaks since the audit began: 1 of 1 Inflater ended; 1 Inflater created before the audit was \
                 never ended; only the garbage collector freed it; 1 Inflater created before the audit is still \
                 live and holds ≈39.1 KiB",
            ),
            (
                12,
                0,
                12,
                &[(Kind::Inflater, &[MADE, "a.B.c"], 1, 0, 0, 0)],
                "no certain leaks since the audit began, but 1 Inflater in 1 finding is a suspect: it is live and \
                 holds ≈39.1 KiB (a pool or a leak); 12 Inflaters created before the audit were never ended; only \
                 the garbage collector freed them",
            ),
        ] {
            let session = session(sites);
            for n in 0..inflaters + deflaters {
                let id = session.id();
                let kind = if n < inflaters { Kind::Inflater } else { Kind::Deflater };
                session.record_adopted(id, kind, Nanos(0)).unwrap();
                if n < lost {
                    session.record_freed(id, Nanos(1));
                }
            }
            let text = text(&report(&session), Style::default());
            assert_eq!(text.lines().next().unwrap().strip_prefix("SUMMARY: zaudit: "), Some(line));
            assert_eq!(text.contains("\nADOPTED "), inflaters > 0, "{text}");
            assert_eq!(text.contains("\nzaudit "), inflaters > 0, "{text}");
        }
    }

    #[test]
    fn the_trigger_is_named() {
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
        session.set_missing_hooks("x", vec!["x.Inflater.end(): no such method".into()]);
        session.record_dropped("the site could not be read");
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
