//! A report into JSON.
//!
//! Invariant: what follows from other fields is written too (sums, words, severity), and always
//! agrees with them.

use super::{memory, wire};
use crate::analysis::classify::{ClassifiedSite, Others, Severity, SiteStats, Totals};
use crate::analysis::findings::{Finding, findings};
use crate::analysis::hints::Hint;
use crate::analysis::history::{Point, Series, Trend};
use crate::escape;
use crate::ledger::Tally;
use crate::model::{Frame, Kind, Nanos, OutOfMemory, push};
use crate::report::out::{Listed, Out};
use crate::report::tree::{Node, Tree};
use crate::report::{Report, millis};
use std::borrow::Cow;
use std::io::{self, BufWriter, Write as _};
use std::time::SystemTime;

/// Writes the report as one JSON document with a line break at its end.
pub(in crate::report) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = Out::new(to);
    let (hints, stacks) = (Hints::of(report)?, Stacks::of(report)?);
    let sites = report.classification.sites.iter().zip(&stacks.leaves);
    let root =
        wire::Root {
            schema: wire::SCHEMA.into(),
            tool: wire::Tool { name: "zaudit".into(), version: env!("CARGO_PKG_VERSION").into() },
            process: wire::Process {
                pid: report.process.pid,
                jvm: report.process.jvm.as_str().into(),
                command: report.process.command.as_str().into(),
                options: report.process.options.as_str().into(),
                started: seconds(report.process.started),
                taken: seconds(report.process.taken),
                armed_seconds: report.age_seconds,
                from_start: report.process.from_start,
                trigger: report.process.trigger.name().into(),
                number: report.process.number,
                rss_bytes: report.process.rss_bytes,
                reports: report.process.reports,
            },
            totals: wire::Totals {
                inflater: kind(report, Kind::Inflater),
                deflater: kind(report, Kind::Deflater),
                zip_entry: kind(report, Kind::ZipEntry),
                adopted: adopted(report),
            },
            baseline: report.baseline.as_ref().map(|baseline| wire::Baseline {
                file: baseline.file.as_str().into(),
                taken: seconds(baseline.taken),
                sites: baseline.sites,
                known: baseline.known,
            }),
            native: Some(memory::native(&report.native)),
            retention_pause_seconds: report.retention.pause.map(|time| time.as_secs_f64()),
            sites: Listed(sites.map(|(classified, leaf)| {
                site(report, classified, hints.of_site(classified), *leaf)
            })),
            other_sites: wire::OtherSites {
                inflater: others(report, Kind::Inflater),
                deflater: others(report, Kind::Deflater),
                zip_entry: others(report, Kind::ZipEntry),
            },
            frame_table: Listed(stacks.tree.frames.iter().map(|listed| frame(listed))),
            stack_table: wire::StackTable {
                frame: Listed(stacks.tree.nodes.iter().map(|(_, frame)| *frame)),
                caller: Listed(stacks.tree.nodes.iter().map(|(caller, _)| number(*caller))),
            },
            ended_again: report
                .double_ends
                .iter()
                .map(|double_end| wire::DoubleEnd {
                    kind: double_end.kind.name().into(),
                    times: double_end.times,
                    frame: frame(&double_end.frame),
                })
                .collect(),
            rules: report
                .rules
                .iter()
                .zip(report.classification.covered.iter().zip(&report.classification.excess))
                .map(|(rule, (matched, excess))| wire::Rule {
                    text: rule.text.as_str().into(),
                    built_in: rule.built_in,
                    source: rule.source.as_str().into(),
                    matched: *matched,
                    max: rule.max,
                    excess: *excess,
                    over: *excess > 0,
                })
                .collect(),
            health: health(report),
        };
    // The serializer writes each quotation mark and each indent by itself.
    let mut pieces = BufWriter::new(escape::Json::new(&mut out));
    let result = serde_json::to_writer_pretty(&mut pieces, &root)
        .and_then(|()| pieces.flush().map_err(serde_json::Error::io));
    drop(pieces);
    out.serialized(result);
    out.push('\n');
    out.finish()
}

/// The stacks of clean sites, which refer to the tables: those of leaks and suspects stand with
/// their sites.
struct Stacks<'a> {
    tree: Tree<'a>,
    /// Of each site.
    leaves: Vec<Option<u32>>,
}

impl<'a> Stacks<'a> {
    fn of(report: &'a Report) -> Result<Stacks<'a>, OutOfMemory> {
        let sites = &report.classification.sites;
        let mut stacks = Stacks { tree: Tree::default(), leaves: Vec::new() };
        stacks.leaves.try_reserve_exact(sites.len())?;
        for classified in sites {
            let leaf = match classified.stats.severity() {
                Severity::Clean => number(stacks.tree.add(classified.site.outermost_first())?),
                _ => None,
            };
            stacks.leaves.push(leaf);
        }
        Ok(stacks)
    }
}

fn threads(classified: &ClassifiedSite) -> Vec<Cow<'static, str>> {
    classified.site.threads().iter().map(|name| name.to_string().into()).collect()
}

/// The number of a node in the table, which has no root.
fn number(node: Node) -> Option<u32> {
    node.checked_sub(1)
}

/// The hint of each site that is a leak or a suspect: that of its finding.
struct Hints<'a> {
    report: &'a Report,
    findings: Vec<(Finding<'a>, Option<Trend>)>,
    /// The finding of each such site, sorted by the id of the site.
    by_site: Vec<(u64, usize)>,
}

impl<'a> Hints<'a> {
    fn of(report: &'a Report) -> Result<Hints<'a>, OutOfMemory> {
        let mut hints = Hints { report, findings: Vec::new(), by_site: Vec::new() };
        for finding in findings(&report.classification.sites)? {
            let at = hints.findings.len();
            for classified in
                finding.sites.iter().filter(|site| site.stats.severity() != Severity::Clean)
            {
                push(&mut hints.by_site, (classified.site.stable_id, at))?;
            }
            let tendency = report.tendency(&finding);
            push(&mut hints.findings, (finding, tendency))?;
        }
        hints.by_site.sort_unstable();
        Ok(hints)
    }

    fn of_site(&self, classified: &ClassifiedSite) -> Option<Hint> {
        let found =
            self.by_site.binary_search_by_key(&classified.site.stable_id, |(id, _)| *id).ok()?;
        let (finding, tendency) = self.findings.get(self.by_site.get(found)?.1)?;
        self.report.hint_given(finding, *tendency)
    }
}

fn kind(report: &Report, kind: Kind) -> wire::Kind {
    let totals = report.classification.totals.get(kind);
    wire::Kind {
        counts: counts(totals),
        ended_again: *report.ended_again.get(kind),
        ended_unknown: *report.ended_unknown.get(kind),
        bytes_each: *report.native.each.get(kind),
        bytes_held: report.native.bytes(kind, totals.live),
    }
}

fn adopted(report: &Report) -> wire::Adopted {
    let of_kind = |kind| {
        let trend = report.history.adopted(kind);
        let tally = report.adopted.get(kind);
        wire::AdoptedKind {
            counts: wire::AdoptedCounts::default()
                .plus(tally, report.native.bytes(kind, tally.live)),
            oldest_live_seconds: age(report, tally.oldest),
            youngest_live_seconds: age(report, tally.youngest),
            tendency: tendency(trend.as_ref()),
            trend: points(report, trend),
        }
    };
    let sum = |sum: wire::AdoptedCounts, kind: Kind| {
        let tally = report.adopted.get(kind);
        sum.plus(tally, report.native.bytes(kind, tally.live))
    };
    wire::Adopted {
        sum: Kind::CLASSES.into_iter().fold(wire::AdoptedCounts::default(), sum),
        inflater: of_kind(Kind::Inflater),
        deflater: of_kind(Kind::Deflater),
        zip_entry: of_kind(Kind::ZipEntry),
    }
}

impl wire::AdoptedCounts {
    fn plus(self, tally: &Tally, bytes_held: u64) -> wire::AdoptedCounts {
        wire::AdoptedCounts {
            found: self.found + tally.counts.created,
            ended: self.ended + tally.counts.ended,
            late: self.late + tally.counts.late,
            collected: self.collected + tally.counts.collected,
            live: self.live + tally.live,
            bytes_held: self.bytes_held + bytes_held,
        }
    }
}

fn age(report: &Report, made: Option<Nanos>) -> Option<f64> {
    Some(report.snapshot_nanos.since(made?).as_secs_f64())
}

fn tendency(trend: Option<&Series>) -> Option<&'static str> {
    Some(trend?.tendency()?.way.name())
}

fn points(report: &Report, trend: Option<Series>) -> Vec<wire::Point> {
    let point = |point: &Point| wire::Point {
        seconds: point.at.since(report.process.armed).as_secs_f64(),
        live: point.live,
    };
    trend.map(|trend| trend.points.iter().map(point).collect()).unwrap_or_default()
}

fn counts(totals: &Totals) -> wire::Counts {
    wire::Counts {
        created: totals.created,
        ended: totals.ended,
        late: totals.late,
        collected: totals.collected,
        live: totals.live,
        expected: totals.expected,
        ended_by_other_thread: totals.ended_elsewhere,
        ended_with_file: totals.ended_with_file,
    }
}

fn others(report: &Report, kind: Kind) -> Option<wire::Others> {
    let Others { sites, truncated, stats } = report.classification.others.get(kind).as_ref()?;
    Some(wire::Others {
        sites: *sites,
        truncated_sites: *truncated,
        counts: counts_of(stats),
        bytes_held: stats.bytes_held(),
        lateness_seconds: stats.lateness_seconds(),
        lateness_byte_seconds: stats.lateness(),
        young: stats.tally.young,
    })
}

fn counts_of(stats: &SiteStats) -> wire::Counts {
    let tally = &stats.tally;
    wire::Counts {
        created: tally.counts.created,
        ended: tally.counts.ended,
        late: tally.counts.late,
        collected: tally.counts.collected,
        live: tally.live,
        expected: stats.expected,
        ended_by_other_thread: tally.counts.ended_elsewhere,
        ended_with_file: tally.counts.ended_with_file,
    }
}

/// `stack` is the number of its innermost frame in the stack table, if it refers to that.
fn site<'a>(
    report: &'a Report,
    classified: &'a ClassifiedSite,
    hint: Option<Hint>,
    stack: Option<u32>,
) -> wire::Site<'a> {
    let (stats, tally) = (&classified.stats, &classified.stats.tally);
    let trend = report.history.trend(classified.site.stable_id);
    wire::Site {
        id: format!("{:016x}", classified.site.stable_id).into(),
        kind: classified.site.kind.name().into(),
        class: classified.site.subclass.as_deref().map(Cow::from),
        severity: stats.severity().name(),
        summary: stats.ratio(),
        hint_id: hint.as_ref().map(|hint| hint.id),
        hint: hint.map(|hint| hint.message),
        counts: counts_of(stats),
        leaked: Some(stats.leaked),
        suspects: Some(stats.suspects),
        known: wire::Known { leaked: stats.known.leaked, suspects: stats.known.suspects },
        bytes_held: stats.bytes_held(),
        lateness_seconds: stats.lateness_seconds(),
        lateness_byte_seconds: stats.lateness(),
        oldest_live_seconds: age(report, tally.oldest),
        youngest_live_seconds: age(report, tally.youngest),
        young: tally.young,
        tendency: tendency(trend.as_ref()),
        trend: points(report, trend),
        threads: threads(classified),
        rule: classified
            .rule
            .and_then(|rule| report.rules.get(rule))
            .map(|rule| rule.text.as_str().into()),
        truncated: classified.site.truncated,
        frames: match stack {
            None => classified.site.frames().map(frame).collect(),
            Some(_) => Vec::new(),
        },
        stack,
        retention: report
            .retention
            .of(classified.site.stable_id)
            .iter()
            .map(memory::held)
            .collect(),
    }
}

fn frame(frame: &Frame) -> wire::Frame<'_> {
    wire::Frame {
        class: frame.class.as_str().into(),
        method: frame.method.as_str().into(),
        file: frame.file.as_deref().map(Cow::from),
        line: frame.line,
        jdk: Some(frame.jdk),
    }
}

fn health(report: &Report) -> wire::Health<'_> {
    let health = &report.health;
    wire::Health {
        ok: health.ok(),
        missing_hooks: Cow::Borrowed(&health.gaps.missing_hooks),
        dropped: Cow::Borrowed(&health.gaps.dropped),
        unreadable: Cow::Borrowed(&health.gaps.unreadable),
        unsettled: health.gaps.unsettled.as_deref().map(Cow::from),
        sums_off: health.sums_off,
        overflowed_stacks: health.overflowed,
        truncated_sites: health.truncated_sites,
        sites_left_out: report.classification.sites_left_out(),
        walk: wire::Walk {
            state: health.walk.state.name().into(),
            reason: health.walk.reason.as_deref().map(Cow::from),
            stacks: health.walk.stacks,
            fallbacks: Cow::Borrowed(&health.walk.fallbacks),
            compared: health.walk.compared,
            mismatches: health.walk.mismatches,
            frozen: wire::FrozenWalk {
                state: health.walk.frozen.state.name().into(),
                reason: health.walk.frozen.reason.as_deref().map(Cow::from),
                stacks: health.walk.frozen.stacks,
                compared: health.walk.frozen.compared,
                mismatches: health.walk.frozen.mismatches,
            },
        },
    }
}

/// Seconds since 1970, to the millisecond.
fn seconds(time: SystemTime) -> f64 {
    millis(time) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use crate::options::Format;
    use crate::report::tests::{golden, rendered, sample};

    #[test]
    fn as_the_golden_has_it() {
        let bytes = rendered(&sample(), Format::Json);
        let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
        let text = String::from_utf8(bytes).unwrap().replace(&version, "\"version\": \"VERSION\"");
        golden("report.json", text.as_bytes());
    }

    #[test]
    fn hostile_names_stay_inside_their_strings() {
        use crate::model::{Frame, Kind, Stack, ThreadId};
        let session = crate::testing::Recording::default();
        let name = "a\"},\\\u{0}\u{1b}[31m</script>\u{1F600}";
        let frame = Frame { file: Some(name.into()), ..Frame::named(name, name) };
        let stack = Stack { frames: vec![frame], truncated: false, subclass: Some(name.into()) };
        let site = session.learn(Kind::Inflater, stack).unwrap();
        session.name_thread(site, name.into());
        session.record_created(session.id(), site, ThreadId(1), crate::model::Nanos(0)).unwrap();
        let bytes = rendered(&crate::report::tests::report(&session), Format::Json);
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read["sites"][0]["frames"][0]["method"], name);
        assert_eq!(read["sites"][0]["class"], name);
        assert_eq!(read["sites"][0]["threads"][0], name);
    }
}
