//! What to change: one sentence a place, from the shape of its stack and its numbers.
//!
//! Owns what a place's shape is; the table of rules has a file of its own. Knows no format. Invariant: what only follows from experience, and
//! not from what was seen, says "probably".

mod rules;

use crate::analysis::classify::{Severity, Verdict};
use crate::analysis::findings::{Ender, Place};
use crate::analysis::history::{Tendency, Way};
use crate::model::Frame;
use rules::RULES;
use std::time::Duration;

/// What a hint may depend on beside the place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The Java release, where it is known.
    pub release: Option<u32>,
    /// Which way the number of live ones goes, where that is known.
    pub tendency: Option<Tendency>,
    /// Who ends what was ended before.
    pub enders: &'a [Ender],
}

/// What is watched for less says nothing about pools and leaks: programs that start do everything at once.
pub const LONG: Duration = Duration::from_secs(60);

/// The sentence for a place where something leaks or is still open.
pub fn hint(place: &Place<'_>, surroundings: Surroundings<'_>) -> Option<String> {
    let case = Case::new(place, surroundings)?;
    RULES.iter().find(|rule| (rule.fits)(&case)).map(|rule| (rule.says)(&case))
}

/// The release in a JVM's description, which ends with `(Java 17)`; `1.8` is 8.
pub fn release(jvm: &str) -> Option<u32> {
    let version = jvm.rsplit_once("(Java ")?.1.strip_suffix(')')?;
    version.strip_prefix("1.").unwrap_or(version).split('.').next()?.parse().ok()
}

/// A place as the rules see it.
struct Case<'a> {
    verdict: &'a Verdict,
    /// The instance's class where it is a subclass.
    class: Option<&'a str>,
    /// The frames from the one that calls the constructor to the culprit.
    makers: Vec<&'a Frame>,
    culprit: &'a Frame,
    surroundings: Surroundings<'a>,
}

impl<'a> Case<'a> {
    fn new(place: &'a Place<'a>, surroundings: Surroundings<'a>) -> Option<Case<'a>> {
        let worst = place.sites.first()?;
        if place.verdict.severity() == Severity::Clean {
            return None;
        }
        let mut frames: Vec<&Frame> = worst.site.frames().take(place.culprit + 1).collect();
        let culprit = *frames.last()?;
        let class = worst.site.subclass.as_deref();
        let audited = ["java.util.zip.Inflater", "java.util.zip.Deflater"];
        let constructs = |frame: &&Frame| {
            frame.method == "<init>"
                && (audited.contains(&frame.class.as_str()) || Some(frame.class.as_str()) == class)
        };
        let inner = frames.iter().take_while(|frame| constructs(frame)).count();
        let makers = frames.split_off(inner);
        Some(Case { verdict: &place.verdict, class, makers, culprit, surroundings })
    }

    fn leaks(&self) -> bool {
        self.verdict.leaked > 0
    }

    fn nothing_ends_them(&self) -> bool {
        self.verdict.tally.counts.ended == 0
    }

    fn mostly_late(&self) -> bool {
        self.verdict.tally.counts.late > self.verdict.tally.counts.collected
    }

    fn release_is(&self, wanted: impl std::ops::RangeBounds<u32>) -> bool {
        self.surroundings.release.is_some_and(|release| wanted.contains(&release))
    }

    /// Whether the number of live ones has long gone one of these ways.
    fn goes(&self, ways: &[Way]) -> bool {
        self.surroundings.tendency.is_some_and(|told| told.over >= LONG && ways.contains(&told.way))
    }

    /// A line of the class that makes it, nested classes included, that ends what is ended already: at least once for each one lost,
    /// or it is only a `close()` that may be called twice.
    fn ends_again(&self) -> Option<&'a Ender> {
        let culprit = outermost(self.culprit);
        let often = |ender: &&Ender| ender.times >= self.verdict.leaked;
        self.surroundings.enders.iter().filter(often).find(|ender| outermost(&ender.frame) == culprit)
    }

    /// Who calls the constructor.
    fn maker(&self) -> Option<&'a Frame> {
        self.makers.first().copied()
    }

    /// The simple name of the JDK's stream that makes it for itself.
    fn stream(&self) -> Option<&'a str> {
        let maker = self.maker().filter(|frame| frame.method == "<init>")?;
        maker.class.strip_prefix("java.util.zip.").filter(|name| name.ends_with("Stream"))
    }

    fn kind(&self) -> &'static str {
        self.verdict.kind.class()
    }

    fn culprit(&self) -> String {
        called(self.culprit)
    }

    fn class_of_culprit(&self) -> &'a str {
        simple(self.culprit)
    }

    /// Where most are ended it is a single path that forgets.
    fn somewhere(&self) -> &'static str {
        if self.nothing_ends_them() { "" } else { " on every path, also where something throws" }
    }
}

/// `Codec.decode()`.
fn called(frame: &Frame) -> String {
    format!("{}.{}()", simple(frame), frame.method)
}

/// The class, or the one around it that is in none.
fn outermost(frame: &Frame) -> &str {
    frame.class.split('$').next().unwrap_or_default()
}

/// The class's name without its package.
fn simple(frame: &Frame) -> &str {
    frame.class.rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, judged, stack};
    use crate::analysis::findings::places;
    use crate::model::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn releases() {
        for (jvm, expected) in [
            ("OpenJDK 64-Bit Server VM 25.352-b08 (Java 1.8)", Some(8)),
            ("OpenJDK 64-Bit Server VM 17.0.15+6 (Java 17)", Some(17)),
            ("x (Java )", None),
            ("OpenJDK", None),
            ("", None),
        ] {
            assert_eq!(release(jvm), expected, "{jvm}");
        }
    }

    fn goes(way: Way) -> Tendency {
        Tendency { way, from: 0, to: 4, over: LONG }
    }

    const DEFLATER: &str = "java.util.zip.Deflater.<init>";
    const MAIN: &str = "a.Main.x";

    #[test]
    fn every_rule_speaks_for_its_shape() {
        const I: Kind = Kind::Inflater;
        const D: Kind = Kind::Deflater;
        let pool: &[&str] = &[MADE, "java.util.zip.ZipFile$CleanableResource.getInflater", MAIN];
        let gzip: &[&str] = &[MADE, "java.util.zip.GZIPInputStream.<init>", MAIN];
        let out: &[&str] = &[
            DEFLATER,
            "java.util.zip.DeflaterOutputStream.<init>",
            "java.util.zip.GZIPOutputStream.<init>",
            MAIN,
        ];
        let tiff: &[&str] = &[DEFLATER, "com.sun.imageio.plugins.tiff.TIFFDeflater.<init>", MAIN];
        let codec: &[&str] = &[MADE, "a.Codec.<init>", MAIN];
        let png: &[&str] = &[MADE, "sun.awt.image.PNGImageDecoder.produceImage"];
        let direct: &[&str] = &[MADE, MAIN];
        // Kind, stack, created, ended, late, collected; the release; which way; what is said of it.
        let mut spoken = BTreeSet::new();
        for (made, release, way, begins) in [
            ((I, pool, 4, 1, 0, 3), 17, None, "a ZipFile or an entry stream was not closed"),
            (
                (I, direct, 4, 0, 3, 1),
                17,
                None,
                "whatever Main.x() keeps it in was left to its own finalizer",
            ),
            ((I, direct, 4, 0, 3, 1), 11, None, "call end() in a finally block in Main.x(); a stream"),
            (
                (I, gzip, 4, 2, 0, 2),
                17,
                None,
                "close the GZIPInputStream that Main.x() makes on every path, also where",
            ),
            (
                (I, gzip, 4, 0, 0, 4),
                21,
                None,
                "close the GZIPInputStream that Main.x() makes: to read it to its end",
            ),
            (
                (D, out, 4, 0, 0, 4),
                17,
                None,
                "close the DeflaterOutputStream that Main.x() makes: finish() and flush()",
            ),
            ((I, png, 4, 0, 0, 4), 17, None, "PNGImageDecoder.produceImage() is the JDK's own"),
            ((D, tiff, 4, 0, 0, 4), 17, None, "close what Main.x() got from the JDK, whose com.sun.imageio"),
            ((I, codec, 4, 0, 0, 4), 17, None, "Codec makes it while it is constructed: probably it needs"),
            (
                (I, codec, 4, 3, 0, 1),
                17,
                None,
                "Codec makes it while it is constructed, and some are ended: probably",
            ),
            ((I, direct, 4, 0, 0, 4), 25, None, "try (Inflater z = new Inflater(…)) in Main.x() ends it"),
            ((I, direct, 4, 3, 0, 1), 17, None, "call end() in a finally block on every path"),
            (
                (I, direct, 4, 0, 0, 0),
                17,
                Some(Way::Flat),
                "if it is a pool, a rule says so: live:a.Main.* max=4 in",
            ),
            (
                (I, direct, 4, 0, 0, 0),
                17,
                Some(Way::Grew),
                "find what keeps them after Main.x() has made them",
            ),
        ] {
            let judgement = judged(&[made]);
            let places = places(&judgement.sites).unwrap();
            let surroundings = Surroundings { release: Some(release), tendency: way.map(goes), enders: &[] };
            let said = hint(&places[0], surroundings).unwrap_or_default();
            assert!(said.starts_with(begins), "{said}");
            let case = Case::new(&places[0], surroundings).unwrap();
            spoken.extend(RULES.iter().position(|rule| (rule.fits)(&case)));
        }
        // That of subclasses and that of double ends have tests of their own.
        assert_eq!(spoken.len(), RULES.len() - 2, "{spoken:?}");
    }

    #[test]
    fn what_is_ended_twice_stands_for_what_is_forgotten() {
        let wrong = |class: &str, made: &[&str], times| {
            let frame = stack(&[&format!("{class}.close")]).frames.remove(0);
            let enders = [Ender { kind: Kind::Deflater, times, frame }];
            let judgement = judged(&[(Kind::Inflater, made, 4, 0, 0, 4)]);
            let surroundings = Surroundings { enders: &enders, ..Surroundings::default() };
            hint(&places(&judgement.sites).unwrap()[0], surroundings).unwrap()
        };
        let said = "Codec$Closer.close() calls end() on what is ended already: probably on the wrong one, and forgets the \
                    Inflater that Codec.open() makes";
        assert_eq!(wrong("a.Codec$Closer", &[MADE, "a.Codec.open"], 4), said);
        for (class, made, times) in [
            ("a.Codecs", &[MADE, "a.Codec.open"][..], 4),
            ("b.Codec", &[MADE, "a.Codec.open"], 4),
            ("a.Codec", &[MADE, "a.Codec.open"], 3),
            // A stream that was made for another stream is ended by closing that.
            ("a.Codec", &[MADE, "java.util.zip.InflaterInputStream.<init>", "a.Codec.open"], 4),
        ] {
            assert!(!wrong(class, made, times).contains("already"), "{class} {made:?}");
        }
    }

    #[test]
    fn a_subclass_may_hide_end() {
        use crate::model::{Nanos, Stack, StackKey, ThreadId};
        let session = crate::session::Session::default();
        let frame = |name: &str| {
            let (class, method) = name.rsplit_once('.').unwrap();
            Frame { class: class.into(), method: method.into(), file: None, line: None }
        };
        let frames = [MADE, "a.Own.<init>", MAIN].map(frame).to_vec();
        let stack = Stack { frames, truncated: false, subclass: Some("a.Own".into()) };
        let site = session.learn(Kind::Inflater, StackKey(1), stack).unwrap();
        let id = session.id(ThreadId(1));
        session.created(id, site, ThreadId(1), Nanos(0)).unwrap();
        session.freed(id, Nanos(1));
        let snapshot = session.snapshot(Nanos(2), std::time::Duration::ZERO).unwrap();
        let judgement =
            crate::analysis::classify::judge(&snapshot, &crate::analysis::footprint::Native::default(), &[])
                .unwrap();
        let said = hint(&places(&judgement.sites).unwrap()[0], Surroundings::default());
        assert_eq!(
            said.as_deref(),
            Some("call end(); and if a.Own overrides end(), that has to call super.end()")
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_is_wrong_or_known() {
        for (made, way) in [
            ((Kind::Inflater, &[MADE, MAIN][..], 4, 4, 0, 0), None),
            ((Kind::Inflater, &[MADE, MAIN], 4, 0, 0, 0), None),
            ((Kind::Inflater, &[MADE, MAIN], 4, 0, 0, 0), Some(Way::Varied)),
        ] {
            let judgement = judged(&[made]);
            assert_eq!(
                hint(
                    &places(&judgement.sites).unwrap()[0],
                    Surroundings { tendency: way.map(goes), ..Surroundings::default() }
                ),
                None
            );
        }
    }
}
