//! Rules: which sites' leaks or live instances are expected, and why nobody needs to look.
//!
//! A rule is a line of text, `VERDICTS:PATTERN [< PATTERN | << PATTERN]… [max=N]`: the verdicts it covers (`leak` is late
//! and collected, `live` is live; several with a comma, `inflater` or `deflater` beside them where it is one kind only) and
//! frames that must be on the stack, from the inside outwards: any frames between them at `<`, only the JDK's own at
//! `<<`. A pattern is matched against `class.method`; `*` stands for anything. With a maximum it covers so many, over all
//! sites together, and no more.
//! Of the rules that speak of a site's leaks the first one is asked, and so it is for its live ones. The built-in rules come
//! first, so that what the JDK does under the user's frames uses up nobody's maximum. Who asks is `classify`.
//! Invariant: a rule is plain data; being asked changes nothing.

mod index;
mod built_in;
mod file;
mod pattern;
mod syntax;

use crate::model::{Frame, Kind, PerKind};
use pattern::Pattern;

pub use file::MAX_RULES;
pub use index::RuleIndex;
pub use pattern::in_jdk;

/// What built-in rules have for a source.
pub const BUILT_IN_SOURCE: &str = "built-in";

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As it was written.
    pub text: String,
    /// Whether it came with the agent.
    pub built_in: bool,
    /// Where it stands, `FILE:LINE`, or that it is built in; empty where nobody knows.
    pub source: String,
    /// How many it covers at most.
    pub max: Option<u64>,
    leak: bool,
    live: bool,
    kinds: PerKind<bool>,
    patterns: Vec<Pattern>,
}

impl Rule {
    /// Whether it speaks of late and collected ones of a kind.
    pub fn speaks_of_leaks(&self, kind: Kind) -> bool {
        self.leak && *self.kinds.get(kind)
    }

    /// Whether it speaks of live ones of a kind.
    pub fn speaks_of_live(&self, kind: Kind) -> bool {
        self.live && *self.kinds.get(kind)
    }

    /// A rule of a report: what it covered stands there, so it covers nothing again.
    pub fn told(text: &str, built_in: bool, source: &str, max: Option<u64>) -> Rule {
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

    /// Whether it speaks of a stack, innermost frame first.
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
            Frame { class: class.into(), method: method.into(), file: None, line: None }
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
                &["a.B.getInflater", "org.acme.X.y", "c.D.getInflater", "java.lang.ClassLoader.loadClass"],
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
            assert_eq!((rule.speaks_of_leaks(kind), rule.speaks_of_live(kind)), speaks, "{text} {kind:?}");
        }
    }
}
