//! Findings: all sites with the same blame frame.
//!
//! Pure functions of classified sites. Many stacks lead to one line that forgets `end()`.
//! Invariant: every site belongs to exactly one finding, and no count is changed on the way.

use crate::analysis::blame::{alike, blame_frame, borrower, pool};
use crate::analysis::classify::{ClassifiedSite, Severity, SiteStats};
use crate::analysis::transparent::is_transparent;
use crate::model::{Frame, Kind, OutOfMemory, push};
use crate::stacks::Site;
use crate::wording::finding as wording;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// All sites with the same blame frame: one line of code to fix.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// All sites together.
    pub stats: SiteStats,
    /// The sites, worst first.
    pub sites: Vec<&'a ClassifiedSite>,
    /// Index of the frame to look at first in the stack of the first site, from the innermost one.
    pub blame_frame: usize,
    /// If the blame frame is one of several callers of a line: what the others got from it.
    pub others: Option<SiteStats>,
    /// Order in which findings were found: it decides between equal ones.
    rank: usize,
}

impl<'a> Finding<'a> {
    fn new(sites: Vec<&'a ClassifiedSite>, blame_frame: usize, rank: usize) -> Option<Finding<'a>> {
        let (first, rest) = sites.split_first()?;
        let mut stats = first.stats;
        rest.iter().for_each(|site| stats.add(&site.stats));
        Some(Finding { stats, sites, blame_frame, others: None, rank })
    }

    /// How many were ended, and what that suggests: one sentence.
    pub fn ratio(&self) -> String {
        let ratio = self.stats.ratio();
        self.others.map_or(ratio.clone(), |others| wording::beside_others(&ratio, &others.ratio()))
    }

    /// The frames that distinguish its stacks from others, innermost first, each with whether only
    /// frames of the JDK are between it and the one before.
    pub fn frames(&self) -> Vec<(&'a Frame, bool)> {
        let Some(first) = self.sites.first() else { return Vec::new() };
        let own = blame_frame(&first.site);
        let near = first.site.frames().take(own).skip(1).all(|frame| frame.jdk);
        let mut at = vec![(0, false), (own, near), (self.blame_frame, false)];
        at.dedup_by_key(|(at, _)| *at);
        at.into_iter().filter_map(|(at, near)| Some((first.site.frames().nth(at)?, near))).collect()
    }

    /// Number of frames of its first stack that all its stacks share, from the inside outwards.
    /// That transparent frames differ does not matter.
    pub fn shared(&self) -> usize {
        let Some((first, rest)) = self.sites.split_first() else { return 0 };
        let same =
            |site: &&ClassifiedSite| alike(first.site.frames(), site.site.frames(), usize::MAX).0;
        rest.iter().map(same).min().unwrap_or(first.site.frames().len())
    }

    /// Index of the blame frame in the stack of one of its sites.
    pub fn blame_frame_of(&self, classified: &ClassifiedSite) -> usize {
        let Some(first) = self.sites.first() else { return self.blame_frame };
        let blamed = first.site.frames().nth(self.blame_frame);
        let begin = alike(first.site.frames(), classified.site.frames(), self.blame_frame).1;
        let found = classified.site.frames().skip(begin).position(|frame| Some(frame) == blamed);
        begin + found.unwrap_or(0)
    }

    /// Index of the frame of one of its sites that called the `shared` frames.
    pub fn caller_of(&self, classified: &ClassifiedSite, shared: usize) -> usize {
        let Some(first) = self.sites.first() else { return shared };
        let begin = alike(first.site.frames(), classified.site.frames(), shared).1;
        let mut rest = classified.site.frames().skip(begin);
        begin + rest.position(|frame| !is_transparent(frame)).unwrap_or(0)
    }

    /// As [`Finding::caller_of`], but a constructor that calls another one of its class creates
    /// nothing more than that one does.
    fn client_of(&self, classified: &ClassifiedSite, shared: usize) -> usize {
        let caller = self.caller_of(classified, shared);
        let frames = || classified.site.frames().skip(caller.saturating_sub(1));
        let delegates = |(inner, outer): &(&Frame, &Frame)| {
            inner.class == outer.class && [inner, outer].iter().all(|f| f.method == "<init>")
        };
        caller + frames().zip(frames().skip(1)).take_while(delegates).count()
    }

    /// If one caller loses all instances that it gets and the others end all of theirs, that caller
    /// is to blame: its sites become a finding, and the rest becomes another one.
    fn split(mut self) -> Result<(Finding<'a>, Option<Finding<'a>>), OutOfMemory> {
        let shared = self.shared();
        let caller =
            |site: &'a ClassifiedSite| site.site.frames().nth(self.client_of(site, shared));
        let is_lost = |site: &ClassifiedSite| site.stats.severity() != Severity::Clean;
        let first = self.sites.iter().find(|site| is_lost(site));
        let Some((first, only)) = first.and_then(|site| Some((*site, caller(site)?))) else {
            return Ok((self, None));
        };
        let apart = |site: &&'a ClassifiedSite| is_lost(site) == (caller(site) == Some(only));
        if !self.sites.iter().all(apart) || self.sites.iter().all(|site| is_lost(site)) {
            return Ok((self, None));
        }
        let (by, rank) = (self.client_of(first, shared), self.rank);
        let others = self.sites.iter().find(|site| !is_lost(site));
        let blame_frame = others.map_or(self.blame_frame, |site| self.blame_frame_of(site));
        let (mut lost, mut kept) = (Vec::new(), Vec::new());
        for site in self.sites.drain(..) {
            push(if is_lost(site) { &mut lost } else { &mut kept }, site)?;
        }
        let kept = Finding::new(kept, blame_frame, rank);
        let others = kept.as_ref().map(|kept| kept.stats);
        let lost = Finding::new(lost, by, rank).map(|lost| Finding { others, ..lost });
        Ok((lost.unwrap_or(self), kept))
    }
}

/// Groups sites by blame frame, worst first.
pub fn findings(sites: &[ClassifiedSite]) -> Result<Vec<Finding<'_>>, OutOfMemory> {
    let mut findings = Vec::new();
    for group in groups(sites.iter(), blame_frame)? {
        // Who lost what came from a pool is not who made the pool.
        let is_lost = group.sites.iter().any(|site| site.stats.leaked > 0);
        let is_pooled = |site: &&ClassifiedSite| pool(&site.site).is_some();
        if is_lost && group.sites.iter().any(is_pooled) {
            for lent in groups(group.sites.into_iter(), borrower)? {
                add(lent, &mut findings)?;
            }
        } else {
            add(group, &mut findings)?;
        }
    }
    findings.sort_unstable_by_key(|finding| (Reverse(finding.stats.weight()), finding.rank));
    Ok(findings)
}

/// Sites that have the same frames from the constructor to the blame frame.
struct GroupOfSites<'a> {
    sites: Vec<&'a ClassifiedSite>,
    /// Of the first site.
    blame_frame: usize,
}

fn add<'a>(group: GroupOfSites<'a>, to: &mut Vec<Finding<'a>>) -> Result<(), OutOfMemory> {
    let Some(finding) = Finding::new(group.sites, group.blame_frame, to.len()) else {
        return Ok(());
    };
    let (first, second) = finding.split()?;
    push(to, first)?;
    second.map_or(Ok(()), |second| push(to, second))
}

/// Groups sites by the frame of each that `blamed` finds, in the order in which they come.
fn groups<'a>(
    sites: impl Iterator<Item = &'a ClassifiedSite>,
    blamed: fn(&Site) -> usize,
) -> Result<Vec<GroupOfSites<'a>>, OutOfMemory> {
    let mut groups: Vec<GroupOfSites<'a>> = Vec::new();
    let mut known: HashMap<(Kind, Option<&str>, Vec<&Frame>), usize> = HashMap::new();
    for classified in sites {
        // What the JDK does between the constructor and the blame frame is part of the key.
        let blame_frame = blamed(&classified.site);
        let inner = classified.site.frames().take(blame_frame + 1).enumerate();
        let inner = inner.filter(|(at, frame)| *at == blame_frame || !is_transparent(frame));
        let inner: Vec<&Frame> = inner.map(|(_, frame)| frame).collect();
        let next = groups.len();
        known.try_reserve(1)?;
        let at = *known
            .entry((classified.site.kind, classified.site.subclass.as_deref(), inner))
            .or_insert(next);
        match groups.get_mut(at) {
            Some(group) => push(&mut group.sites, classified)?,
            None => push(&mut groups, GroupOfSites { sites: vec![classified], blame_frame })?,
        }
    }
    Ok(groups)
}

/// Number of leaks and of suspects among findings that are sorted worst first.
pub fn leaks_and_suspects(findings: &[Finding<'_>]) -> (usize, usize) {
    let up_to = |severity| findings.partition_point(|finding| finding.stats.severity() >= severity);
    let leaks = up_to(Severity::Leak);
    (leaks, up_to(Severity::Suspect) - leaks)
}

/// A line that calls `end()` on instances that are already ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubleEnd {
    /// The class of these instances.
    pub kind: Kind,
    /// Number of these calls.
    pub times: u64,
    /// The frame of the application that calls it; a frame of the JDK if there is none.
    pub frame: Frame,
}

/// Lines that are listed; the totals include the others.
const MAX_DOUBLE_ENDS: usize = 32;

/// Double ends by line, most often first.
pub fn double_ends(stacks: &[(Arc<Site>, u64)]) -> Result<Vec<DoubleEnd>, OutOfMemory> {
    together(stacks.iter().filter_map(|(site, times)| {
        let frame = site.frames().nth(blame_frame(site))?;
        Some((frame, site.kind, *times))
    }))
}

/// Sums up equal lines, most often first.
pub fn together<'a>(
    double_ends: impl Iterator<Item = (&'a Frame, Kind, u64)>,
) -> Result<Vec<DoubleEnd>, OutOfMemory> {
    let mut sums: HashMap<(&Frame, Kind), u64> = HashMap::new();
    for (frame, kind, times) in double_ends {
        sums.try_reserve(1)?;
        let sum = sums.entry((frame, kind)).or_default();
        *sum = sum.saturating_add(times);
    }
    let mut most: Vec<(Reverse<u64>, &Frame, Kind)> = Vec::new();
    most.try_reserve_exact(sums.len())?;
    most.extend(sums.into_iter().map(|((frame, kind), times)| (Reverse(times), frame, kind)));
    most.sort_unstable();
    let most = most.into_iter().take(MAX_DOUBLE_ENDS);
    Ok(most
        .map(|(Reverse(times), frame, kind)| DoubleEnd { kind, times, frame: frame.clone() })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, Made, classified, stack};
    use crate::model::Nanos;
    use std::time::Duration;

    #[test]
    fn stacks_that_lead_to_one_blame_frame_are_one_finding() {
        let classification = classified(&[
            (Kind::Inflater, &[MADE, "a.Leak.x", "a.One.y"], 3, 1, 0, 2),
            (Kind::Deflater, &[MADE, "a.Leak.x", "a.One.y"], 1, 0, 0, 1),
            (Kind::Inflater, &[MADE, "a.Leak.x", "a.Two.y"], 4, 0, 1, 0),
        ]);
        let findings = findings(&classification.sites).unwrap();
        let found: Vec<_> = findings
            .iter()
            .map(|p| (p.stats.kind, p.sites.len(), p.stats.leaked, p.stats.suspects))
            .collect();
        assert_eq!(found, [(Kind::Deflater, 1, 1, 0), (Kind::Inflater, 2, 3, 3)]);
    }

    #[test]
    fn the_one_caller_that_loses_is_the_blame_frame() {
        const READ: &str = "a.Codec.read";
        let classification = classified(&[
            (Kind::Inflater, &[MADE, READ, "a.Good.x", "a.Main.m"], 80, 80, 0, 0),
            (Kind::Inflater, &[MADE, READ, "a.Bad.x", "a.Main.m"], 50, 0, 0, 50),
            (Kind::Inflater, &[MADE, READ, "a.Bad.x", "a.Other.m"], 6, 0, 0, 6),
        ]);
        let found: Vec<_> = findings(&classification.sites)
            .unwrap()
            .iter()
            .map(|p| {
                let blame_frame =
                    p.sites[0].site.frames().nth(p.blame_frame).unwrap().class.clone();
                (blame_frame, p.ratio())
            })
            .collect();
        let expected = [
            (
                "a.Bad",
                "0 of 56 were ended: nothing called end(); for other callers, all 80 were ended",
            ),
            ("a.Codec", "all 80 were ended"),
        ];
        assert_eq!(found, expected.map(|(class, ratio)| (class.to_owned(), ratio.to_owned())));
        // Where both callers lose some, the finding is about their common frame.
        let classification = classified(&[
            (Kind::Inflater, &[MADE, READ, "a.Good.x"], 80, 79, 0, 1),
            (Kind::Inflater, &[MADE, READ, "a.Bad.x"], 50, 0, 0, 50),
        ]);
        assert_eq!(findings(&classification.sites).unwrap().len(), 1);
    }

    #[test]
    fn a_constructor_that_calls_another_is_no_caller() {
        let by = |first: &str, second: &str| {
            let made = [first, second].map(|class| format!("{class}.<init>"));
            let [first, second] = made.each_ref().map(String::as_str);
            // The lines of the second constructors differ.
            blamed(&[
                (Kind::Inflater, &[MADE, first, second, "a.Bad.x"], 5, 0, 0, 5),
                (Kind::Inflater, &[MADE, first, "a.Good.y"], 4, 4, 0, 0),
            ])
        };
        let [x, init] = ["x", "<init>"].map(str::to_owned);
        assert_eq!(by("a.Codec", "a.Codec"), [(vec![x], 5), (vec![init.clone()], 0)]);
        // The constructor of another class may create one.
        assert_eq!(by("a.Codec", "a.Owner"), [(vec![init.clone()], 5), (vec![init], 0)]);
    }

    /// Of each finding: the method of its blame frame in the stack of each of its sites, and what
    /// leaked.
    fn blamed(sites: &[Made<'_>]) -> Vec<(Vec<String>, u64)> {
        let classification = classified(sites);
        let method = |finding: &Finding<'_>, site: &ClassifiedSite| {
            let frame = site.site.frames().nth(finding.blame_frame_of(site));
            frame.map(|frame| frame.method.clone()).unwrap_or_default()
        };
        let all = findings(&classification.sites).unwrap();
        all.iter()
            .map(|one| {
                let methods = one.sites.iter().map(|site| method(one, site)).collect();
                (methods, one.stats.leaked)
            })
            .collect()
    }

    #[test]
    fn how_reflection_calls_makes_no_findings() {
        const CALL: &str = "java.lang.reflect.Constructor.newInstance";
        const NATIVE: &str = "sun.reflect.NativeConstructorAccessorImpl.newInstance0";
        const GENERATED: &str = "sun.reflect.GeneratedConstructorAccessor.newInstance";
        let found = blamed(&[
            (Kind::Inflater, &[MADE, NATIVE, CALL, "a.Main.make", "a.Main.m"], 9, 0, 0, 9),
            (Kind::Inflater, &[MADE, GENERATED, CALL, "a.Main.make", "a.Main.m"], 7, 0, 0, 7),
        ]);
        assert_eq!(found, [(vec!["make".to_owned(); 2], 16)]);
    }

    #[test]
    fn who_loses_what_a_pool_lent_is_to_blame() {
        const NEW: &str = "j.InflaterPool.newPooled";
        const TAKE: &str = "j.InflaterPool.acquire";
        let of = |leaked| {
            blamed(&[
                (Kind::Inflater, &[MADE, NEW, TAKE, "a.Bad.x"], 5, 0, 0, leaked),
                (Kind::Inflater, &[MADE, NEW, TAKE, "a.Good.y"], 4, 4, 0, 0),
                (Kind::Inflater, &[MADE, NEW, TAKE, "a.Bad.x", "a.Main.m"], 3, 3, 0, 0),
            ])
        };
        let [x, y] = ["x", "y"].map(str::to_owned);
        assert_eq!(of(5), [(vec![x.clone(), x], 5), (vec![y], 0)]);
        // As long as nothing is lost, the pool is one finding.
        assert_eq!(of(0), [(vec!["newPooled".to_owned(); 3], 0)]);
    }

    #[test]
    fn double_ends_are_listed_by_line_most_often_first() {
        const END: &str = "java.util.zip.Inflater.end";
        let session = crate::testing::Recording::default();
        let again = |kind, frames: &[&str], times| {
            let double_end = session.learn_double_end(kind, stack(frames)).unwrap();
            (0..times).for_each(|_| session.record_double_end(double_end).unwrap());
        };
        again(
            Kind::Inflater,
            &[END, "java.util.zip.InflaterInputStream.close", "a.B.c", "a.D.e"],
            2,
        );
        again(
            Kind::Inflater,
            &[END, "java.util.zip.InflaterInputStream.close", "a.B.c", "a.D.f"],
            3,
        );
        again(Kind::Deflater, &[END, "a.G.h"], 4);
        again(Kind::Inflater, &[END], 4);
        let stacks = session.snapshot(Nanos(0), Duration::ZERO).unwrap().ended_again;
        let lines_found = double_ends(&stacks).unwrap();
        let lines: Vec<_> =
            lines_found.iter().map(|e| (e.kind, e.times, e.frame.method.as_str())).collect();
        assert_eq!(
            lines,
            [(Kind::Inflater, 5, "c"), (Kind::Deflater, 4, "h"), (Kind::Inflater, 4, "end")],
            "{lines_found:?}"
        );
        let sums: Vec<_> =
            together(lines_found.iter().chain(&lines_found).map(|e| (&e.frame, e.kind, e.times)))
                .unwrap()
                .iter()
                .map(|e| e.times)
                .collect();
        assert_eq!(sums, [10, 8, 8]);
    }
}
