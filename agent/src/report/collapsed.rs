//! One line a stack, outermost frame first, and a number: for flame graph programs.
//!
//! The number is how many leaked, or, where nothing leaked for certain, how many are live: the outermost frame says which, because
//! the format has no comments. Invariant: a name never ends a frame or a line, and never looks like the number.

use super::Report;
use super::words::{clean, placed};
use crate::event::{Frame, Kind};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Instances without a stack; no Java name looks like it.
pub(super) const ADOPTED: &str = "(adopted:stack-unknown)";

pub(super) fn render(report: &Report) -> Vec<u8> {
    let leaks = report.leaks();
    let (root, pick): (_, fn(u64, u64) -> u64) =
        if leaks { ("leaked", |leaked, _| leaked) } else { ("live", |_, live| live) };
    // Stacks that differ only in what is not shown here are one line.
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for judged in &report.judgement.sites {
        let number = pick(judged.verdict.leaked, judged.verdict.tally.live);
        if number > 0 {
            let frames: Vec<&Frame> = judged.site.frames().collect();
            let line = frames.iter().rev().fold(root.to_owned(), |mut line, frame| {
                line.push(';');
                line.push_str(&escaped(&placed(frame)));
                line
            });
            *stacks.entry(line).or_default() += number;
        }
    }
    for kind in Kind::ALL {
        let tally = report.adopted.get(kind);
        let number = pick(super::lost(tally), tally.live);
        if number > 0 {
            stacks.insert(format!("{root};{ADOPTED};java.util.zip.{}", kind.class()), number);
        }
    }
    let text = stacks.iter().fold(String::new(), |mut text, (line, number)| {
        let _ = writeln!(text, "{line} {number}");
        text
    });
    text.into_bytes()
}

/// Kotlin's and Scala's names may have spaces; two numbers at a line's end would be a comparison to `flamegraph.pl`.
fn escaped(name: &str) -> String {
    clean(name).replace(';', "\\u{3b}").replace(' ', "\\u{20}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tests::{MADE, session};
    use crate::report::tests::{golden, hostile, report, sample};

    #[test]
    fn as_the_golden_has_it() {
        golden("report.collapsed", &render(&sample()));
    }

    fn text(report: &Report) -> String {
        String::from_utf8(render(report)).unwrap()
    }

    #[test]
    fn live_ones_where_nothing_leaked() {
        let made = |created, collected| {
            report(&session(&[(Kind::Inflater, &[MADE, "a.B.c"], created, 0, 0, collected)]))
        };
        assert_eq!(text(&made(0, 0)), "");
        assert_eq!(text(&made(3, 0)), "live;a.B.c:11;java.util.zip.Inflater.<init>:10 3\n");
        assert_eq!(text(&made(3, 1)), "leaked;a.B.c:11;java.util.zip.Inflater.<init>:10 1\n");
    }

    #[test]
    fn hostile_names_stay_in_their_frames() {
        let text = text(&report(&hostile()));
        assert_eq!(text.lines().count(), 1, "{text}");
        let (stack, number) = text.trim_end().split_once(' ').unwrap();
        assert_eq!(number, "1");
        assert_eq!(stack.split(';').count(), 1 + 2, "{stack}");
        assert!(!stack.contains(|c: char| c.is_control()), "{stack}");
    }
}
