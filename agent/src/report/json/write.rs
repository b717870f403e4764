//! A report into JSON.
//!
//! Invariant: what follows from other fields is written too (sums, words, severity), and always agrees with them.

use super::{memory, wire};
use crate::classify::{Judged, Severity, Totals};
use crate::event::{Frame, Kind, Nanos};
use crate::growth::{Point, Trend};
use crate::ledger::Tally;
use crate::places::places;
use crate::report::{Health, Report, millis};
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

/// The report as one JSON document with a line break at its end.
pub(in crate::report) fn render(report: &Report) -> Vec<u8> {
    let mut hints = hints(report);
    let root = wire::Root {
        schema: wire::SCHEMA.into(),
        tool: wire::Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() },
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
            adopted: adopted(report),
        },
        baseline: report.baseline.as_ref().map(|baseline| wire::Baseline {
            file: baseline.file.as_str().into(),
            taken: seconds(baseline.taken),
            sites: baseline.sites,
            known: baseline.known,
        }),
        native: Some(memory::native(&report.native)),
        retention_pause_seconds: report.retention.stood_still.map(|time| time.as_secs_f64()),
        sites: report
            .judgement
            .sites
            .iter()
            .map(|judged| site(report, judged, hints.remove(&judged.site.stable_id)))
            .collect(),
        ended_again: report
            .enders
            .iter()
            .map(|ender| wire::Ender {
                kind: ender.kind.name().into(),
                times: ender.times,
                frame: frame(&ender.frame),
            })
            .collect(),
        rules: report
            .rules
            .iter()
            .zip(report.judgement.covered.iter().zip(&report.judgement.excess))
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
        health: health(&report.health),
    };
    // Strings, finite numbers and string keys: there is nothing in it that serde_json can refuse.
    let mut bytes =
        serde_json::to_vec_pretty(&root).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}").into());
    bytes.push(b'\n');
    bytes
}

fn kind(report: &Report, kind: Kind) -> wire::Kind {
    let totals = report.judgement.totals.get(kind);
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
        let trend = report.growth.adopted(kind);
        let tally = report.adopted.get(kind);
        wire::AdoptedKind {
            counts: wire::AdoptedCounts::default().plus(tally, report.native.bytes(kind, tally.live)),
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
        sum: Kind::ALL.into_iter().fold(wire::AdoptedCounts::default(), sum),
        inflater: of_kind(Kind::Inflater),
        deflater: of_kind(Kind::Deflater),
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

fn tendency(trend: Option<&Trend>) -> Option<&'static str> {
    Some(trend?.tendency()?.way.name())
}

fn points(report: &Report, trend: Option<Trend>) -> Vec<wire::Point> {
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
    }
}

/// What to change, by site: a place's sentence stands with each of its sites where something is left open.
fn hints(report: &Report) -> HashMap<u64, String> {
    let mut hints = HashMap::new();
    for place in places(&report.judgement.sites) {
        if let Some(hint) = report.hint(&place) {
            let open = place.sites.iter().filter(|site| site.verdict.severity() != Severity::Clean);
            hints.extend(open.map(|site| (site.site.stable_id, hint.clone())));
        }
    }
    hints
}

fn site<'a>(report: &'a Report, judged: &'a Judged, hint: Option<String>) -> wire::Site<'a> {
    let (verdict, tally) = (&judged.verdict, &judged.verdict.tally);
    let trend = report.growth.trend(judged.site.stable_id);
    wire::Site {
        id: format!("{:016x}", judged.site.stable_id).into(),
        kind: judged.site.kind.name().into(),
        class: judged.site.subclass.as_deref().map(Cow::from),
        severity: verdict.severity().name(),
        summary: verdict.ratio(),
        hint,
        counts: wire::Counts {
            created: tally.counts.created,
            ended: tally.counts.ended,
            late: tally.counts.late,
            collected: tally.counts.collected,
            live: tally.live,
            expected: verdict.expected,
            ended_by_other_thread: tally.counts.ended_elsewhere,
        },
        leaked: Some(verdict.leaked),
        suspects: Some(verdict.suspects),
        known: wire::Known { leaked: verdict.known.leaked, suspects: verdict.known.suspects },
        bytes_held: verdict.bytes_held(),
        lateness_seconds: verdict.lateness_seconds(),
        lateness_byte_seconds: verdict.lateness(),
        oldest_live_seconds: age(report, tally.oldest),
        youngest_live_seconds: age(report, tally.youngest),
        young: tally.young,
        tendency: tendency(trend.as_ref()),
        trend: points(report, trend),
        threads: judged.site.threads().into_iter().map(Cow::from).collect(),
        rule: judged.rule.and_then(|rule| report.rules.get(rule)).map(|rule| rule.text.as_str().into()),
        truncated: judged.site.truncated,
        frames: judged.site.frames().map(frame).collect(),
        retention: report.retention.of(judged.site.stable_id).iter().map(memory::held).collect(),
    }
}

fn frame(frame: &Frame) -> wire::Frame<'_> {
    wire::Frame {
        class: frame.class.as_str().into(),
        method: frame.method.as_str().into(),
        file: frame.file.as_deref().map(Cow::from),
        line: frame.line,
    }
}

fn health(health: &Health) -> wire::Health<'_> {
    wire::Health {
        ok: health.ok(),
        missing_hooks: Cow::Borrowed(&health.gaps.missing_hooks),
        dropped: Cow::Borrowed(&health.gaps.dropped),
        unreadable: Cow::Borrowed(&health.gaps.unreadable),
        unsettled: health.gaps.unsettled.as_deref().map(Cow::from),
        sums_off: health.sums_off,
        overflowed_stacks: health.overflowed,
        truncated_sites: health.truncated_sites,
    }
}

/// Seconds since 1970, to the millisecond.
fn seconds(time: SystemTime) -> f64 {
    millis(time) as f64 / 1e3
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
