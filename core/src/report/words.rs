//! Names and trends as people read them.
//!
//! Invariant: text that comes from the program has no control characters after [`clean`].

use crate::analysis::history::{Direction, Series, Trend};
use crate::escape;
use crate::model::Frame;
use crate::report::text::finding::source;
use crate::wording::finding;

/// Escapes control characters: names come from class files, which may contain any.
pub fn clean(text: &str) -> String {
    escape::text(text).into_owned()
}

/// The same, cut after `most` characters: programs that read the output have limits of their own.
pub(super) fn brief(text: &str, most: usize) -> String {
    let text = clean(text);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `org.acme.Codec.decode:12`, not escaped.
pub(super) fn placed(frame: &Frame) -> String {
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}.{}{line}", frame.class, frame.method)
}

/// `org.acme.Codec.decode(Codec.java:12)`, as in a stack trace, with control characters escaped.
pub fn frame(frame: &Frame) -> String {
    clean(&format!("{}.{}({})", frame.class, frame.method, source(frame)))
}

/// How the number of live instances changes; none if that is unknown.
pub(super) fn tendency(trend: &Series) -> Option<String> {
    let Trend { way, from, to, over } = trend.tendency()?;
    Some(match way {
        Direction::Grew => finding::grew(from, to, over, false),
        Direction::GrewLately => finding::grew(from, to, over, true),
        Direction::Fell => finding::fell(from, to, over),
        Direction::Flat => finding::flat(to, over, true),
        Direction::FlatAbout => finding::flat(to, over, false),
        Direction::Varied => finding::varied(from, to, over),
        Direction::Unclear => finding::unclear(from, to, over, trend.points.len()),
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
                fields
                    .iter_mut()
                    .for_each(|(name, field)| spoil(field, FREE.contains(&name.as_str()), with));
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
        root["baseline"] =
            serde_json::json!({ "file": "old.json", "taken": 1.0, "sites": 3, "known": 1 });
        let rule = serde_json::json!({ "text": "live:a.b", "built_in": false, "source": "own.rules:1", "matched": 0 });
        root["rules"].as_array_mut().unwrap().push(rule);
        spoil(&mut root, false, &hostile);
        let report = Report::read(&serde_json::to_vec(&root).unwrap()).unwrap();
        let narrow = Style { width: Some(60), colour: false };
        for (format, style) in Format::ALL
            .into_iter()
            .flat_map(|format| [(format, Style::default()), (format, narrow)])
        {
            let bytes = rendered_in(&report, format, style);
            let (text, binary) = match format {
                Format::Pprof => (
                    miniz_oxide::inflate::decompress_to_vec(&bytes[10..bytes.len() - 8]).unwrap(),
                    true,
                ),
                _ => (bytes, false),
            };
            let text = String::from_utf8_lossy(&text);
            let found = |c: char| escape::is_hostile(c) && c != '\n' && !(binary && c.is_ascii());
            let at = text.find(found).map(|at| text[at..].chars().take(40).collect::<String>());
            assert_eq!(at, None, "{format:?}");
            // It was escaped and not lost; DEL is checked for all.
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
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 8, 10, 12],
                1,
                Some("grew 0 → 12 over the last 7 min"),
            ),
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
