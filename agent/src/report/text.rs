//! The text report: for a person who never heard of this tool and has ten seconds.
//!
//! First a line for `grep`, then what leaks, worst first, then what may, what was expected, the sums, and what
//! could not be seen. One line when all is clean. Invariant: nothing that came from the program (class, thread
//! and file names) reaches a terminal unescaped.

use super::Report;
use super::words::{byte_seconds, bytes, clean, count, duration, times};
use crate::classify::{Judged, Severity, Verdict, grouped, some};
use crate::event::{Frame, Kind, Nanos};
use crate::places::{Place, places};
use crate::suppress::in_jdk;
use std::fmt::Write as _;
use std::time::Duration;

/// How it may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal, where it is one.
    pub width: Option<usize>,
    /// Whether escape sequences for colour are welcome.
    pub colour: bool,
}

/// Columns of prose where there is no terminal.
const WIDTH: usize = 110;
/// Places told in full: those that leak, those that may.
const LEAKS: usize = 20;
const SUSPECTS: usize = 10;
/// Frames told of each stack, callers told of each place, threads.
const FRAMES: usize = 14;
const CALLERS: usize = 6;
const THREADS: usize = 3;
/// Characters told of a thread's name.
const THREAD_NAME: usize = 40;

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const DIM: &str = "2";

/// The report, each line ended by a line break.
pub(super) fn render(report: &Report, style: Style) -> String {
    let mut text = Text { out: String::new(), style };
    let places = places(&report.judgement.sites);
    let of = |severity| -> Vec<&Place<'_>> {
        places.iter().filter(|place| place.verdict.severity() == severity).collect()
    };
    let (leaks, suspects) = (of(Severity::Leak), of(Severity::Suspect));
    text.summary(report, &leaks, &suspects);
    if leaks.len() + suspects.len() > 0 {
        text.origin(report);
        text.places(report, &leaks, "LEAK", LEAKS);
        text.advice(&leaks);
        text.places(report, &suspects, "LIVE", SUSPECTS);
        text.rules(report);
        text.totals(report);
    }
    text.health(report);
    text.out
}

struct Text {
    out: String,
    style: Style,
}

impl Text {
    fn summary(&mut self, report: &Report, leaks: &[&Place<'_>], suspects: &[&Place<'_>]) {
        let verdicts = || report.judgement.sites.iter().map(|site| &site.verdict);
        let sum =
            |pick: fn(&Verdict) -> u64, kind| verdicts().filter(|v| v.kind == kind).map(pick).sum::<u64>();
        let kinds = |pick: fn(&Verdict) -> u64| {
            let each = Kind::ALL.map(|kind| (sum(pick, kind), kind));
            let told: Vec<_> = each.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| some(*n, *kind)).collect();
            told.join(" and ")
        };
        let open = kinds(|verdict| verdict.suspects);
        let mut line = String::from("SUMMARY: zaudit: ");
        if !leaks.is_empty() {
            let _ = write!(
                line,
                "LEAK: {} made at {} never ended by the program, freed by the garbage collector only",
                kinds(|verdict| verdict.leaked),
                count(leaks.len(), "place")
            );
            if !open.is_empty() {
                let _ = write!(line, "; {open} still open");
            }
        } else if !suspects.is_empty() {
            let held: u64 = verdicts().map(|verdict| verdict.suspects * verdict.kind.native_bytes()).sum();
            let _ = write!(
                line,
                "no certain leaks, but {open} made at {} still open, ≈{} held: a pool, or a leak in the making",
                count(suspects.len(), "place"),
                bytes(held)
            );
        } else {
            let told: Vec<_> = Kind::ALL
                .iter()
                .map(|kind| (report.judgement.totals.get(*kind), *kind))
                .filter(|(totals, _)| totals.created > 0)
                .map(|(totals, kind)| format!("{} of {}", grouped(totals.ended), some(totals.created, kind)))
                .collect();
            let _ = match told.as_slice() {
                [] => write!(line, "no leaks: no Inflater or Deflater was made"),
                told => write!(line, "no leaks: {} ended", told.join(" and ")),
            };
            let expected: u64 = verdicts().map(|verdict| verdict.expected).sum();
            if expected > 0 {
                let _ = write!(line, ", {} not ended as expected (JDK caches)", grouped(expected));
            }
        }
        if !report.health.ok() {
            line.push_str("; not all could be seen, see HEALTH");
        }
        let line = self.paint(if leaks.is_empty() { BOLD } else { RED }, &line);
        let _ = writeln!(self.out, "{line}");
    }

    fn origin(&mut self, report: &Report) {
        let process = &report.process;
        let when = match process.number {
            None => "at exit".to_owned(),
            Some(number) => format!("report {number} on demand ({})", process.trigger.name()),
        };
        let age = duration(Duration::try_from_secs_f64(report.age_seconds).unwrap_or_default());
        let line = format!(
            "zaudit {}, {when} after {age}, pid {} of {}: {}",
            env!("CARGO_PKG_VERSION"),
            process.pid,
            process.jvm,
            process.command
        );
        self.prose(0, &line);
    }

    fn places(&mut self, report: &Report, places: &[&Place<'_>], word: &str, told: usize) {
        for (at, place) in places.iter().take(told).enumerate() {
            let head = format!("{word} {} of {}", at + 1, places.len());
            self.place(report, place, &head);
        }
        if places.len() > told {
            let rest: u64 = places.iter().skip(told).map(|p| p.verdict.leaked + p.verdict.suspects).sum();
            let line = format!(
                "… and {} more, {} instances: format=json lists all",
                places.len() - told,
                grouped(rest)
            );
            self.out.push('\n');
            self.prose(0, &line);
        }
    }

    fn place(&mut self, report: &Report, place: &Place<'_>, head: &str) {
        let Some(worst) = place.sites.first() else { return };
        let verdict = &place.verdict;
        let code = if verdict.severity() == Severity::Leak { RED } else { YELLOW };
        let culprit = worst.site.frames().nth(place.culprit);
        let culprit = culprit.map(|frame| self.frame(frame, head.len() + 2)).unwrap_or_default();
        let (head, culprit) = (self.paint(code, head), self.paint(BOLD, &culprit));
        let _ = writeln!(self.out, "\n{head}  {culprit}");
        let class = worst.site.subclass.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        self.prose(4, &format!("{}s{class}: {}", verdict.kind.class(), verdict.ratio()));
        let mut facts = facts(report, verdict);
        facts.extend(threads(place));
        self.prose(4, &facts.join(" · "));
        if let Some(hint) = place.hint() {
            self.prose(4, hint);
        }
        self.stacks(place, worst);
    }

    /// The frames that all stacks of a place share, the culprit marked; then who calls them.
    fn stacks(&mut self, place: &Place<'_>, worst: &Judged) {
        let frames: Vec<&Frame> = worst.site.frames().collect();
        let shared = place.shared();
        for (at, frame) in frames.iter().enumerate().take(shared.min(FRAMES)) {
            let line = self.frame(frame, 6);
            let line = match (at == place.culprit, in_jdk(&frame.class)) {
                (true, _) => self.paint(BOLD, &format!("    > {line}")),
                (false, true) => self.paint(DIM, &format!("      {line}")),
                (false, false) => format!("      {line}"),
            };
            let _ = writeln!(self.out, "{line}");
        }
        if place.sites.len() == 1 {
            self.rest(&frames, worst);
        } else {
            self.callers(place, shared);
        }
    }

    fn rest(&mut self, frames: &[&Frame], worst: &Judged) {
        let more = frames.len().saturating_sub(FRAMES);
        let cut = "cut at the depth limit, depth= keeps more";
        let line = match (more, worst.site.truncated) {
            (0, false) => return,
            (0, true) => format!("… {cut}"),
            (_, false) => format!("… {} more, format=json has all", count(more, "frame")),
            (_, true) => format!("… {} more in format=json, {cut}", count(more, "frame")),
        };
        self.prose(6, &line);
    }

    /// Where the stacks part: how many instances came from which caller.
    fn callers(&mut self, place: &Place<'_>, shared: usize) {
        let mut callers: Vec<(u64, Option<&Frame>)> = Vec::new();
        for site in &place.sites {
            let caller = site.site.frames().nth(shared);
            let open = site.verdict.leaked + site.verdict.suspects;
            if open == 0 {
                continue;
            }
            match callers.iter_mut().find(|(_, known)| *known == caller) {
                Some((number, _)) => *number += open,
                None => callers.push((open, caller)),
            }
        }
        callers.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, caller) in callers.iter().take(CALLERS) {
            let frame = caller.map_or_else(|| "the thread's start".into(), |frame| self.frame(frame, 20));
            let _ = writeln!(self.out, "      {:>6} from {frame}", grouped(*number));
        }
        self.prose(6, &format!("… {} in all, format=json has them", count(place.sites.len(), "stack")));
    }

    fn advice(&mut self, leaks: &[&Place<'_>]) {
        if !leaks.is_empty() {
            let head = self.paint(BOLD, "WHAT TO DO");
            let _ = writeln!(self.out, "\n{head}");
            self.prose(
                4,
                "Call end() when each of these is done with, in a finally block. Closing a stream ends the one that it \
                 made itself, never one that it was given. Until then only a collection frees the memory, which is \
                 outside the Java heap.",
            );
        }
    }

    fn rules(&mut self, report: &Report) {
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

    fn totals(&mut self, report: &Report) {
        let head = self.paint(BOLD, "TOTALS");
        let _ = writeln!(
            self.out,
            "\n{head}    {:>12}{:>12}{:>9}{:>14}{:>9}{:>11}",
            "created", "= ended", "+ late", "+ collected", "+ live", "expected"
        );
        for kind in Kind::ALL {
            let totals = report.judgement.totals.get(kind);
            let _ = writeln!(
                self.out,
                "  {:<8}{:>12}{:>12}{:>9}{:>14}{:>9}{:>11}",
                kind.class(),
                grouped(totals.created),
                grouped(totals.ended),
                grouped(totals.late),
                grouped(totals.collected),
                grouped(totals.live),
                grouped(totals.expected)
            );
        }
        let clean = report
            .judgement
            .sites
            .iter()
            .filter(|site| site.verdict.severity() == Severity::Clean && site.rule.is_none());
        let clean = clean.count();
        let mut notes = Vec::new();
        if clean > 0 {
            notes.push(format!("{} with nothing left open", count(clean, "more site")));
        }
        let again = report.ended_again.inflater + report.ended_again.deflater;
        if again > 0 {
            notes.push(format!("end() was called {} again on what was ended (harmless)", times(again)));
        }
        let elsewhere = report.judgement.totals.inflater.ended_elsewhere
            + report.judgement.totals.deflater.ended_elsewhere;
        if elsewhere > 0 {
            notes.push(format!("{} ended by another thread than the one that made them", grouped(elsewhere)));
        }
        let unknown = report.ended_unknown.inflater + report.ended_unknown.deflater;
        if unknown > 0 {
            notes.push(format!("{} ended that were made before the agent was armed", grouped(unknown)));
        }
        if !notes.is_empty() {
            self.prose(2, &notes.join("; "));
        }
    }

    fn health(&mut self, report: &Report) {
        let health = &report.health;
        if health.ok() {
            return;
        }
        let head = self.paint(YELLOW, "HEALTH");
        let _ = writeln!(self.out, "\n{head}  not all could be seen, so the figures above may be too small:");
        for hook in &health.gaps.missing_hooks {
            self.prose(4, &format!("not hooked: {hook}"));
        }
        for (reason, number) in &health.gaps.dropped {
            self.prose(4, &format!("{} not counted: {reason}", count(*number as usize, "event")));
        }
        for (reason, number) in &health.gaps.unreadable {
            self.prose(4, &format!("{}: {reason}", times(*number)));
        }
        if let Some(reason) = &health.gaps.unsettled {
            self.prose(4, reason);
        }
        if health.overflowed > 0 {
            self.prose(
                4,
                &format!("{} new stacks came when the site table was full", grouped(health.overflowed)),
            );
        }
        if health.sums_off > 0 {
            let line = format!(
                "at {} created = ended + late + collected + live does not hold: a defect of zaudit, please report it",
                count(health.sums_off as usize, "site")
            );
            self.prose(4, &line);
        }
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

    /// `a.b.C.m(C.java:7)`, as Java prints it; on a terminal that is too narrow packages become initials.
    fn frame(&self, frame: &Frame, indent: usize) -> String {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) => "unknown source".to_owned(),
        };
        let whole = clean(&format!("{}.{}({place})", frame.class, frame.method));
        match self.style.width {
            Some(width) if whole.chars().count() + indent > width => {
                let (package, class) = frame.class.rsplit_once('.').unwrap_or(("", &frame.class));
                let initials: String = package
                    .split('.')
                    .filter_map(|part| part.chars().next())
                    .flat_map(|c| [c, '.'])
                    .collect();
                clean(&format!("{initials}{class}.{}({place})", frame.method))
            }
            _ => whole,
        }
    }
}

/// A few threads by name. Names that differ in their numbers only are one; long ones are cut.
fn threads(place: &Place<'_>) -> Option<String> {
    let mut names: Vec<String> = place.sites.iter().flat_map(|site| site.site.threads()).collect();
    names.sort();
    names.dedup();
    let numberless = |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let all = names.len();
    names.dedup_by_key(|name| numberless(name));
    let more = if names.len() < all || names.len() > THREADS { ", …" } else { "" };
    let told: Vec<String> = names
        .iter()
        .take(THREADS)
        .map(|name| match name.char_indices().nth(THREAD_NAME) {
            Some((end, _)) => format!("{}…", name.get(..end).unwrap_or(name)),
            None => name.clone(),
        })
        .collect();
    let noun = if all > 1 { "threads" } else { "thread" };
    (!told.is_empty()).then(|| format!("{noun} {}{more}", told.join(", ")))
}

fn facts(report: &Report, verdict: &Verdict) -> Vec<String> {
    let counts = &verdict.tally.counts;
    let mut facts = Vec::new();
    if counts.collected > 0 {
        facts.push(format!("{} collected, never ended", grouped(counts.collected)));
    }
    if counts.late > 0 {
        facts.push(format!("{} ended late, by a finalizer or Cleaner", grouped(counts.late)));
    }
    if let Some(mean) = verdict.mean_lateness() {
        let (each, mean) = (bytes(verdict.kind.native_bytes()), duration(mean));
        facts.push(format!("≈{each} each for {mean} on average ({})", byte_seconds(verdict.lateness())));
    }
    if verdict.tally.live > 0 {
        let age =
            |made: Option<Nanos>| duration(made.map(|m| report.snapshot_nanos.since(m)).unwrap_or_default());
        let (oldest, youngest) = (age(verdict.tally.oldest), age(verdict.tally.youngest));
        let (live, held) = (grouped(verdict.tally.live), bytes(verdict.bytes_held()));
        let made = if oldest == youngest {
            format!("made {oldest} ago")
        } else {
            format!("made {oldest} to {youngest} ago")
        };
        facts.push(format!("{live} live, ≈{held} held, {made}"));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tests::session;
    use crate::report::tests::{golden, report, sample};

    fn shown(report: &Report, style: Style) -> Vec<u8> {
        render(report, style).replace(env!("CARGO_PKG_VERSION"), "VERSION").into_bytes()
    }

    #[test]
    fn as_the_goldens_have_it() {
        golden("report.txt", &shown(&sample(), Style::default()));
        golden("report-narrow.txt", &shown(&sample(), Style { width: Some(72), colour: false }));
        golden("report-colour.txt", &shown(&sample(), Style { width: Some(110), colour: true }));
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
            assert_eq!(render(&report(&session(sites)), Style::default()), line);
        }
    }

    #[test]
    fn what_was_not_seen_is_said_even_when_all_else_is_clean() {
        let session = session(&[]);
        session.hooks_missing("x", vec!["x.Inflater.end(): no such method".into()]);
        session.dropped("the site could not be read");
        let text = render(&report(&session), Style::default());
        golden("report-unwell.txt", text.as_bytes());
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let class = "a.\u{1b}[2J\u{202e}B\n.c";
        let text = render(
            &report(&session(&[(Kind::Inflater, &[MADE, class], 1, 0, 0, 1)])),
            Style { width: Some(20), colour: false },
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
        assert!(text.contains("\\u{1b}[2J"));
    }

    #[test]
    fn threads_that_differ_in_numbers_are_told_once() {
        let long = "elasticsearch[data][[compressed-1][0]: Lucene Merge Thread #0]";
        for (names, told) in [
            (&["main"][..], "thread main"),
            (&["main", "main"], "thread main"),
            (&["pool-1-thread-1", "pool-1-thread-2", "x"], "threads pool-1-thread-1, x, …"),
            (&["b", "a"], "threads a, b"),
            (&["a", "b", "c", "d"], "threads a, b, c, …"),
            (&[long], "thread elasticsearch[data][[compressed-1][0]: L…"),
        ] {
            let session = crate::session::Session::default();
            let frame =
                crate::event::Frame { class: "a.B".into(), method: "c".into(), file: None, line: None };
            let stack = crate::event::Stack { frames: vec![frame], truncated: false, subclass: None };
            let site = session.learn(Kind::Inflater, crate::event::StackKey(1), stack);
            let thread = crate::event::ThreadId(1);
            session.created(session.id(thread), site, thread, crate::event::Nanos(0));
            names.iter().for_each(|name| session.name_thread(site, (*name).into()));
            assert_eq!(threads(&places(&report(&session).judgement.sites)[0]).unwrap(), told);
        }
    }
}
