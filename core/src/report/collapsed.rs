//! Collapsed stacks, for flame graph tools: one line a stack, the outermost frame first, and a
//! number.
//!
//! The number is how many leaked, or, if there is no certain leak, how many are live: the outermost
//! frame says which, because the format has no comments. Invariant: a name never ends a frame or a
//! line, and never looks like the number.

use super::Report;
use super::out::Out;
use super::words::{clean, placed};
use crate::analysis::classify::ClassifiedSite;
use crate::model::{Kind, OutOfMemory};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};
use std::io;

/// Instances without a stack; no Java name looks like it.
pub(super) const ADOPTED: &str = "(adopted:stack-unknown)";
/// Sites that the report leaves out.
pub(super) const OTHERS: &str = "(other-sites:stacks-left-out)";

pub(super) fn render(report: &Report, to: &mut dyn io::Write) -> io::Result<()> {
    let leaks = report.leaks();
    let (root, pick): (_, fn(u64, u64) -> u64) =
        if leaks { ("leaked", |leaked, _| leaked) } else { ("live", |_, live| live) };
    let mut out = Out::new(to);
    let sites = || {
        let number = |classified: &ClassifiedSite| {
            pick(classified.stats.leaked, classified.stats.tally.live)
        };
        report
            .classification
            .sites
            .iter()
            .map(move |classified| (classified, number(classified)))
            .filter(|(_, n)| *n > 0)
    };
    // Stacks that differ only in what is not shown here are one line, in the position of the first.
    let mut sums: HashMap<[u64; 2], u64> = HashMap::new();
    for (classified, number) in sites() {
        sums.try_reserve(1).map_err(OutOfMemory::from)?;
        *sums.entry(fingerprint(root, classified)).or_default() += number;
    }
    for (classified, _) in sites() {
        if let Some(sum) = sums.remove(&fingerprint(root, classified)) {
            let _ = line(root, classified, &mut out);
            let _ = writeln!(out, " {sum}");
        }
        if !out.is_ok() {
            break;
        }
    }
    for kind in Kind::ALL {
        let class = kind.noun();
        let others =
            report.classification.others.get(kind).map_or(0, |others| others.stats.tally.live);
        let tally = report.adopted.get(kind);
        for (name, number) in
            [(OTHERS, pick(0, others)), (ADOPTED, pick(super::lost(tally), tally.live))]
        {
            if number > 0 {
                let _ = writeln!(out, "{root};{name};java.util.zip.{class} {number}");
            }
        }
    }
    out.finish()
}

/// A stack's line, but for the number.
fn line(root: &str, classified: &ClassifiedSite, to: &mut impl Write) -> fmt::Result {
    to.write_str(root)?;
    classified.site.outermost_first().try_for_each(|frame| {
        to.write_char(';')?;
        to.write_str(&escaped(&placed(frame)))
    })
}

/// Identifies a line: two lines have different ones, as far as 128 bits can tell.
fn fingerprint(root: &str, classified: &ClassifiedSite) -> [u64; 2] {
    struct Both([DefaultHasher; 2]);
    impl Write for Both {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.iter_mut().for_each(|hasher| hasher.write(text.as_bytes()));
            Ok(())
        }
    }
    let mut both = Both([DefaultHasher::new(), DefaultHasher::new()]);
    both.0.iter_mut().zip([1, 2]).for_each(|(hasher, seed)| hasher.write_u8(seed));
    // A hasher takes everything.
    let _ = line(root, classified, &mut both);
    both.0.map(|hasher| hasher.finish())
}

/// Kotlin's and Scala's names may have spaces; two numbers at a line's end would be a comparison to
/// `flamegraph.pl`.
fn escaped(name: &str) -> String {
    clean(name).replace(';', "\\u{3b}").replace(' ', "\\u{20}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, session};
    use crate::options::Format;
    use crate::report::tests::{golden, hostile, rendered, report, sample};

    #[test]
    fn as_the_golden_has_it() {
        golden("report.collapsed", text(&sample()).as_bytes());
    }

    fn text(report: &Report) -> String {
        String::from_utf8(rendered(report, Format::Collapsed)).unwrap()
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
