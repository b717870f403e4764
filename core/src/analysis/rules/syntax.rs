//! A rule as a line of text: read, and written so that it means the same when it is read again.
//!
//! Invariant: a text that is taken has no part that means nothing: what cannot be understood is
//! refused with a reason.

use super::pattern::Pattern;
use super::{BUILT_IN_SOURCE, Rule};
use crate::escape;
use crate::model::{Frame, Kind, PerKind};
use std::fmt;

/// What stands before the number of a rule's maximum.
const MAX: &str = "max=";
const EMPTY: &str = "a pattern is empty";
/// Names of methods with the sign that else stands between two frames.
const CONSTRUCTORS: [&str; 2] = ["<init>", "<clinit>"];

impl Rule {
    /// Reads one rule. The error says what is wrong with it.
    pub fn parse(text: &str, built_in: bool) -> Result<Rule, String> {
        let (words, rest) = text
            .split_once(':')
            .ok_or("must be leak:PATTERN, live:PATTERN or leak,live:PATTERN")?;
        let (rest, max) = maximum(rest)?;
        let source = if built_in { BUILT_IN_SOURCE } else { "" };
        let mut rule =
            Rule { patterns: patterns(rest)?, ..Rule::from_report(text, built_in, source, max) };
        for word in words.split(',').map(str::trim) {
            match (word, Kind::ALL.into_iter().find(|kind| kind.name() == word)) {
                ("leak", _) => rule.leak = true,
                ("live", _) => rule.live = true,
                (_, Some(kind)) => *rule.kinds.get_mut(kind) = true,
                (other, None) => {
                    return Err(format!(
                        "unknown word {other:?}; use leak, live, inflater, deflater or zip_entry"
                    ));
                }
            }
        }
        if !rule.leak && !rule.live {
            return Err("leak or live is missing before the colon".into());
        }
        if !Kind::ALL.iter().any(|kind| *rule.kinds.get(*kind)) {
            rule.kinds = PerKind::from_fn(|_| true);
        }
        Ok(rule)
    }

    /// The rule for leaks (or live ones) on stacks with these very frames, innermost first, each
    /// with whether only the JDK's own may stand between it and the one before. None if a name
    /// cannot be written so that it means itself.
    pub fn literal(leak: bool, kind: Kind, frames: &[(&Frame, bool)]) -> Option<Rule> {
        // The stacks of instances begin with their constructor. The Inflater of an entry stream has
        // the frames of that stream as well.
        let covers = |of: Kind| kind != Kind::ZipEntry || of == kind;
        let patterns = frames.iter().map(|(frame, near)| Pattern {
            text: format!("{}.{}", frame.class, frame.method),
            near: *near,
        });
        let rule = Rule {
            text: String::new(),
            built_in: false,
            source: String::new(),
            max: None,
            leak,
            live: !leak,
            kinds: PerKind::from_fn(covers),
            patterns: patterns.collect(),
        };
        // The longest that it can become.
        let rule = rule.at_most(u64::MAX);
        let (read, _) = Rule::read_file("", &rule.text);
        let [read] = <[Rule; 1]>::try_from(read).ok()?;
        let means_itself = !rule.text.contains('*');
        (means_itself && Rule { source: String::new(), ..read } == rule).then_some(rule)
    }

    /// The same with this maximum, in words of its own.
    #[must_use]
    pub fn at_most(self, max: u64) -> Rule {
        let rule = Rule { max: Some(max), ..self };
        Rule { text: rule.to_string(), ..rule }
    }
}

/// In words of its own, which may differ from those in which it was written.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Kind::ALL.iter().all(|kind| *self.kinds.get(*kind));
        let kinds = Kind::ALL.map(|kind| (!all && *self.kinds.get(kind), kind.name()));
        let words = [(self.leak, "leak"), (self.live, "live")].into_iter().chain(kinds);
        let words: Vec<_> = words.filter(|(has, _)| *has).map(|(_, word)| word).collect();
        write!(f, "{}:", words.join(","))?;
        for (at, pattern) in self.patterns.iter().enumerate() {
            match (at, pattern.near) {
                (0, _) => {}
                (_, false) => f.write_str(" < ")?,
                (_, true) => f.write_str(" << ")?,
            }
            f.write_str(&escape::text(&pattern.text))?;
        }
        self.max.map_or(Ok(()), |max| write!(f, " {MAX}{max}"))
    }
}

/// The maximum at a rule's end, and what is before it.
fn maximum(text: &str) -> Result<(&str, Option<u64>), String> {
    let text = text.trim();
    let begin = text.rfind(char::is_whitespace).map_or(0, |at| at);
    let (rest, last) = text.split_at_checked(begin).unwrap_or(("", text));
    let (rest, max) = match last.trim().strip_prefix(MAX) {
        None => (text, None),
        // No sign, no unit.
        Some(digits) => match digits.parse() {
            Ok(max) if digits.starts_with(|c: char| c.is_ascii_digit()) => (rest, Some(max)),
            _ => {
                return Err(format!(
                    "{MAX} must have a whole number up to {}, not {digits:?}",
                    u64::MAX
                ));
            }
        },
    };
    Ok((rest, max))
}

fn patterns(text: &str) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    let mut near = false;
    for pattern in frames(text) {
        let pattern = pattern.trim();
        if pattern.split_whitespace().any(|word| word.starts_with(MAX)) {
            return Err(format!("{MAX}N may stand only once, at the end"));
        } else if pattern.ends_with('>') && !CONSTRUCTORS.iter().any(|name| pattern.ends_with(name))
        {
            return Err(
                "< and > may be part of a name only in CLASS.<init> and CLASS.<clinit>".into()
            );
        } else if !pattern.is_empty() {
            patterns.push(Pattern { text: escape::unescaped(pattern).into_owned(), near });
            near = false;
        } else if near || patterns.is_empty() {
            return Err(EMPTY.into());
        } else {
            // The nothing between the two signs of `<<`.
            near = true;
        }
    }
    if near { Err(EMPTY.into()) } else { Ok(patterns) }
}

/// What stands between the signs `<`.
fn frames(text: &str) -> Vec<&str> {
    let mut frames = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('<') {
        let (before, from) = (text.get(..at).unwrap_or(""), text.get(at..).unwrap_or(""));
        let constructor = CONSTRUCTORS.iter().any(|name| from.starts_with(name))
            && before.ends_with(|c: char| c != '<' && !c.is_whitespace());
        if !constructor {
            frames.extend(text.get(begin..at));
            begin = at + 1;
        }
    }
    frames.extend(text.get(begin..));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    #[test]
    fn what_is_written_in_other_words() {
        for (text, own) in [
            ("leak:a.b", "leak:a.b"),
            ("live , leak : a.b<c.d", "leak,live:a.b < c.d"),
            ("deflater,leak:a.B.<init>", "leak,deflater:a.B.<init>"),
            ("inflater,deflater,live:*", "live,inflater,deflater:*"),
            ("zip_entry,inflater,deflater,live:*", "live:*"),
            ("live:a.B.<init> << c.D.<clinit><e.f", "live:a.B.<init> << c.D.<clinit> < e.f"),
            ("live:*<init>", "live:*<init>"),
            ("live:a.b max=0", "live:a.b max=0"),
            ("live:a.b\tmax=018", "live:a.b max=18"),
            ("live:a.b max=18446744073709551615", "live:a.b max=18446744073709551615"),
            ("live:a.a test of max", "live:a.a test of max"),
            ("live:a.b:c", "live:a.b:c"),
        ] {
            let rule = Rule::parse(text, false).unwrap();
            assert_eq!(rule.to_string(), own, "{text}");
            assert_eq!(rule.text, text);
        }
    }

    #[test]
    fn bad_rules_say_why() {
        for (text, says) in [
            ("", "must be leak:PATTERN"),
            ("a.b", "must be leak:PATTERN"),
            ("leek:a.b", "unknown word \"leek\""),
            (":a.b", "unknown word \"\""),
            ("deflater:a.b", "leak or live is missing"),
            ("leak:", "a pattern is empty"),
            ("leak:a.b <", "a pattern is empty"),
            ("leak:a.b <<", "a pattern is empty"),
            ("leak:a.b <<< c.d", "a pattern is empty"),
            ("leak:< a.b", "a pattern is empty"),
            ("leak:<init>", "a pattern is empty"),
            ("leak:a.b < max=9999999999999999999999 < c.d", "at the end"),
            ("leak:a.b < <init>", "may be part of a name only in"),
            ("leak:a.B<c>", "may be part of a name only in"),
            ("leak:max=3", "a pattern is empty"),
            ("leak:a.b max=", "max= must have a whole number"),
            ("leak:a.b max=x", "not \"x\""),
            ("leak:a.b max=-1", "not \"-1\""),
            ("leak:a.b max=+1", "not \"+1\""),
            ("leak:a.b max=3k", "not \"3k\""),
            ("leak:a.b max=18446744073709551616", "up to 18446744073709551615"),
            ("leak:a.b max=3 < c.d", "at the end"),
            ("leak:a.b max=3 max=4", "once"),
        ] {
            let said = Rule::parse(text, false).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn rules_for_very_frames() {
        let frame = Frame::named;
        let made = frame("java.util.zip.Deflater", "<init>");
        let own = frame("a.B$1", "<init>");
        let far = frame("a.Main", "main");
        let frames = [(&made, false), (&own, true), (&far, false)];
        let rule = Rule::literal(true, Kind::Inflater, &frames).unwrap().at_most(3);
        assert_eq!(
            rule.text,
            "leak:java.util.zip.Deflater.<init> << a.B$1.<init> < a.Main.main max=3"
        );
        assert!(rule.fits([&made, &own, &far].into_iter()));
        let stream = frame("java.util.zip.ZipFile", "getInputStream");
        let rule = Rule::literal(false, Kind::ZipEntry, &[(&stream, false), (&own, true)]).unwrap();
        let text = rule.at_most(2).text;
        assert_eq!(
            text,
            "live,zip_entry:java.util.zip.ZipFile.getInputStream << a.B$1.<init> max=2"
        );
        for (class, method, written) in [
            ("a.B", "c", true),
            ("a.B", "\u{1F600} of \u{e4}", true),
            ("a.B", "it takes # for a number", false),
            ("a.B#c", "d", true),
            ("a.B", "c ", false),
            ("a.B", "", true),
            ("a.B*", "c", false),
            ("a.B<c>", "d", false),
            ("a.B < c.D", "e", false),
            ("a.<init>.B", "c", true),
            ("a.B", "c max=7", false),
            ("a.B", "max=7", true),
            ("a.B\nleak:*", "c", false),
            ("a.B\r", "c", true),
            ("a.B", "c\u{1b}[2J", true),
            ("a.B", "\u{202e}c\u{200d}", true),
            ("a.B\u{2028}", "\u{2028}c", true),
            ("a.B", "it looks like \\u{1b}", false),
            ("a.B: live", "c", true),
            ("<script>alert('x')</script>", "c", false),
            (&"x".repeat(10_000), "c", false),
        ] {
            let own = frame(class, method);
            let rule = Rule::literal(false, Kind::Deflater, &[(&made, false), (&own, true)]);
            assert_eq!(rule.is_some(), written, "{class:?} {method:?} {rule:?}");
            if let Some(rule) = rule {
                let (read, _) = Rule::read_file("x", &rule.text);
                assert!(read[0].fits([&made, &own].into_iter()), "{rule}");
                assert!(!read[0].fits([&made, &far].into_iter()), "{rule}");
            }
        }
    }

    #[test]
    fn whatever_is_taken_is_the_same_when_it_is_written_and_read_again() {
        const PARTS: [&str; 24] = [
            "leak",
            "live",
            "inflater",
            "deflater",
            ",",
            ":",
            " ",
            "\t",
            "<",
            "<<",
            "<init>",
            "<clinit>",
            "a.B.c",
            "*",
            "max=",
            "7",
            "18446744073709551616",
            "#",
            "\n",
            "\r",
            "\u{feff}",
            "\u{85}",
            "\u{1F600}",
            "\u{0}",
        ];
        let mut rng = Rng::with_seed(1);
        let mut taken = 0;
        for _ in 0..200_000 {
            let mut text: String = ["", "leak:", "live,deflater:a.b"][rng.usize(..3)].into();
            (0..rng.usize(..12)).for_each(|_| text.push_str(PARTS[rng.usize(..PARTS.len())]));
            let Ok(rule) = Rule::parse(&text, false) else { continue };
            taken += 1;
            let own = rule.to_string();
            let again =
                Rule::parse(&own, false).unwrap_or_else(|why| panic!("{text:?} {own:?} {why}"));
            assert_eq!(Rule { text: text.clone(), ..again }, rule, "{own:?}");
            let (rules, complaints) = Rule::read_file("x", &text);
            assert!(rules.len() + complaints.len() <= text.lines().count() + 1, "{text:?}");
        }
        assert!(taken > 10_000, "{taken}");
    }
}
