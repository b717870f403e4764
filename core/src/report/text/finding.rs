//! A finding in the text report: outcomes, trend, hint, retaining paths, stack, callers.
//!
//! Invariant: what is cut short says so, and says which format has the rest.

use super::{BOLD, DIM, RED, Text, YELLOW};
use crate::analysis::classify::{ClassifiedSite, Severity, SiteStats};
use crate::analysis::findings::Finding;
use crate::analysis::hints::LONG;
use crate::analysis::history::Direction;
use crate::analysis::retention::Retained;
use crate::model::{Frame, Nanos, OutOfMemory, push};
use crate::report::Report;
use crate::report::text::approximate;
use crate::report::words::{self, clean};
use crate::wording::{byte_seconds, finding as wording, grouped};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// The frames of a stack, the callers and the threads that are shown of a finding. If the blame
/// frame is further out, all frames up to it are.
const FRAMES: usize = 14;
const CALLERS: usize = 6;
const THREADS: usize = 3;
/// Retaining paths that are shown.
const WAYS: usize = 3;
/// Sites of a finding, the worst ones, whose threads are collected.
const SITES: usize = 1_000;
/// Characters of a thread's name that are shown.
const THREAD_NAME: usize = 40;

impl Text<'_> {
    pub(super) fn findings(&mut self, report: &Report, findings: &[Finding<'_>], most: usize) {
        for (head, finding) in numbered(findings, most) {
            self.finding(report, finding, &head);
        }
        if let Some(line) = left_out([(findings, most)]) {
            self.out.push('\n');
            self.prose(0, &line);
        }
    }

    pub(super) fn finding(&mut self, report: &Report, finding: &Finding<'_>, head: &str) {
        let Some(worst) = finding.sites.first() else { return };
        let stats = &finding.stats;
        let code = if stats.severity() == Severity::Leak { RED } else { YELLOW };
        let blame_frame = worst.site.frames().nth(finding.blame_frame);
        let blame_frame =
            blame_frame.map(|frame| self.frame(frame, head.len() + 2)).unwrap_or_default();
        let (head, blame_frame) = (self.paint(code, head), self.paint(BOLD, &blame_frame));
        let _ = writeln!(self.out, "\n{head}  {blame_frame}");
        let class =
            worst.site.subclass.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        self.prose(4, &format!("{}s{class}: {}", stats.kind.noun(), finding.ratio()));
        let mut facts = facts(report, stats);
        facts.extend(threads(finding));
        self.prose(4, &facts.join(" · "));
        if let Some(way) = way(report, finding) {
            self.prose(4, &way);
        }
        if let Some(hint) = report.hint(finding) {
            self.prose(4, &format!("hint: {}", hint.message));
        }
        held(report, finding).iter().for_each(|line| self.prose(4, line));
        self.stacks(finding, worst);
    }

    /// The frames that all stacks of a finding share, the blame frame marked; then their callers.
    fn stacks(&mut self, finding: &Finding<'_>, worst: &ClassifiedSite) {
        let frames: Vec<&Frame> = worst.site.frames().collect();
        let shared = finding.shared();
        let shown = FRAMES.max(finding.blame_frame + 1);
        for (at, frame) in frames.iter().enumerate().take(shared.min(shown)) {
            let line = self.frame(frame, 6);
            let line = match (at == finding.blame_frame, frame.jdk) {
                (true, _) => self.paint(BOLD, &format!("    > {line}")),
                (false, true) => self.paint(DIM, &format!("      {line}")),
                (false, false) => format!("      {line}"),
            };
            let _ = writeln!(self.out, "{line}");
        }
        if finding.sites.len() == 1 {
            let more = frames.len().saturating_sub(shown);
            let line = wording::more_frames(more, worst.site.truncated);
            line.iter().for_each(|line| self.prose(6, line));
        } else {
            self.callers(finding, shared);
        }
    }

    /// Where the stacks differ: how many instances came from which caller.
    fn callers(&mut self, finding: &Finding<'_>, shared: usize) {
        let Ok(callers) = callers(finding, shared) else {
            return self.prose(6, wording::CALLERS_UNKNOWN);
        };
        for (number, caller) in callers.iter().take(CALLERS) {
            let frame =
                caller.map_or_else(|| wording::THREAD_START.into(), |frame| self.frame(frame, 20));
            let _ = writeln!(self.out, "      {:>6} from {frame}", grouped(*number));
        }
        self.prose(6, &wording::stacks_in_total(finding.sites.len()));
    }

    /// `a.b.C.m(C.java:7)`, as Java prints it; packages become initials if the terminal is too
    /// narrow.
    fn frame(&self, frame: &Frame, indent: usize) -> String {
        let finding = source(frame);
        let whole = words::frame(frame);
        match self.style.width {
            Some(width) if whole.chars().count() + indent > width => {
                let (package, class) = frame.class.rsplit_once('.').unwrap_or(("", &frame.class));
                let initials: String = package
                    .split('.')
                    .filter_map(|part| part.chars().next())
                    .flat_map(|c| [c, '.'])
                    .collect();
                clean(&format!("{initials}{class}.{}({finding})", frame.method))
            }
            _ => whole,
        }
    }
}

/// The first findings of one severity, each with what it is called: `LEAK 1 of 2`.
pub(in crate::report) fn numbered<'a, 'b>(
    findings: &'b [Finding<'a>],
    most: usize,
) -> impl Iterator<Item = (String, &'b Finding<'a>)> {
    findings.iter().take(most).enumerate().map(|(at, finding)| {
        let word = if finding.stats.severity() == Severity::Leak { "LEAK" } else { "SUSPECT" };
        (format!("{word} {} of {}", at + 1, findings.len()), finding)
    })
}

/// What [`numbered`] leaves out of these lists, in numbers; none if that is nothing.
pub(in crate::report) fn left_out<const N: usize>(
    lists: [(&[Finding<'_>], usize); N],
) -> Option<String> {
    let rest = || lists.iter().flat_map(|(findings, most)| findings.iter().skip(*most));
    let instances = rest().map(|finding| finding.stats.leaked + finding.stats.suspects).sum();
    let number = rest().count();
    (number > 0).then(|| wording::more_findings(number, instances))
}

/// Where the stacks differ: leaks and suspects of each caller, most first.
fn callers<'a>(
    finding: &Finding<'a>,
    shared: usize,
) -> Result<Vec<(u64, Option<&'a Frame>)>, OutOfMemory> {
    let mut callers: Vec<(u64, Option<&Frame>)> = Vec::new();
    let mut known: HashMap<Option<&Frame>, usize> = HashMap::new();
    for site in &finding.sites {
        let caller = site.site.frames().nth(finding.caller_of(site, shared));
        let open = site.stats.leaked + site.stats.suspects;
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
    // Of equal ones, the first that was found comes first.
    let order =
        |(number, caller): &(u64, Option<&Frame>)| (Reverse(*number), known.get(caller).copied());
    callers.sort_unstable_by_key(order);
    Ok(callers)
}

/// `C.java:7`, or what is known of it.
pub(in crate::report) fn source(frame: &Frame) -> String {
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => "unknown source".to_owned(),
    }
}

/// A few threads by name. Names that differ only in digits are one; long names are cut.
pub(in crate::report) fn threads(finding: &Finding<'_>) -> Option<String> {
    let worst = finding.sites.iter().take(SITES);
    let mut names: Vec<Arc<str>> = worst.flat_map(|site| site.site.threads()).collect();
    names.sort();
    names.dedup();
    let numberless =
        |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let all = names.len();
    names.dedup_by_key(|name| numberless(name));
    let more = if names.len() < all || names.len() > THREADS { ", …" } else { "" };
    let shown: Vec<String> = names
        .iter()
        .take(THREADS)
        .map(|name| match name.char_indices().nth(THREAD_NAME) {
            Some((end, _)) => format!("{}…", name.get(..end).unwrap_or(name)),
            None => name.to_string(),
        })
        .collect();
    let noun = if all > 1 { "threads" } else { "thread" };
    (!shown.is_empty()).then(|| format!("{noun} {}{more}", shown.join(", ")))
}

/// How the number of live instances changes; for suspects also what that looks like.
pub(in crate::report) fn way(report: &Report, finding: &Finding<'_>) -> Option<String> {
    let trend = report.history.together(finding.sites.iter().map(|site| site.site.stable_id))?;
    let words = words::tendency(&trend)?;
    let tendency = trend.tendency()?;
    let looks_like = match tendency.way {
        _ if finding.stats.severity() == Severity::Leak || tendency.over < LONG => None,
        Direction::Grew | Direction::GrewLately => Some("leak"),
        Direction::Flat | Direction::FlatAbout => Some("pool"),
        _ => None,
    };
    Some(wording::trend(&words, looks_like))
}

/// The retaining paths of the live instances that were examined; paths that differ in indexes only
/// are one.
pub(in crate::report) fn held(report: &Report, finding: &Finding<'_>) -> Vec<String> {
    let all = || finding.sites.iter().flat_map(|site| report.retention.of(site.site.stable_id));
    let looked_at = all().count();
    let mut ways: Vec<(usize, String, &Retained)> = Vec::new();
    for held in all() {
        let shape = held.shape();
        match ways.iter_mut().find(|(_, known, _)| *known == shape) {
            Some((number, _, _)) => *number += 1,
            None => ways.push((1, shape, held)),
        }
    }
    ways.sort_by_key(|(number, _, _)| std::cmp::Reverse(*number));
    let more = ways.len().saturating_sub(WAYS);
    let line = |(number, _, held): &(usize, String, &Retained)| match looked_at {
        1 => held.words(),
        _ => wording::of_examined(&held.words(), *number, looked_at),
    };
    let rest = (more > 0).then(|| wording::more_paths(more));
    ways.iter().take(WAYS).map(line).chain(rest).collect()
}

/// The outcomes, in figures.
pub(in crate::report) fn facts(report: &Report, stats: &SiteStats) -> Vec<String> {
    let counts = &stats.tally.counts;
    let mut facts = Vec::new();
    if counts.collected > 0 {
        facts.push(wording::collected(counts.collected));
    }
    if counts.late > 0 {
        facts.push(wording::late(counts.late));
    }
    if counts.ended_with_file > 0 {
        facts.push(wording::ended_with_file(counts.ended_with_file));
    }
    if let Some(mean) = stats.mean_lateness() {
        let each = approximate(report, stats.bytes_each);
        facts.push(wording::lateness(&each, mean, &byte_seconds(stats.lateness())));
    }
    if stats.tally.live > 0 {
        let age = |created: Nanos| report.snapshot_nanos.since(created);
        let held = approximate(report, stats.bytes_held());
        let ages = stats.tally.oldest.map(age).zip(stats.tally.youngest.map(age));
        facts.push(wording::live(stats.tally.live, &held, ages));
        if stats.too_young() > 0 {
            facts.push(wording::too_young(stats.too_young()));
        }
    }
    if stats.known.sum() > 0 {
        facts.push(wording::as_in_baseline(stats.known.sum()));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::findings::findings;
    use crate::model::Kind;
    use crate::report::tests::report;

    #[test]
    fn threads_that_differ_in_numbers_are_one() {
        let long = "elasticsearch[data][[compressed-1][0]: Lucene Merge Thread #0]";
        for (names, shown) in [
            (&["main"][..], "thread main"),
            (&["main", "main"], "thread main"),
            (&["pool-1-thread-1", "pool-1-thread-2", "x"], "threads pool-1-thread-1, x, …"),
            (&["b", "a"], "threads a, b"),
            (&["a", "b", "c", "d"], "threads a, b, c, …"),
            (&[long], "thread elasticsearch[data][[compressed-1][0]: L…"),
        ] {
            let session = crate::testing::Recording::default();
            let frames = vec![Frame::named("a.B", "c")];
            let stack = crate::model::Stack { frames, truncated: false, subclass: None };
            let site = session.learn(Kind::Inflater, stack).unwrap();
            let thread = crate::model::ThreadId(1);
            session.record_created(session.id(), site, thread, crate::model::Nanos(0)).unwrap();
            names.iter().for_each(|name| session.name_thread(site, (*name).into()));
            assert_eq!(
                threads(&findings(&report(&session).classification.sites).unwrap()[0]).unwrap(),
                shown
            );
        }
    }
}
