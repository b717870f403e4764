//! Rules: which leaks or live instances are expected.
//!
//! A rule is a line of text, `leak,live:PATTERN [< PATTERN | << PATTERN]… [max=N]`. `leak` covers
//! late and collected instances, `live` covers live ones; `inflater` or `deflater` beside them
//! limits it to one kind. The patterns must be on the stack, from the inside outwards, with any
//! frames between them at `<` and only frames of the JDK at `<<`. A pattern is matched against
//! `class.method`; `*` matches anything. With a maximum, a rule covers at most N instances over all
//! sites together. The first rule that matches a site's leaks covers them, and likewise for its
//! live instances. The built-in rules come first, so that instances of the JDK use up no maximum of
//! the user's rules. `classify` applies the rules. Invariant: a rule is plain data.

mod index;
mod built_in;
mod file;
mod pattern;
mod syntax;

use crate::model::{Frame, Kind, PerKind};
use pattern::Pattern;

pub use file::MAX_RULES;
pub use index::RuleIndex;

/// The source of built-in rules.
pub const BUILT_IN_SOURCE: &str = "built-in";

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As it was written.
    pub text: String,
    /// Whether it came with the agent.
    pub built_in: bool,
    /// Where it was read, `FILE:LINE`, or [`BUILT_IN_SOURCE`]; empty if unknown.
    pub source: String,
    /// Instances that it covers at most; none if there is no maximum.
    pub max: Option<u64>,
    leak: bool,
    live: bool,
    kinds: PerKind<bool>,
    patterns: Vec<Pattern>,
}

impl Rule {
    /// Whether it covers late and collected instances of a kind.
    pub fn speaks_of_leaks(&self, kind: Kind) -> bool {
        self.leak && *self.kinds.get(kind)
    }

    /// Whether it covers live instances of a kind.
    pub fn speaks_of_live(&self, kind: Kind) -> bool {
        self.live && *self.kinds.get(kind)
    }

    /// A rule that was read from a report: it matches nothing, because the report has what it
    /// covered.
    pub fn from_report(text: &str, built_in: bool, source: &str, max: Option<u64>) -> Rule {
        Rule {
            text: text.into(),
            built_in,
            source: source.into(),
            max,
            leak: false,
            live: false,
            kinds: PerKind::default(),
            patterns: Vec::new(),
        }
    }

    /// Whether it matches a stack, innermost frame first.
    pub fn fits<'a>(&self, frames: impl Iterator<Item = &'a Frame> + Clone) -> bool {
        pattern::fits(&self.patterns, frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn frames(names: &[&str]) -> Vec<Frame> {
        let frame = |name: &&str| {
            let (class, method) = name.rsplit_once('.').unwrap();
            Frame::named(class, method)
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn frames_fit_from_the_inside_outwards() {
        let rule = Rule::parse("live:*.getInflater < x.Loader.*", false).unwrap();
        for (stack, fits) in [
            (&["z.Inflater.<init>", "z.ZipFile.getInflater", "y.A.b", "x.Loader.find"][..], true),
            (&["z.ZipFile.getInflater", "y.A.b"], false),
            (&["x.Loader.find", "z.ZipFile.getInflater"], false),
            (&[], false),
        ] {
            assert_eq!(rule.fits(frames(stack).iter()), fits, "{stack:?}");
        }
    }

    #[test]
    fn near_means_that_only_the_jdk_stands_between() {
        let rule = Rule::parse("live:*.getInflater << java.*.loadClass", false).unwrap();
        for (stack, fits) in [
            (
                &[
                    "z.Inflater.<init>",
                    "java.util.zip.ZipFile.getInflater",
                    "java.lang.ClassLoader.loadClass",
                ][..],
                true,
            ),
            (
                &[
                    "java.util.zip.ZipFile.getInflater",
                    "sun.misc.URLClassPath.x",
                    "java.lang.ClassLoader.loadClass",
                ],
                true,
            ),
            (
                &[
                    "java.util.zip.ZipFile.getInflater",
                    "org.acme.L.loadClass",
                    "java.lang.ClassLoader.loadClass",
                ],
                false,
            ),
            (
                &[
                    "a.B.getInflater",
                    "org.acme.X.y",
                    "c.D.getInflater",
                    "java.lang.ClassLoader.loadClass",
                ],
                true,
            ),
            (&["java.util.zip.ZipFile.getInflater"], false),
        ] {
            assert_eq!(rule.fits(frames(stack).iter()), fits, "{stack:?}");
        }
    }

    #[test]
    fn a_rule_that_fits_everywhere_is_soon_done() {
        let deep = frames(&["a.B.c"; 2_048]);
        let text = format!("live:{} < z.Z", ["*"; 200].join(" < "));
        assert!(!Rule::parse(&text, false).unwrap().fits(deep.iter()));
        assert!(Rule::parse(&text.replace("z.Z", "*"), false).unwrap().fits(deep.iter()));
    }

    #[test]
    fn a_rule_speaks_of_the_verdicts_and_kinds_that_it_names() {
        let (inflater, deflater) = (Kind::Inflater, Kind::Deflater);
        for (text, kind, speaks) in [
            ("leak:x.y", inflater, (true, false)),
            ("live:x.y", deflater, (false, true)),
            ("leak,live:x.y", inflater, (true, true)),
            ("leak,deflater:x.y", inflater, (false, false)),
            ("leak,deflater:x.y", deflater, (true, false)),
            ("inflater,leak,deflater:x.y", deflater, (true, false)),
        ] {
            let rule = Rule::parse(text, false).unwrap();
            assert_eq!(
                (rule.speaks_of_leaks(kind), rule.speaks_of_live(kind)),
                speaks,
                "{text} {kind:?}"
            );
        }
    }
}
