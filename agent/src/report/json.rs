//! The JSON report, `zaudit-report/1`: the contract of `docs/json-report.md`.
//!
//! Fields are added, never renamed. Invariant: all that the text report says can be found in here.

use super::{Health, Report};
use crate::classify::{Judged, Severity, Totals};
use crate::event::{Frame, Kind, Nanos};
use crate::growth::{Point, Trend};
use crate::ledger::Tally;
use crate::native::Native;
use crate::retention::{Held, Weak};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
struct Root<'a> {
    schema: &'static str,
    tool: Tool,
    process: ProcessJson<'a>,
    totals: TotalsJson,
    native: NativeJson<'a>,
    retention_pause_seconds: Option<f64>,
    sites: Vec<SiteJson<'a>>,
    rules: Vec<RuleJson<'a>>,
    health: HealthJson<'a>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct ProcessJson<'a> {
    pid: u32,
    jvm: &'a str,
    command: &'a str,
    started: f64,
    taken: f64,
    armed_seconds: f64,
    from_start: bool,
    trigger: &'static str,
    number: Option<u32>,
    rss_bytes: Option<u64>,
}

#[derive(Serialize)]
struct NativeJson<'a> {
    zlib: &'a str,
    measured: bool,
    inflater: BytesJson,
    deflater: BytesJson,
}

#[derive(Serialize)]
struct BytesJson {
    fresh: u64,
    used: u64,
}

#[derive(Serialize)]
struct Counts {
    created: u64,
    ended: u64,
    late: u64,
    collected: u64,
    live: u64,
    expected: u64,
    ended_by_other_thread: u64,
}

#[derive(Serialize)]
struct TotalsJson {
    inflater: KindJson,
    deflater: KindJson,
    adopted: AdoptedJson,
}

#[derive(Serialize)]
struct AdoptedJson {
    #[serde(flatten)]
    sum: AdoptedCounts,
    inflater: AdoptedKind,
    deflater: AdoptedKind,
}

#[derive(Serialize)]
struct AdoptedKind {
    #[serde(flatten)]
    counts: AdoptedCounts,
    oldest_live_seconds: Option<f64>,
    youngest_live_seconds: Option<f64>,
    tendency: Option<&'static str>,
    trend: Vec<PointJson>,
}

#[derive(Default, Serialize)]
struct AdoptedCounts {
    found: u64,
    ended: u64,
    late: u64,
    collected: u64,
    live: u64,
    bytes_held: u64,
}

#[derive(Serialize)]
struct PointJson {
    seconds: f64,
    live: u64,
}

#[derive(Serialize)]
struct KindJson {
    #[serde(flatten)]
    counts: Counts,
    ended_again: u64,
    ended_unknown: u64,
    bytes_each: u64,
    bytes_held: u64,
}

#[derive(Serialize)]
struct SiteJson<'a> {
    id: String,
    kind: &'static str,
    class: Option<&'a str>,
    severity: &'static str,
    summary: String,
    #[serde(flatten)]
    counts: Counts,
    bytes_held: u64,
    lateness_byte_seconds: f64,
    oldest_live_seconds: Option<f64>,
    youngest_live_seconds: Option<f64>,
    young: u64,
    tendency: Option<&'static str>,
    trend: Vec<PointJson>,
    threads: Vec<String>,
    rule: Option<&'a str>,
    truncated: bool,
    frames: Vec<FrameJson<'a>>,
    retention: Vec<HeldJson<'a>>,
}

/// What holds a live stream: exactly one of a way, `unreachable`, and why it is not known.
#[derive(Default, Serialize)]
struct HeldJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
}

#[derive(Serialize)]
struct FrameJson<'a> {
    class: &'a str,
    method: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    text: &'a str,
    built_in: bool,
    matched: u64,
}

#[derive(Serialize)]
struct HealthJson<'a> {
    ok: bool,
    missing_hooks: &'a BTreeSet<String>,
    dropped: &'a BTreeMap<&'static str, u64>,
    unreadable: &'a BTreeMap<&'static str, u64>,
    unsettled: Option<&'a str>,
    sums_off: u64,
    overflowed_stacks: u64,
    truncated_sites: u64,
}

/// The report as one JSON document with a line break at its end.
pub(super) fn render(report: &Report) -> Vec<u8> {
    let root = Root {
        schema: "zaudit-report/1",
        tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        process: ProcessJson {
            pid: report.process.pid,
            jvm: &report.process.jvm,
            command: &report.process.command,
            started: seconds(report.process.started),
            taken: seconds(report.process.taken),
            armed_seconds: report.age_seconds,
            from_start: report.process.from_start,
            trigger: report.process.trigger.name(),
            number: report.process.number,
            rss_bytes: report.process.rss_bytes,
        },
        totals: TotalsJson {
            inflater: kind(report, Kind::Inflater),
            deflater: kind(report, Kind::Deflater),
            adopted: adopted(report),
        },
        native: native(&report.native),
        retention_pause_seconds: report.retention.stood_still.map(|time| time.as_secs_f64()),
        sites: report.judgement.sites.iter().map(|judged| site(report, judged)).collect(),
        rules: report
            .rules
            .iter()
            .zip(&report.judgement.covered)
            .map(|(rule, matched)| RuleJson { text: &rule.text, built_in: rule.built_in, matched: *matched })
            .collect(),
        health: health(&report.health),
    };
    // Strings, finite numbers and string keys: there is nothing in it that serde_json can refuse.
    let mut bytes =
        serde_json::to_vec_pretty(&root).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}").into());
    bytes.push(b'\n');
    bytes
}

fn native(native: &Native) -> NativeJson<'_> {
    let bytes = |kind| BytesJson { fresh: *native.fresh.get(kind), used: *native.each.get(kind) };
    NativeJson {
        zlib: &native.zlib,
        measured: native.measured,
        inflater: bytes(Kind::Inflater),
        deflater: bytes(Kind::Deflater),
    }
}

fn kind(report: &Report, kind: Kind) -> KindJson {
    let totals = report.judgement.totals.get(kind);
    KindJson {
        counts: counts(totals),
        ended_again: *report.ended_again.get(kind),
        ended_unknown: *report.ended_unknown.get(kind),
        bytes_each: *report.native.each.get(kind),
        bytes_held: report.native.bytes(kind, totals.live),
    }
}

fn adopted(report: &Report) -> AdoptedJson {
    let of_kind = |kind| {
        let trend = report.growth.adopted(kind);
        let tally = report.adopted.get(kind);
        AdoptedKind {
            counts: AdoptedCounts::default().plus(tally, report.native.bytes(kind, tally.live)),
            oldest_live_seconds: age(report, tally.oldest),
            youngest_live_seconds: age(report, tally.youngest),
            tendency: tendency(trend.as_ref()),
            trend: points(report, trend),
        }
    };
    let sum = |sum: AdoptedCounts, kind: Kind| {
        let tally = report.adopted.get(kind);
        sum.plus(tally, report.native.bytes(kind, tally.live))
    };
    AdoptedJson {
        sum: Kind::ALL.into_iter().fold(AdoptedCounts::default(), sum),
        inflater: of_kind(Kind::Inflater),
        deflater: of_kind(Kind::Deflater),
    }
}

impl AdoptedCounts {
    fn plus(self, tally: &Tally, bytes_held: u64) -> AdoptedCounts {
        AdoptedCounts {
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

fn tendency(trend: Option<&Trend>) -> Option<&'static str> {
    Some(trend?.tendency()?.way.name())
}

fn points(report: &Report, trend: Option<Trend>) -> Vec<PointJson> {
    let point = |point: &Point| PointJson {
        seconds: point.at.since(report.process.armed).as_secs_f64(),
        live: point.live,
    };
    trend.map(|trend| trend.points.iter().map(point).collect()).unwrap_or_default()
}

fn counts(totals: &Totals) -> Counts {
    Counts {
        created: totals.created,
        ended: totals.ended,
        late: totals.late,
        collected: totals.collected,
        live: totals.live,
        expected: totals.expected,
        ended_by_other_thread: totals.ended_elsewhere,
    }
}

fn site<'a>(report: &'a Report, judged: &'a Judged) -> SiteJson<'a> {
    let (verdict, tally) = (&judged.verdict, &judged.verdict.tally);
    let trend = report.growth.trend(judged.site.stable_id);
    SiteJson {
        id: format!("{:016x}", judged.site.stable_id),
        kind: judged.site.kind.name(),
        class: judged.site.subclass.as_deref(),
        severity: match verdict.severity() {
            Severity::Leak => "leak",
            Severity::Suspect => "suspect",
            Severity::Clean => "clean",
        },
        summary: verdict.ratio(),
        counts: Counts {
            created: tally.counts.created,
            ended: tally.counts.ended,
            late: tally.counts.late,
            collected: tally.counts.collected,
            live: tally.live,
            expected: verdict.expected,
            ended_by_other_thread: tally.counts.ended_elsewhere,
        },
        bytes_held: verdict.bytes_held(),
        lateness_byte_seconds: verdict.lateness(),
        oldest_live_seconds: age(report, tally.oldest),
        youngest_live_seconds: age(report, tally.youngest),
        young: tally.young,
        tendency: tendency(trend.as_ref()),
        trend: points(report, trend),
        threads: judged.site.threads(),
        rule: judged.rule.and_then(|rule| report.rules.get(rule)).map(|rule| rule.text.as_str()),
        truncated: judged.site.truncated,
        frames: judged.site.frames().map(frame).collect(),
        retention: report.retention.of(judged.site.stable_id).iter().map(held).collect(),
    }
}

fn held(held: &Held) -> HeldJson<'_> {
    match held {
        Held::By { root, path } => HeldJson { root: Some(root), path: Some(path), ..HeldJson::default() },
        Held::Nothing(weak) => {
            HeldJson { unreachable: Some(true), reference: weak.map(Weak::name), ..HeldJson::default() }
        }
        Held::Unknown(why) => HeldJson { unknown: Some(why), ..HeldJson::default() },
    }
}

fn frame(frame: &Frame) -> FrameJson<'_> {
    FrameJson { class: &frame.class, method: &frame.method, file: frame.file.as_deref(), line: frame.line }
}

fn health(health: &Health) -> HealthJson<'_> {
    HealthJson {
        ok: health.ok(),
        missing_hooks: &health.gaps.missing_hooks,
        dropped: &health.gaps.dropped,
        unreadable: &health.gaps.unreadable,
        unsettled: health.gaps.unsettled.as_deref(),
        sums_off: health.sums_off,
        overflowed_stacks: health.overflowed,
        truncated_sites: health.truncated_sites,
    }
}

/// Seconds since 1970, to the millisecond.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{golden, sample};

    #[test]
    fn as_the_golden_has_it() {
        let bytes = render(&sample());
        let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
        let text = String::from_utf8(bytes).unwrap().replace(&version, "\"version\": \"VERSION\"");
        golden("report.json", text.as_bytes());
    }

    #[test]
    fn hostile_names_stay_inside_their_strings() {
        use crate::event::{Frame, Kind, Stack, StackKey, ThreadId};
        let session = crate::session::Session::default();
        let name = "a\"},\\\u{0}\u{1b}[31m</script>\u{1F600}";
        let frame = Frame { class: name.into(), method: name.into(), file: Some(name.into()), line: None };
        let stack = Stack { frames: vec![frame], truncated: false, subclass: Some(name.into()) };
        let site = session.learn(Kind::Inflater, StackKey(1), stack);
        session.name_thread(site, name.into());
        session.created(session.id(ThreadId(1)), site, ThreadId(1), crate::event::Nanos(0));
        let bytes = render(&crate::report::tests::report(&session));
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read["sites"][0]["frames"][0]["method"], name);
        assert_eq!(read["sites"][0]["class"], name);
        assert_eq!(read["sites"][0]["threads"][0], name);
    }
}
