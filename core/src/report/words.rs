//! Numbers, sizes, times and names as people read them.
//!
//! Knows nothing of reports. Invariant: what comes from the program leaves [`clean`] with nothing in it that a
//! terminal obeys.

use crate::analysis::classify::grouped;
use crate::analysis::history::{Direction, Series};
use crate::escape;
use crate::model::Frame;
use crate::report::text::finding::source;
use std::time::Duration;

/// Hostile characters as escapes: names come from anybody's class files.
pub fn clean(text: &str) -> String {
    escape::text(text).into_owned()
}

/// The same, and no longer than so many characters: others' programs have limits of their own.
pub(super) fn brief(text: &str, most: usize) -> String {
    let text = clean(text);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `org.acme.Codec.decode:12`, as it came.
pub(super) fn placed(frame: &Frame) -> String {
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}.{}{line}", frame.class, frame.method)
}

/// `org.acme.Codec.decode(Codec.java:12)`, as a stack trace shows it, with hostile characters escaped.
pub fn frame(frame: &Frame) -> String {
    clean(&format!("{}.{}({})", frame.class, frame.method, source(frame)))
}

/// `1 finding`, `1,204 findings`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

pub(super) fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{} times", grouped(number)) }
}

/// Three figures and a unit.
pub fn bytes(number: u64) -> String {
    scaled(number as f64, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

pub(super) fn byte_seconds(number: f64) -> String {
    scaled(number, 1_024.0, &["B·s", "KiB·s", "MiB·s", "GiB·s", "TiB·s"])
}

pub(super) fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter().peekable();
    let mut unit = units.next();
    while number >= step && units.peek().is_some() {
        number /= step;
        unit = units.next();
    }
    let digits = if number >= 100.0 || number.fract() == 0.0 { 0 } else { 1 };
    format!("{number:.digits$} {}", unit.unwrap_or(&""))
}

/// `340 ms`, `5.2 s`, `12 min`, `3 h`, `9.5 d`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s < 0.001 => return "under 1 ms".to_owned(),
        s if s < 1.0 => (format!("{:.0}", s * 1e3), "ms"),
        s if s < 10.0 => (format!("{s:.1}"), "s"),
        s if s < 120.0 => (format!("{s:.0}"), "s"),
        s if s < 7_200.0 => (format!("{:.0}", s / 60.0), "min"),
        s if s < 172_800.0 => (format!("{:.1}", s / 3_600.0), "h"),
        s => (format!("{:.1}", s / 86_400.0), "d"),
    };
    format!("{} {unit}", number.strip_suffix(".0").unwrap_or(&number))
}

/// Which way the number of live ones goes, if that can be told.
pub(super) fn tendency(trend: &Series) -> Option<String> {
    let told = trend.tendency()?;
    let (from, to, over) = (grouped(told.from), grouped(told.to), duration(told.over));
    Some(match told.way {
        Direction::Grew => format!("grew {from} → {to} over {over}"),
        Direction::GrewLately => format!("grew {from} → {to} over the last {over}"),
        Direction::Fell => format!("fell {from} → {to} over {over}"),
        Direction::Flat => format!("flat at {to} for {over}"),
        Direction::FlatAbout => format!("flat at about {to} for {over}"),
        Direction::Varied => format!("between {from} and {to} over {over}"),
        Direction::Unclear => {
            format!("{from} → {to} over {over}, in {}", count(trend.points.len(), "snapshot"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::history::Point;
    use crate::model::Nanos;
    use crate::options::Format;
    use crate::report::tests::{rendered, rendered_in, sample};
    use crate::report::{Report, Style};
    use serde_json::Value;

    #[test]
    fn quantities() {
        for (number, text) in
            [(0, "0 B"), (1_023, "1023 B"), (40_032, "39.1 KiB"), (1 << 20, "1 MiB"), (3 << 41, "6 TiB")]
        {
            assert_eq!(bytes(number), text);
        }
        for (millis, text) in [
            (0, "under 1 ms"),
            (340, "340 ms"),
            (5_240, "5.2 s"),
            (60_500, "60 s"),
            (720_000, "12 min"),
            (12_240_000, "3.4 h"),
            (10_800_000, "3 h"),
            (777_600_000, "9 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    /// Fields of the JSON report that hold what comes from the program, its command line, or files.
    const FREE: [&str; 15] = [
        "class",
        "method",
        "file",
        "command",
        "jvm",
        "options",
        "threads",
        "text",
        "source",
        "unsettled",
        "root",
        "path",
        "missing_hooks",
        "reason",
        "rule",
    ];

    fn spoil(value: &mut Value, free: bool, with: &str) {
        match value {
            Value::String(text) if free => text.push_str(with),
            Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, free, with)),
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(name, field)| spoil(field, FREE.contains(&name.as_str()), with));
            }
            _ => {}
        }
    }

    #[test]
    fn no_hostile_character_is_in_any_format() {
        let hostile: String = escape::samples().collect();
        let mut root: Value = serde_json::from_slice(&rendered(&sample(), Format::Json)).unwrap();
        root["health"]["unsettled"] = "no collection".into();
        root["health"]["dropped"] = serde_json::json!({ format!("no tag{hostile}"): 7 });
        root["health"]["missing_hooks"] = serde_json::json!(["a hook"]);
        root["baseline"] = serde_json::json!({ "file": "old.json", "taken": 1.0, "sites": 3, "known": 1 });
        let rule = serde_json::json!({ "text": "live:a.b", "built_in": false, "source": "own.rules:1", "matched": 0 });
        root["rules"].as_array_mut().unwrap().push(rule);
        spoil(&mut root, false, &hostile);
        let report = Report::read(&serde_json::to_vec(&root).unwrap()).unwrap();
        let narrow = Style { width: Some(60), colour: false };
        for (format, style) in
            Format::ALL.into_iter().flat_map(|format| [(format, Style::default()), (format, narrow)])
        {
            let bytes = rendered_in(&report, format, style);
            let (text, binary) = match format {
                Format::Pprof => {
                    (miniz_oxide::inflate::decompress_to_vec(&bytes[10..bytes.len() - 8]).unwrap(), true)
                }
                _ => (bytes, false),
            };
            let text = String::from_utf8_lossy(&text);
            let found = |c: char| escape::is_hostile(c) && c != '\n' && !(binary && c.is_ascii());
            let at = text.find(found).map(|at| text[at..].chars().take(40).collect::<String>());
            assert_eq!(at, None, "{format:?}");
            // It was escaped and not lost; DEL stands for all.
            let escapes = ["\\u{7f}", "\\u007f", "\\\\u{7f}"];
            assert!(escapes.iter().any(|escape| text.contains(escape)), "{format:?}");
        }
    }

    #[test]
    fn tendencies() {
        for (lives, minutes, words) in [
            (&[][..], 1, None),
            (&[16], 1, None),
            (&[0, 401, 803, 1_204], 60, Some("grew 0 → 1,204 over 3 h")),
            (&[40, 20, 10, 3], 4, Some("fell 40 → 3 over 12 min")),
            (&[16, 16, 16, 16], 60, Some("flat at 16 for 3 h")),
            (&[0, 998, 1_001, 1_000], 60, Some("flat at about 1,000 for 2 h")),
            (&[3, 40, 12, 30, 7], 30, Some("between 3 and 40 over 2 h")),
            (&[16, 1_204], 180, Some("16 → 1,204 over 3 h, in 2 snapshots")),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 8, 10, 12], 1, Some("grew 0 → 12 over the last 7 min")),
        ] {
            let point = |(at, live): (usize, &u64)| Point {
                at: Nanos(at as u64 * minutes * 60_000_000_000),
                live: *live,
            };
            let trend = Series { points: lives.iter().enumerate().map(point).collect() };
            assert_eq!(tendency(&trend).as_deref(), words, "{lives:?}");
        }
    }
}
