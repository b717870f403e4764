//! Prometheus' text format, for the textfile collector of node_exporter.
//!
//! `docs/formats.md` says what each metric is for. Invariant: a report has samples of at most
//! [`FINDINGS`] findings, and every sample has the labels of its process, so that the files of
//! several JVMs can be read as one.

use super::out::Out;
use super::words::{brief, placed};
use super::{Report, millis};
use crate::analysis::classify::Severity;
use crate::analysis::findings::findings;
use crate::model::{Kind, OutOfMemory, Outcome, PerKind};
use std::fmt::Write as _;
use std::io;

/// Findings with metrics, worst first. Each is three time series.
const FINDINGS: usize = 20;

/// Characters of a label's value.
const LABEL: usize = 200;

pub(super) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let mut text = Exposition::of(report, to);
    text.process(report);
    text.kinds(report);
    text.findings(report)?;
    text.out.finish()
}

struct Exposition<'w> {
    out: Out<'w>,
    /// The labels of every sample.
    whose: String,
}

impl<'w> Exposition<'w> {
    fn of(report: &Report, to: &'w mut dyn io::Write) -> Exposition<'w> {
        let process = &report.process;
        let whose = format!("program={},pid=\"{}\"", quoted(process.program()), process.pid);
        Exposition { out: Out::new(to), whose }
    }

    fn head(&mut self, name: &str, metric_type: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {metric_type}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.out, "{name}{{{}{labels}}} {value}", self.whose);
    }

    fn process(&mut self, report: &Report) {
        let process = &report.process;
        self.head("zaudit_info", "gauge", "Version of zaudit and of the JVM; always 1.");
        let about =
            format!(",version=\"{}\",jvm={}", env!("CARGO_PKG_VERSION"), quoted(&process.jvm));
        self.sample("zaudit_info", &about, 1);
        for (name, help, value) in [
            (
                "zaudit_start_timestamp_seconds",
                "Time at which counting began: when the agent was armed, or its counts were reset.",
                seconds(millis(process.started)),
            ),
            (
                "zaudit_report_timestamp_seconds",
                "Time at which this report was taken.",
                seconds(millis(process.taken)),
            ),
            (
                "zaudit_last_report",
                "1 if this is the last report of the audit: the JVM exited, or the agent was disarmed.",
                u8::from(process.number.is_none()).to_string(),
            ),
            (
                "zaudit_health_ok",
                "1 if every count is exact: no event was missed.",
                u8::from(report.health.ok()).to_string(),
            ),
        ] {
            self.head(name, "gauge", help);
            self.sample(name, "", value);
        }
    }

    fn kinds(&mut self, report: &Report) {
        let totals = &report.classification.totals;
        let created = |kind| totals.get(kind).created.to_string();
        self.metric("created_total", "Instances created since counting began.", created);
        for outcome in Outcome::ALL {
            let help = format!("Instances {}.", outcome.description());
            self.metric(&metric_of(outcome), &help, |kind| {
                totals.get(kind).of(outcome).to_string()
            });
        }
        let expected = |kind| report.classification.totals.get(kind).expected.to_string();
        self.metric(
            "expected",
            "Of the late, collected and live instances: covered by a rule.",
            expected,
        );

        let mut sums: PerKind<(u64, u64, u128)> = PerKind::default();
        for stats in report.classification.all_stats() {
            let (leaked, suspects, late_nanos) = sums.get_mut(stats.kind);
            *leaked += stats.leaked;
            *suspects += stats.suspects;
            *late_nanos += stats.tally.counts.late_nanos;
        }
        self.metric("leaked", "Late and collected instances that no rule covers.", |kind| {
            sums.get(kind).0.to_string()
        });
        self.metric(
            "suspects",
            "Live instances that no rule covers and that are at least min_age old.",
            |kind| sums.get(kind).1.to_string(),
        );
        let lateness = |kind| {
            seconds(u64::try_from((sums.get(kind).2 + 500_000) / 1_000_000).unwrap_or(u64::MAX))
        };
        self.metric(
            "lateness_seconds_total",
            "Time for which late and collected instances kept their memory, summed up.",
            lateness,
        );
        let held = |kind| {
            report.native.bytes(kind, report.classification.totals.get(kind).live).to_string()
        };
        self.metric(
            "held_bytes",
            "Native bytes that live instances hold, without adopted ones; those of zip_entry are counted as inflater's.",
            held,
        );
        self.metric("stream_bytes", "Native bytes that one instance holds.", |kind| {
            report.native.each.get(kind).to_string()
        });

        let found = |kind| report.adopted.get(kind).counts.created.to_string();
        let help = "Adopted instances: open when counting began; in no count above.";
        self.metric("adopted_found_total", help, found);
        for outcome in Outcome::ALL {
            let help = format!("Adopted instances {}.", outcome.description());
            let number = |kind| report.adopted.get(kind).of(outcome).to_string();
            self.metric(&format!("adopted_{}", metric_of(outcome)), &help, number);
        }
        let held = |kind| report.native.bytes(kind, report.adopted.get(kind).live).to_string();
        self.metric(
            "adopted_held_bytes",
            "Native bytes that live adopted instances hold; those of zip_entry are counted as inflater's.",
            held,
        );
    }

    /// A metric with a sample for each kind; a counter if its name ends in `_total`.
    fn metric(&mut self, name: &str, help: &str, value: impl Fn(Kind) -> String) {
        let metric_type = if name.ends_with("_total") { "counter" } else { "gauge" };
        let name = format!("zaudit_{name}");
        self.head(&name, metric_type, help);
        for kind in Kind::ALL {
            self.sample(&name, &format!(",kind=\"{}\"", kind.name()), value(kind));
        }
    }

    /// The worst findings. Those of one name and kind are one: a duplicate series makes a file
    /// invalid.
    fn findings(&mut self, report: &Report) -> Result<(), OutOfMemory> {
        let mut samples: Vec<(String, [u64; 3])> = Vec::new();
        for finding in findings(&report.classification.sites)? {
            let blame_frame =
                finding.sites.first().and_then(|site| site.site.frames().nth(finding.blame_frame));
            let Some(blame_frame) =
                blame_frame.filter(|_| finding.stats.severity() != Severity::Clean)
            else {
                continue;
            };
            let labels = format!(
                ",kind=\"{}\",place={}",
                finding.stats.kind.name(),
                quoted(&placed(blame_frame))
            );
            let numbers =
                [finding.stats.leaked, finding.stats.tally.live, finding.stats.bytes_held()];
            let room = samples.len() < FINDINGS;
            match samples.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, sums)) => {
                    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number)
                }
                None if room => samples.push((labels, numbers)),
                None => {}
            }
        }
        let heads = [
            (
                "zaudit_place_leaked",
                "Of the worst findings: late and collected instances that no rule covers.",
            ),
            ("zaudit_place_live", "Of the worst findings: live instances."),
            (
                "zaudit_place_held_bytes",
                "Of the worst findings: native bytes that live instances hold.",
            ),
        ];
        for (at, (name, help)) in heads.into_iter().enumerate() {
            self.head(name, "gauge", help);
            for (labels, numbers) in &samples {
                self.sample(name, labels, numbers.get(at).copied().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// The end of a metric's name: all outcomes but `live` are final, so their numbers only grow.
fn metric_of(outcome: Outcome) -> String {
    match outcome {
        Outcome::Live => outcome.name().to_owned(),
        _ => format!("{}_total", outcome.name()),
    }
}

/// A label's value: short, and without what ends it.
fn quoted(value: &str) -> String {
    let short = brief(value, LABEL);
    format!("\"{}\"", short.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Milliseconds as seconds.
fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::session;
    use crate::options::Format;
    use crate::report::tests::{golden, hostile, rendered, report, sample};

    fn text(report: &Report) -> String {
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        String::from_utf8(rendered(report, Format::Prom))
            .unwrap()
            .replace(&version, "version=\"VERSION\"")
    }

    #[test]
    fn as_the_golden_has_it() {
        golden("report.prom", text(&sample()).as_bytes());
    }

    #[test]
    fn hostile_names_stay_inside_their_labels() {
        let text = text(&report(&hostile()));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("zaudit_") && line.chars().count() < 500, "{line}");
        }
        let place = text.lines().find(|line| line.starts_with("zaudit_place_leaked")).unwrap();
        assert!(place.contains(r#"place="a\"},\\\\u{0}"#), "{place}");
        assert!(place.contains(r#"</script>"#) && place.ends_with("\"} 1"), "{place}");
    }

    #[test]
    fn places_are_few_and_different() {
        let names: Vec<String> = (0..50).map(|at| format!("a.B.m{at}")).collect();
        let stacks: Vec<Vec<&str>> =
            names.iter().map(|name| vec!["java.util.zip.Inflater.<init>", name]).collect();
        let made: Vec<_> =
            stacks.iter().map(|stack| (Kind::Inflater, stack.as_slice(), 3, 0, 0, 1)).collect();
        let text = text(&report(&session(&made)));
        assert_eq!(
            text.lines().filter(|line| line.starts_with("zaudit_place_leaked{")).count(),
            FINDINGS
        );
    }

    /// Two paths through the JDK to one line are two findings of one name.
    #[test]
    fn places_of_one_name_are_added_up() {
        let (inner, blamed) = ("java.util.zip.Inflater.<init>", "a.B.c");
        let session = session(&[
            (Kind::Inflater, &[inner, "java.util.zip.X.a", blamed], 3, 0, 0, 1),
            (Kind::Inflater, &[inner, "java.util.zip.Y.a", blamed], 5, 0, 0, 2),
        ]);
        let text = text(&report(&session));
        let lines: Vec<_> =
            text.lines().filter(|line| line.starts_with("zaudit_place_leaked{")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].ends_with(r#",kind="inflater",place="a.B.c:12"} 3"#), "{}", lines[0]);
    }
}
