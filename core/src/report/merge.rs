//! One report out of several: a fleet's, or those of a build with many JVMs.
//!
//! Owns what can be summed and what cannot: trends are left out, for each run has its own time.
//! Invariant: every count is the sum of those before, so what added up still does.

use super::{Against, Health, Process, Report, StackWalk, WalkState};
use crate::analysis::classify::{Classification, ClassifiedSite, Others, SiteStats, Totals};
use crate::analysis::findings::{DoubleEnd, together};
use crate::analysis::footprint::Footprint;
use crate::analysis::retention::Retention;
use crate::analysis::rules::Rule;
use crate::ledger::Tally;
use crate::model::{Kind, PerKind, Trigger};
use crate::session::Gaps;
use crate::stacks::Site;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The largest sums: what [`Report::read`] takes, too.
const MOST: u64 = 1 << 53;
const MOST_OPEN: u64 = 1 << 40;

/// Values that are listed of a command, a JVM or options that differ.
const MAX_VALUES: usize = 5;

/// Sums reports that were read. Ages are compared, so all of them count time from their own
/// snapshot, as those that were read do.
pub fn merge(reports: &[Report]) -> Result<Report, String> {
    let (Some(first), Some(process)) = (reports.first(), process(reports)) else {
        return Err("no reports to merge".into());
    };
    let mut merged = Report {
        process,
        native: native(reports),
        age_seconds: reports.iter().map(|report| report.age_seconds).fold(0.0, f64::max),
        classification: Classification::default(),
        adopted: PerKind::default(),
        history: Arc::default(),
        baseline: baseline(reports),
        retention: retention(reports),
        rules: Vec::new(),
        ended_again: PerKind::default(),
        double_ends: double_ends(reports)?,
        ended_unknown: PerKind::default(),
        snapshot_nanos: first.snapshot_nanos,
        health: Health::default(),
    };
    let mut sites = Sites::default();
    for report in reports {
        let rules = merged.add_rules(report);
        for classified in &report.classification.sites {
            let rule = classified.rule.and_then(|rule| rules.get(rule)).copied();
            sites.add(classified, rule, *merged.native.each.get(classified.site.kind))?;
        }
        for kind in Kind::ALL {
            if let Some(more) = report.classification.others.get(kind) {
                let bytes_each = *merged.native.each.get(kind);
                let more = Others { stats: SiteStats { bytes_each, ..more.stats }, ..*more };
                sites.sum.add(&more.stats.tally);
                bounded(&sites.sum)?;
                Others::add(merged.classification.others.get_mut(kind), more);
            }
            merged.classification.totals.get_mut(kind).add(report.classification.totals.get(kind));
            merged.adopted.get_mut(kind).add(report.adopted.get(kind));
            *merged.ended_again.get_mut(kind) += report.ended_again.get(kind);
            *merged.ended_unknown.get_mut(kind) += report.ended_unknown.get(kind);
            bounded(merged.adopted.get(kind))?;
            let total = largest(merged.classification.totals.get(kind));
            let numbers = [total, *merged.ended_again.get(kind), *merged.ended_unknown.get(kind)];
            if numbers.into_iter().any(|number| number > MOST) {
                return Err(TOO_MANY.into());
            }
        }
        merged.classification.mismatches =
            merged.classification.mismatches.saturating_add(report.classification.mismatches);
        add_health(&mut merged.health, &report.health);
    }
    merged.classification.sites = sites.all;
    merged.classification.order();
    merged.classification.leave_out_clean();
    merged.health.truncated_sites = merged.classification.truncated_sites();
    if is_readable(&merged) { Ok(merged) } else { Err(TOO_MANY.into()) }
}

fn double_ends(reports: &[Report]) -> Result<Vec<DoubleEnd>, String> {
    let all = reports.iter().flat_map(|report| &report.double_ends);
    together(all.map(|double_end| (&double_end.frame, double_end.kind, double_end.times)))
        .map_err(|why| why.to_string())
}

const TOO_MANY: &str = "the sums are larger than a report allows";

fn largest(totals: &Totals) -> u64 {
    let Totals {
        created,
        ended,
        late,
        collected,
        live,
        expected,
        ended_elsewhere,
        ended_with_file,
    } = *totals;
    let ended = ended.max(ended_elsewhere).max(ended_with_file);
    created.max(ended).max(late).max(collected).max(live).max(expected)
}

fn bounded(tally: &Tally) -> Result<(), String> {
    let counts = &tally.counts;
    let fine = counts.created.max(counts.ended).max(counts.ended_elsewhere) <= MOST
        && counts.late + counts.collected + tally.live <= MOST_OPEN;
    if fine { Ok(()) } else { Err(TOO_MANY.into()) }
}

/// Whether the sums that are no counts of instances are as small as a reader of reports wants them.
fn is_readable(merged: &Report) -> bool {
    let Classification { sites, others, covered, excess, .. } = &merged.classification;
    let others = || Kind::ALL.into_iter().filter_map(|kind| others.get(kind).as_ref());
    let times = merged.double_ends.iter().map(|double_end| double_end.times);
    let mut numbers = covered
        .iter()
        .chain(excess)
        .copied()
        .chain(others().map(|others| others.sites))
        .chain(times);
    let stats = sites.iter().map(|site| &site.stats).chain(others().map(|others| &others.stats));
    let mut late = stats.map(|stats| stats.tally.counts.late_nanos);
    let most_nanos = u128::from(MOST) * 1_000_000_000;
    numbers.all(|number| number <= MOST) && late.all(|nanos| nanos <= most_nanos)
}

fn process(reports: &[Report]) -> Option<Process> {
    let each = || reports.iter().map(|report| &report.process);
    Some(Process {
        pid: 0,
        jvm: distinct(each().map(|process| process.jvm.as_str())),
        command: distinct(each().map(|process| process.command.as_str())),
        options: distinct(each().map(|process| process.options.as_str())),
        started: each().map(|process| process.started).min()?,
        armed: each().map(|process| process.armed).min()?,
        taken: each().map(|process| process.taken).max()?,
        from_start: each().all(|process| process.from_start),
        trigger: Trigger::Merge,
        number: None,
        rss_bytes: each()
            .map(|process| process.rss_bytes)
            .try_fold(0, |sum: u64, bytes| Some(sum.saturating_add(bytes?))),
        reports: each().map(|process| process.reports).fold(0, u32::saturating_add),
    })
}

/// What those that had a baseline knew, together.
fn baseline(reports: &[Report]) -> Option<Against> {
    let each = || reports.iter().filter_map(|report| report.baseline.as_ref());
    Some(Against {
        file: distinct(each().map(|baseline| baseline.file.as_str())),
        taken: each().map(|baseline| baseline.taken).max()?,
        sites: each().map(|baseline| baseline.sites).max()?,
        known: each().map(|baseline| baseline.known).fold(0, u64::saturating_add).min(MOST),
    })
}

/// The one value that all have, else some of them with how often each is there.
fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<(&str, usize)> = Vec::new();
    for value in values {
        match known.iter_mut().find(|(before, _)| *before == value) {
            Some((_, times)) => *times += 1,
            None => known.push((value, 1)),
        }
    }
    if let [(value, _)] = known.as_slice() {
        return (*value).to_owned();
    }
    let rest = known.len().saturating_sub(MAX_VALUES);
    let some = known.iter().take(MAX_VALUES).map(|(value, times)| format!("{times} × {value:?}"));
    let more = (rest > 0).then(|| format!("and {rest} others"));
    some.chain(more).collect::<Vec<_>>().join(", ")
}

/// Where zlibs differ, a mean that gives the bytes of all together.
fn native(reports: &[Report]) -> Footprint {
    let all = || reports.iter().map(|report| &report.native);
    let mut native = Footprint {
        zlib: distinct(all().map(|native| native.zlib.as_str())),
        measured: all().all(|native| native.measured),
        ..Footprint::default()
    };
    for kind in Kind::ALL {
        let (mut bytes, mut fresh, mut streams) = (0, 0, 0);
        for report in reports {
            let totals = report.classification.totals.get(kind);
            let open = totals.late + totals.collected + totals.live + report.adopted.get(kind).live;
            // If all were ended nothing is multiplied, but the figure is still shown.
            let weight = u128::from(open) * 1_000_000 + 1;
            bytes += weight * u128::from(*report.native.each.get(kind));
            fresh += weight * u128::from(*report.native.fresh.get(kind));
            streams += weight;
        }
        let mean = |bytes: u128| {
            (bytes + streams / 2).checked_div(streams).and_then(|mean| u64::try_from(mean).ok())
        };
        *native.each.get_mut(kind) = mean(bytes).unwrap_or_default();
        *native.fresh.get_mut(kind) = mean(fresh).unwrap_or_default();
    }
    native
}

/// Retaining paths of all reports; the longest of the pauses, for these may have been at the same
/// time.
fn retention(reports: &[Report]) -> Retention {
    let mut merged = Retention::default();
    for Retention { streams, pause } in reports.iter().map(|report| &report.retention) {
        for (site, held) in streams {
            merged.streams.entry(*site).or_default().extend(held.iter().cloned());
        }
        merged.pause = merged.pause.max(*pause);
    }
    merged
}

/// The sites so far, and where each is.
#[derive(Default)]
struct Sites {
    all: Vec<ClassifiedSite>,
    by_id: HashMap<u64, usize>,
    sum: Tally,
}

impl Sites {
    fn add(
        &mut self,
        classified: &ClassifiedSite,
        rule: Option<usize>,
        bytes_each: u64,
    ) -> Result<(), String> {
        self.sum.add(&classified.stats.tally);
        bounded(&self.sum)?;
        let stats = SiteStats { bytes_each, ..classified.stats };
        let next = self.all.len();
        let at = match self.by_id.entry(classified.site.stable_id) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => *free.insert(next),
        };
        match self.all.get_mut(at) {
            Some(known) => {
                known.stats.add(&stats);
                known.rule = known.rule.or(rule);
                known.site.name_threads(classified.site.threads().into_iter());
            }
            // A copy of its own: the report that it comes from keeps the names that it has.
            None => self.all.push(ClassifiedSite {
                site: Arc::new(Site::clone(&classified.site)),
                stats,
                rule,
            }),
        }
        Ok(())
    }
}

impl Report {
    /// Takes another report's rules in, and says where each of them is now.
    fn add_rules(&mut self, report: &Report) -> Vec<usize> {
        let finding = |(rule, (covered, excess)): (&Rule, (&u64, &u64))| {
            let known = self.rules.iter().position(|known| known.text == rule.text);
            let at = known.unwrap_or_else(|| {
                let none = rule.max.map(|_| 0);
                self.rules.push(Rule::from_report(&rule.text, rule.built_in, &rule.source, none));
                self.classification.covered.push(0);
                self.classification.excess.push(0);
                self.rules.len() - 1
            });
            // Each JVM had the whole maximum.
            let max = self.rules.get_mut(at).and_then(|known| known.max.as_mut()).into_iter();
            let covered = self.classification.covered.get_mut(at).into_iter().zip([*covered]);
            let excess = self.classification.excess.get_mut(at).into_iter().zip([*excess]);
            for (sum, more) in max.zip(rule.max).chain(covered).chain(excess) {
                *sum = sum.saturating_add(more);
            }
            at
        };
        let used = report.classification.covered.iter().zip(&report.classification.excess);
        report.rules.iter().zip(used).map(finding).collect()
    }
}

fn add_health(health: &mut Health, more: &Health) {
    let Gaps { missing_hooks, dropped, unreadable, unsettled } = &more.gaps;
    let gaps = &mut health.gaps;
    gaps.missing_hooks.extend(missing_hooks.iter().cloned());
    for (reasons, more) in [(&mut gaps.dropped, dropped), (&mut gaps.unreadable, unreadable)] {
        for (reason, number) in more {
            let sum = reasons.entry(reason.clone()).or_default();
            *sum = sum.saturating_add(*number);
        }
    }
    gaps.unsettled = match (gaps.unsettled.take(), unsettled) {
        (Some(said), Some(more)) if !said.contains(more.as_str()) => {
            Some(format!("{said}; {more}"))
        }
        (said, more) => said.or_else(|| more.clone()),
    };
    health.sums_off = health.sums_off.saturating_add(more.sums_off);
    health.overflowed = health.overflowed.saturating_add(more.overflowed);
    add_walk(&mut health.walk, &more.walk);
}

/// The state that matters most, with its reason.
fn add_walk(walk: &mut StackWalk, more: &StackWalk) {
    let rank = |state| WalkState::ALL.iter().position(|it| *it == state);
    if rank(more.state) > rank(walk.state) {
        (walk.state, walk.reason) = (more.state, more.reason.clone());
    }
    let (frozen, more_frozen) = (&mut walk.frozen, &more.frozen);
    if rank(more_frozen.state) > rank(frozen.state) {
        (frozen.state, frozen.reason) = (more_frozen.state, more_frozen.reason.clone());
    }
    for (sum, more) in [
        (&mut walk.stacks, more.stacks),
        (&mut walk.compared, more.compared),
        (&mut walk.mismatches, more.mismatches),
        (&mut frozen.stacks, more_frozen.stacks),
        (&mut frozen.compared, more_frozen.compared),
        (&mut frozen.mismatches, more_frozen.mismatches),
    ] {
        *sum = sum.saturating_add(more);
    }
    for (reason, number) in &more.fallbacks {
        let sum = walk.fallbacks.entry(reason.clone()).or_default();
        *sum = sum.saturating_add(*number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, session};
    use crate::options::Format;
    use crate::report::tests::{golden, rendered, report, sample};

    fn read(report: &Report) -> Report {
        Report::read(&rendered(report, Format::Json)).unwrap()
    }

    fn rendered_text(format: Format, report: &Report) -> String {
        let bytes = rendered(report, format);
        String::from_utf8(bytes).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn as_the_golden_has_it() {
        const CODEC: &[&str] = &[MADE, "org.acme.Codec.decode", "org.acme.Main.main"];
        let other = session(&[
            (Kind::Inflater, CODEC, 500, 490, 3, 2),
            (Kind::Inflater, &[MADE, "org.acme.New.x"], 2, 0, 0, 1),
        ]);
        other.record_dropped("no tag");
        let mut other = report(&other);
        other.process.command = "org.acme.Batch".into();
        other.native.each.inflater = 50_000;
        let merged = merge(&[read(&sample()), read(&other)]).unwrap();
        golden("merged.txt", rendered_text(Format::Text, &merged).as_bytes());
    }

    #[test]
    fn sums_are_those_of_the_parts() {
        let [one, other] = [read(&sample()), read(&sample())];
        let merged = merge(&[one, other]).unwrap();
        let sample = sample();
        assert_eq!(merged.process.reports, 2);
        assert_eq!(merged.classification.sites.len(), sample.classification.sites.len());
        for kind in Kind::ALL {
            let (sum, part) =
                (merged.classification.totals.get(kind), sample.classification.totals.get(kind));
            assert_eq!(
                (sum.created, sum.live, sum.expected),
                (2 * part.created, 2 * part.live, 2 * part.expected)
            );
            assert!(merged.adopted.get(kind).is_balanced());
            assert_eq!(
                merged.adopted.get(kind).counts.created,
                2 * sample.adopted.get(kind).counts.created
            );
            assert_eq!(merged.native.each.get(kind), sample.native.each.get(kind));
        }
        for (sum, part) in merged.classification.sites.iter().zip(&sample.classification.sites) {
            assert!(sum.stats.tally.is_balanced());
            assert_eq!(sum.site.stable_id, part.site.stable_id);
            assert_eq!(sum.stats.leaked, 2 * part.stats.leaked);
            assert_eq!(sum.stats.lateness(), 2.0 * part.stats.lateness());
            assert_eq!(sum.site.threads(), part.site.threads());
        }
        // It is a report like any other: it can be written, read, and merged again.
        let again = read(&merged);
        assert_eq!(rendered_text(Format::Json, &again), rendered_text(Format::Json, &merged));
        assert_eq!(merge(&[again, read(&sample)]).unwrap().process.reports, 3);
        // One alone stays what it is, but for the process and the trends.
        let alone = merge(&[read(&sample)]).unwrap();
        assert_eq!(alone.classification.totals, sample.classification.totals);
    }

    #[test]
    fn maxima_and_baselines_are_summed() {
        let known = sample().as_baseline("old.json");
        let snapshot = session(&[(Kind::Inflater, &[MADE, "a.Pool.x"], 21, 0, 0, 0)])
            .snapshot(crate::model::Nanos(7), Default::default())
            .unwrap();
        let rules = vec![Rule::parse("live:a.Pool.* max=16", false).unwrap()];
        let over =
            Report::new(sample().process, Footprint::default(), &snapshot, rules, Arc::default())
                .unwrap();
        let parts = [
            read(&over),
            read(&sample().against(&known)),
            read(&over),
            read(&sample().against(&known)),
        ];
        let merged = merge(&parts).unwrap();
        assert_eq!(
            (
                merged.rules[0].max,
                merged.classification.covered[0],
                merged.classification.excess[0]
            ),
            (Some(32), 32, 10)
        );
        let baseline = merged.baseline.as_ref().unwrap();
        assert_eq!((baseline.file.as_str(), baseline.sites, baseline.known), ("old.json", 4, 386));
        assert_eq!(
            rendered_text(Format::Json, &read(&merged)),
            rendered_text(Format::Json, &merged)
        );
        assert!(
            rendered_text(Format::Text, &merged).contains("over its maximum: 42 found, 32 allowed")
        );
    }

    #[test]
    fn bytes_are_weighed_where_zlibs_differ() {
        let part = |live, each| {
            let mut part = report(&session(&[(Kind::Inflater, &[MADE, "a.B.c"], live, 0, 0, 0)]));
            part.native.each.inflater = each;
            read(&part)
        };
        let merged = merge(&[part(30, 1_000), part(10, 2_000), part(0, 9_000)]).unwrap();
        assert_eq!(merged.native.each.inflater, 1_250);
        assert_eq!(merged.classification.sites[0].stats.bytes_held(), 50_000);
    }

    #[test]
    fn what_all_have_is_said_once() {
        assert_eq!(super::distinct(["a", "a"].into_iter()), "a");
        assert_eq!(super::distinct(["a", "b\n", "a"].into_iter()), "2 × \"a\", 1 × \"b\\n\"");
        let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert!(
            super::distinct(many.iter().map(String::as_str)).ends_with("1 × \"4\", and 4 others")
        );
    }

    #[test]
    fn sums_that_are_too_large_are_refused() {
        let json = rendered_text(
            Format::Json,
            &report(&session(&[(Kind::Inflater, &[MADE, "a.B.c"], 7, 0, 0, 0)])),
        );
        let huge = json
            .replace("\"created\": 7,", "\"created\": 700000000000,")
            .replace("\"live\": 7,", "\"live\": 700000000000,");
        let huge = Report::read(huge.as_bytes()).unwrap();
        assert!(merge(std::slice::from_ref(&huge)).is_ok());
        assert_eq!(merge(&[huge.clone(), huge]).unwrap_err(), TOO_MANY);
        assert!(merge(&[]).is_err());
    }

    /// What each report may say, but both together could not be read again.
    #[test]
    fn sums_beside_the_counts_are_refused_or_limited() {
        let json = rendered_text(Format::Json, &sample());
        let root: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut late = root["sites"].as_array().unwrap().iter();
        let late = late.position(|site| site["lateness_seconds"] != 0.0).unwrap();
        let late = format!("/sites/{late}/lateness_seconds");
        for (pointer, value) in [
            ("/totals/inflater/live", MOST.into()),
            ("/totals/inflater/ended_by_other_thread", MOST.into()),
            ("/rules/0/matched", MOST.into()),
            ("/rules/0/excess", MOST.into()),
            ("/ended_again/0/times", MOST.into()),
            (late.as_str(), serde_json::json!(MOST as f64)),
        ] {
            let mut root = root.clone();
            *root.pointer_mut(pointer).unwrap() = value;
            let report = Report::read(&serde_json::to_vec(&root).unwrap()).unwrap();
            assert!(merge(std::slice::from_ref(&report)).is_ok(), "{pointer}");
            assert_eq!(merge(&[report.clone(), report]).unwrap_err(), TOO_MANY, "{pointer}");
        }
        let large = |rss_bytes| {
            let mut report = sample();
            report.process.rss_bytes = rss_bytes;
            report
        };
        let rss = |parts: &[Report]| merge(parts).unwrap().process.rss_bytes;
        assert_eq!(rss(&[large(Some(u64::MAX)), large(Some(7))]), Some(u64::MAX));
        assert_eq!(rss(&[large(Some(1)), large(None)]), None);
        assert_eq!(rss(&[large(Some(1)), large(Some(2))]), Some(3));
    }
}
