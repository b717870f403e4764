//! `zaudit diff`: compares two reports, for people and for programs.
//!
//! Owns the text and the JSON; [`change`] finds the changes. Invariant: the exit code agrees with
//! the first line.

pub(crate) mod change;

use crate::arguments::{Diff, DiffFormat};
use crate::cmd::diff::change::{Change, ChangeKind, changes, found};
use crate::cmd::input;
use crate::error::{CliError, Code};
use crate::output;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};
use zaudit_core::analysis::blame::{blame_frame, borrower};
use zaudit_core::analysis::classify::ClassifiedSite;
use zaudit_core::escape;
use zaudit_core::model::Frame;
use zaudit_core::report::{Report, clean, frame};
use zaudit_core::wording::{count, duration, grouped, kinds};

/// The most changes of a kind in the text. The JSON has all.
const MAX_SHOWN: usize = 40;

/// Writes the comparison, and fails if something is new or has grown.
pub(crate) fn run(diff: &Diff) -> Result<(), CliError> {
    let (old, new) = (input::read(&diff.old)?, input::read(&diff.new)?);
    let [old_name, new_name] = [&diff.old, &diff.new].map(|path| path.display().to_string());
    let changes = changes(&old, &new);
    let reports = [(&old, old_name.as_str()), (&new, new_name.as_str())];
    let bytes = match diff.format {
        DiffFormat::Text => text(reports, &changes).into_bytes(),
        DiffFormat::Json => json(reports, &changes),
    };
    // Exit code 1 is reserved for a report that is worse.
    output::write(&bytes).map_err(|error| CliError { code: Code::Usage, ..error })?;
    let worse = changes.iter().any(|change| change.kind.worse());
    if worse { Err(CliError::new(Code::Failed, "", "")) } else { Ok(()) }
}

/// The comparison for people.
pub(crate) fn text(reports: [(&Report, &str); 2], changes: &[Change<'_>]) -> String {
    let mut out = summary(changes);
    let length =
        |report: &Report| Duration::try_from_secs_f64(report.age_seconds).unwrap_or_default();
    for (which, (report, name)) in ["old", "new"].into_iter().zip(reports) {
        let (age, command) = (duration(length(report)), &report.process.command);
        let _ = writeln!(out, "  {which}  {}: {age} of {}", clean(name), clean(command));
    }
    let [old, new] = reports.map(|(report, _)| report.age_seconds);
    if old.max(new) > old.min(new) * 1.1 {
        out.push_str("       The runs differ in length; counts grow with time.\n");
    }
    for kind in ChangeKind::ALL {
        let of_kind: Vec<_> = changes.iter().filter(|change| change.kind == kind).collect();
        for change in of_kind.iter().take(MAX_SHOWN) {
            write_change(&mut out, change);
        }
        if of_kind.len() > MAX_SHOWN {
            let rest = count(of_kind.len() - MAX_SHOWN, "site");
            let _ = writeln!(out, "\n… and {rest} more {}: --format json lists all", kind.name());
        }
    }
    out
}

fn summary(changes: &[Change<'_>]) -> String {
    let more = |pick: fn(Option<&ClassifiedSite>) -> u64| {
        kinds(|kind| {
            let of_kind =
                changes.iter().filter(|c| c.classified().is_some_and(|j| j.site.kind == kind));
            of_kind.map(|change| pick(change.new).saturating_sub(pick(change.old))).sum()
        })
    };
    let numbers = ChangeKind::ALL
        .map(|kind| (changes.iter().filter(|change| change.kind == kind).count(), kind));
    let clauses: Vec<_> = numbers
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, kind)| format!("{} {}", count(number, "site"), kind.name()))
        .collect();
    let mut line = String::from("SUMMARY: zaudit diff: ");
    let worse = changes.iter().any(|change| change.kind.worse());
    line.push_str(if worse { "WORSE: " } else { "nothing is new or has grown" });
    if !worse && !clauses.is_empty() {
        line.push_str("; ");
    }
    line.push_str(&clauses.join(", "));
    for (what, number) in [
        ("more leaked", more(|classified| found(classified).0)),
        ("more suspect", more(|classified| found(classified).1)),
    ] {
        if !number.is_empty() {
            let _ = write!(line, "; {number} {what}");
        }
    }
    line.push('\n');
    line
}

fn write_change(out: &mut String, change: &Change<'_>) {
    let Some(classified) = change.classified() else { return };
    let frames: Vec<&Frame> = classified.site.frames().collect();
    let blame_frame = match classified.stats.leaked {
        0 => blame_frame(&classified.site),
        _ => borrower(&classified.site),
    };
    let blamed = frames
        .get(blame_frame)
        .map_or_else(|| "(no stack)".into(), |blame_frame| frame(blame_frame));
    let kind_of_change = change.kind.name().to_uppercase();
    let class =
        classified.site.subclass.as_deref().map(|class| format!(" ({class})")).unwrap_or_default();
    let kind = classified.stats.kind.noun();
    let _ = writeln!(out, "\n{kind_of_change:<7}{:<8}{blamed}", change.severity().name());
    let ((leaked, suspects), (leaked_now, suspects_now)) = (found(change.old), found(change.new));
    let created = |classified: Option<&ClassifiedSite>| {
        classified.map_or(0, |classified| classified.stats.tally.counts.created)
    };
    let numbers = [
        ("leaked", "leaked", leaked, leaked_now),
        ("suspect", "suspects", suspects, suspects_now),
        ("created", "created", created(change.old), created(change.new)),
    ];
    // The number created at a site that is not listed is not known.
    let known = numbers.iter().filter(|(one, ..)| !change.unlisted || *one != "created");
    let numbers =
        known.filter(|(.., old, new)| old + new > 0).map(|(one, many, old, new)| {
            match old == new {
                true if *new == 1 => format!("1 {one}"),
                true => format!("{} {many}", grouped(*new)),
                false => format!("{many} {} → {}", grouped(*old), grouped(*new)),
            }
        });
    let numbers = numbers.collect::<Vec<_>>().join(" · ");
    let _ = writeln!(
        out,
        "    {kind}s{}: {numbers} · site {:016x}",
        clean(&class),
        classified.site.stable_id
    );
    if let Some(before) = change.moved_from {
        let (leaked, suspects) = found(Some(before));
        let _ = writeln!(
            out,
            "    the same stack with other lines is gone, with {} leaked and {}: was the code moved?",
            grouped(leaked),
            count(usize::try_from(suspects).unwrap_or(usize::MAX), "suspect")
        );
    }
    for caller in frames.iter().skip(blame_frame + 1).take(3) {
        let _ = writeln!(out, "      from {}", frame(caller));
    }
}

#[derive(Serialize)]
struct Root<'a> {
    schema: &'static str,
    worse: bool,
    old: Run<'a>,
    new: Run<'a>,
    sites: Vec<Site<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    file: &'a str,
    pid: u32,
    command: &'a str,
    taken: f64,
    armed_seconds: f64,
    reports: u32,
}

#[derive(Serialize)]
struct Site<'a> {
    change: &'static str,
    id: String,
    kind: &'static str,
    class: Option<&'a str>,
    old: Option<Numbers>,
    new: Option<Numbers>,
    moved_from: Option<String>,
    frames: Vec<JsonFrame<'a>>,
}

#[derive(Serialize)]
struct Numbers {
    created: u64,
    ended: u64,
    late: u64,
    collected: u64,
    live: u64,
    expected: u64,
    leaked: u64,
    suspects: u64,
    bytes_held: u64,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    class: &'a str,
    method: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// The comparison for programs.
pub(crate) fn json(reports: [(&Report, &str); 2], changes: &[Change<'_>]) -> Vec<u8> {
    fn run<'a>((report, file): (&'a Report, &'a str)) -> Run<'a> {
        let process = &report.process;
        let taken = process.taken.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Run {
            file,
            pid: process.pid,
            command: &process.command,
            taken: Duration::from_millis(u64::try_from(taken).unwrap_or(u64::MAX)).as_secs_f64(),
            armed_seconds: report.age_seconds,
            reports: process.reports,
        }
    }
    let id = |classified: &ClassifiedSite| format!("{:016x}", classified.site.stable_id);
    fn json_frame(frame: &Frame) -> JsonFrame<'_> {
        JsonFrame {
            class: &frame.class,
            method: &frame.method,
            file: frame.file.as_deref(),
            line: frame.line,
        }
    }
    let [old, new] = reports.map(run);
    let root = Root {
        schema: "zaudit-diff/1",
        worse: changes.iter().any(|change| change.kind.worse()),
        old,
        new,
        sites: changes
            .iter()
            .filter_map(|change| {
                let classified = change.classified()?;
                Some(Site {
                    change: change.kind.name(),
                    id: id(classified),
                    kind: classified.site.kind.name(),
                    class: classified.site.subclass.as_deref(),
                    old: change.old.map(numbers),
                    new: change.new.map(numbers),
                    moved_from: change.moved_from.map(id),
                    frames: classified.site.frames().map(json_frame).collect(),
                })
            })
            .collect(),
    };
    // Strings and finite numbers: serde_json refuses none of them.
    let mut bytes = Vec::new();
    if let Err(error) = serde_json::to_writer_pretty(escape::Json::new(&mut bytes), &root) {
        bytes = format!("{{\"error\":\"{error}\"}}").into();
    }
    bytes.push(b'\n');
    bytes
}

fn numbers(classified: &ClassifiedSite) -> Numbers {
    let (stats, counts) = (&classified.stats, &classified.stats.tally.counts);
    Numbers {
        created: counts.created,
        ended: counts.ended,
        late: counts.late,
        collected: counts.collected,
        live: stats.tally.live,
        expected: stats.expected,
        leaked: stats.leaked,
        suspects: stats.suspects,
        bytes_held: stats.bytes_held(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::diff::change::tests::{report, set};
    use crate::golden;

    fn compare(old: &Report, new: &Report) -> (String, serde_json::Value) {
        let changes = changes(old, new);
        let reports = [(old, "old.json"), (new, "new.json")];
        (text(reports, &changes), serde_json::from_slice(&json(reports, &changes)).unwrap())
    }

    #[test]
    fn nothing_has_changed() {
        let sample = report(|_| {});
        let (text, json) = compare(&sample, &sample);
        assert_eq!(
            text,
            "SUMMARY: zaudit diff: nothing is new or has grown\n  old  old.json: 3 h of org.acme.Main --serve\n  \
             new  new.json: 3 h of org.acme.Main --serve\n"
        );
        assert_eq!((&json["worse"], &json["sites"]), (&false.into(), &serde_json::json!([])));
    }

    #[test]
    fn changes_as_text_and_json() {
        let new = report(|root| {
            root["process"]["armed_seconds"] = 600.into();
            set(&mut root["sites"][1], 7, 2);
            set(&mut root["sites"][2], 0, 0);
            root["sites"][0]["id"] = "1".into();
        });
        let (text, json) = compare(&report(|_| {}), &new);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/diff.txt");
        golden::golden(std::path::Path::new(path), &text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(json["worse"], true);
        assert_eq!(json["sites"][0]["moved_from"], "88385d8677efa39e");
        let kinds: Vec<_> =
            json["sites"].as_array().unwrap().iter().map(|site| &site["change"]).collect();
        assert_eq!(kinds, ["new", "grown", "gone", "gone"]);
        assert_eq!(json["sites"][3]["new"], serde_json::Value::Null);
    }

    #[test]
    fn hostile_names_stay_harmless() {
        let name = format!("a\u{1b}[2J\n<script>\"{}", escape::samples().collect::<String>());
        let name = name.as_str();
        let new = report(|root| {
            let site = &mut root["sites"][0];
            site["id"] = "1".into();
            site["class"] = name.into();
            for at in 0..3 {
                site["frames"][at]["class"] = name.into();
                site["frames"][at]["method"] = name.into();
                site["frames"][at]["jdk"] = false.into();
            }
            root["process"]["command"] = name.into();
        });
        let (text, json) = compare(&report(|_| {}), &new);
        assert!(!text.contains(|c| c != '\n' && escape::is_hostile(c)), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.contains("<script>")).count(), 5, "{text}");
        assert_eq!(json["sites"][0]["frames"][0]["class"], name);
    }
}
