//! A place in words: what leaks or may leak there, which way it goes, the stack, who calls it.
//!
//! Leaves what a place is to [`crate::analysis::findings`]. Invariant: what is cut short says so, and where the rest is.

use super::{BOLD, DIM, RED, Text, YELLOW};
use crate::analysis::classify::{Judged, Severity, Verdict, grouped};
use crate::analysis::findings::Place;
use crate::analysis::hints::LONG;
use crate::analysis::history::Way;
use crate::analysis::retention::Held;
use crate::analysis::rules::in_jdk;
use crate::model::{Frame, Nanos, OutOfMemory, push};
use crate::report::Report;
use crate::report::words::{self, byte_seconds, bytes, clean, count, duration};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Frames told of each stack, callers told of each place, threads.
const FRAMES: usize = 14;
const CALLERS: usize = 6;
const THREADS: usize = 3;
/// Ways told in which live ones are held.
const WAYS: usize = 3;
/// Sites of a place, the worst ones, whose threads are looked at.
const SITES: usize = 1_000;
/// Characters told of a thread's name.
const THREAD_NAME: usize = 40;

impl Text<'_> {
    pub(super) fn places(&mut self, report: &Report, places: &[Place<'_>], word: &str, told: usize) {
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
        if let Some(way) = way(report, place) {
            self.prose(4, &way);
        }
        if let Some(hint) = report.hint(place) {
            self.prose(4, &format!("to do: {hint}"));
        }
        held(report, place).iter().for_each(|line| self.prose(4, line));
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
        let Ok(callers) = callers(place, shared) else {
            return self.prose(6, "… no memory was left to tell its callers apart");
        };
        for (number, caller) in callers.iter().take(CALLERS) {
            let frame = caller.map_or_else(|| "the thread's start".into(), |frame| self.frame(frame, 20));
            let _ = writeln!(self.out, "      {:>6} from {frame}", grouped(*number));
        }
        self.prose(6, &format!("… {} in all, format=json has them", count(place.sites.len(), "stack")));
    }

    /// `a.b.C.m(C.java:7)`, as Java prints it; on a terminal that is too narrow packages become initials.
    fn frame(&self, frame: &Frame, indent: usize) -> String {
        let place = source(frame);
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

/// Where the stacks part: how many are open of each caller, most first.
fn callers<'a>(place: &Place<'a>, shared: usize) -> Result<Vec<(u64, Option<&'a Frame>)>, OutOfMemory> {
    let mut callers: Vec<(u64, Option<&Frame>)> = Vec::new();
    let mut known: HashMap<Option<&Frame>, usize> = HashMap::new();
    for site in &place.sites {
        let caller = site.site.frames().nth(shared);
        let open = site.verdict.leaked + site.verdict.suspects;
        if open == 0 {
            continue;
        }
        known.try_reserve(1)?;
        let next = callers.len();
        match callers.get_mut(*known.entry(caller).or_insert(next)) {
            Some((number, _)) => *number += open,
            None => push(&mut callers, (open, caller))?,
        }
    }
    // Of equal ones the first found comes first.
    let order = |(number, caller): &(u64, Option<&Frame>)| (Reverse(*number), known.get(caller).copied());
    callers.sort_unstable_by_key(order);
    Ok(callers)
}

/// `C.java:7`, as far as it is known.
pub(in crate::report) fn source(frame: &Frame) -> String {
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => "unknown source".to_owned(),
    }
}

/// A few threads by name. Names that differ in their numbers only are one; long ones are cut.
pub(in crate::report) fn threads(place: &Place<'_>) -> Option<String> {
    let asked = place.sites.iter().take(SITES);
    let mut names: Vec<String> = asked.flat_map(|site| site.site.threads()).collect();
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

/// Which way the number of live ones goes; of what is no certain leak also what that looks like.
pub(in crate::report) fn way(report: &Report, place: &Place<'_>) -> Option<String> {
    let trend = report.growth.together(place.sites.iter().map(|site| site.site.stable_id))?;
    let words = words::tendency(&trend)?;
    let tendency = trend.tendency()?;
    let looks = match tendency.way {
        _ if place.verdict.severity() == Severity::Leak || tendency.over < LONG => "",
        Way::Grew | Way::GrewLately => ": looks like a leak",
        Way::Flat | Way::FlatAbout => ": looks like a pool",
        _ => "",
    };
    Some(format!("live ones: {words}{looks}"))
}

/// What holds the live ones that were looked at, ways that differ in places of arrays only told once.
pub(in crate::report) fn held(report: &Report, place: &Place<'_>) -> Vec<String> {
    let all = || place.sites.iter().flat_map(|site| report.retention.of(site.site.stable_id));
    let looked_at = all().count();
    let mut ways: Vec<(usize, String, &Held)> = Vec::new();
    for held in all() {
        let shape = held.shape();
        match ways.iter_mut().find(|(_, known, _)| *known == shape) {
            Some((number, _, _)) => *number += 1,
            None => ways.push((1, shape, held)),
        }
    }
    ways.sort_by_key(|(number, _, _)| std::cmp::Reverse(*number));
    let more = ways.len().saturating_sub(WAYS);
    let line = |(number, _, held): &(usize, String, &Held)| match looked_at {
        1 => held.words(),
        _ => format!("{} ({number} of {looked_at} looked at)", held.words()),
    };
    let rest = (more > 0)
        .then(|| format!("… {} in which others are held, format=json has all", count(more, "more way")));
    ways.iter().take(WAYS).map(line).chain(rest).collect()
}

/// What became of them, in figures.
pub(in crate::report) fn facts(report: &Report, verdict: &Verdict) -> Vec<String> {
    let (counts, about) = (&verdict.tally.counts, report.native.about());
    let mut facts = Vec::new();
    if counts.collected > 0 {
        facts.push(format!("{} collected, never ended", grouped(counts.collected)));
    }
    if counts.late > 0 {
        facts.push(format!("{} ended late, by a finalizer or Cleaner", grouped(counts.late)));
    }
    if let Some(mean) = verdict.mean_lateness() {
        let (each, mean) = (bytes(verdict.bytes_each), duration(mean));
        facts
            .push(format!("{about}{each} each for {mean} on average ({})", byte_seconds(verdict.lateness())));
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
        facts.push(format!("{live} live, {about}{held} held, {made}"));
        if verdict.spared() > 0 {
            facts.push(format!("{} of them too young to be suspects (min_age)", grouped(verdict.spared())));
        }
    }
    if verdict.known.sum() > 0 {
        facts.push(format!("{} as in the baseline", grouped(verdict.known.sum())));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::findings::places;
    use crate::model::Kind;
    use crate::report::tests::report;

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
                crate::model::Frame { class: "a.B".into(), method: "c".into(), file: None, line: None };
            let stack = crate::model::Stack { frames: vec![frame], truncated: false, subclass: None };
            let site = session.learn(Kind::Inflater, crate::model::StackKey(1), stack).unwrap();
            let thread = crate::model::ThreadId(1);
            session.created(session.id(thread), site, thread, crate::model::Nanos(0)).unwrap();
            names.iter().for_each(|name| session.name_thread(site, (*name).into()));
            assert_eq!(threads(&places(&report(&session).judgement.sites).unwrap()[0]).unwrap(), told);
        }
    }
}
