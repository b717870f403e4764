//! What to change: one hint a finding, from the shape of its stack and its numbers.
//!
//! Owns what the shape of a finding is; the table of hints is `rules`'s, the sentences are
//! [`crate::wording::hint`]'s. Invariant: ids are unique and never change.

mod rules;

use crate::analysis::blame::{self, Pool, begins_with, simple};
use crate::analysis::classify::{Severity, SiteStats};
use crate::analysis::findings::{DoubleEnd, Finding};
use crate::analysis::history::{Direction, Trend};
use crate::analysis::source_names;
use crate::analysis::transparent::is_transparent;
use crate::model::Frame;
use rules::{DEFECTS, Defect, HINTS};
use std::time::Duration;

/// What a hint may depend on besides the finding.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The Java release; none if it is unknown.
    pub release: Option<u32>,
    /// How the number of live instances changes; none if it is unknown.
    pub tendency: Option<Trend>,
    /// The lines of double ends, most often first.
    pub double_ends: &'a [DoubleEnd],
}

/// What to change in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// A stable name in kebab case, such as `gzip-constructor-throws`.
    pub id: &'static str,
    /// One sentence, without a full stop.
    pub message: String,
}

/// A shorter trend says nothing about pools and leaks: at the start a program creates everything at
/// once.
pub const LONG: Duration = Duration::from_secs(60);

/// The hint for a leak or a suspect, if there is one.
pub fn hint(finding: &Finding<'_>, context: Context<'_>) -> Option<Hint> {
    let input = HintInput::new(finding, context)?;
    let hint = HINTS.iter().find(|hint| (hint.applies)(&input))?;
    Some(Hint { id: hint.id, message: (hint.message)(&input) })
}

/// The ids of all hints.
pub fn ids() -> impl Iterator<Item = &'static str> {
    HINTS.iter().map(|hint| hint.id)
}

/// The release in a JVM's description, which ends with `(Java 17)`; `1.8` is 8.
pub fn release(jvm: &str) -> Option<u32> {
    let version = jvm.rsplit_once("(Java ")?.1.strip_suffix(')')?;
    version.strip_prefix("1.").unwrap_or(version).split('.').next()?.parse().ok()
}

/// Callers of the blame frame among which a ThreadLocal is looked for: the lambda that it was given
/// may call a method that creates the value.
const CALLERS: usize = 2;

/// A finding as the table of hints sees it.
struct HintInput<'a> {
    stats: &'a SiteStats,
    /// The class of the instances, if it is a subclass.
    class: Option<&'a str>,
    /// The frames from the caller of the constructor to the blame frame that are not transparent.
    /// Behind a transparent frame there is no maker but the blame frame: what stands between calls
    /// something that it was given.
    makers: Vec<&'a Frame>,
    blame_frame: &'a Frame,
    /// Whether a ThreadLocal needed its initial value.
    is_thread_local: bool,
    pool: Option<Pool<'a>>,
    /// Whether outer frames of its stack are missing.
    is_truncated: bool,
    /// Whether the blame frame is one of several callers of a line, and the others end theirs.
    others_end_theirs: bool,
    context: Context<'a>,
}

impl<'a> HintInput<'a> {
    fn new(finding: &'a Finding<'a>, context: Context<'a>) -> Option<HintInput<'a>> {
        let worst = finding.sites.first()?;
        if finding.stats.severity() == Severity::Clean {
            return None;
        }
        let frames: Vec<&Frame> = worst.site.frames().take(finding.blame_frame + 1).collect();
        let blame_frame = *frames.last()?;
        let further = worst.site.frames().skip(frames.len());
        let callers = further.filter(|frame| !is_transparent(frame)).take(CALLERS);
        let is_thread_local = frames.iter().copied().chain(callers).any(is_initial_value);
        let class = worst.site.subclass.as_deref();
        let audited = ["java.util.zip.Inflater", "java.util.zip.Deflater"];
        let constructs = |frame: &&Frame| {
            frame.method == "<init>"
                && (audited.contains(&frame.class.as_str()) || Some(frame.class.as_str()) == class)
        };
        let inner = frames.iter().take_while(|frame| constructs(frame)).count();
        let mut makers: Vec<&Frame> = frames.into_iter().skip(inner).collect();
        let calling = makers.iter().position(|frame| is_transparent(frame));
        if let Some(calling) = calling {
            makers.truncate(calling);
            makers.push(blame_frame);
        }
        Some(HintInput {
            stats: &finding.stats,
            class,
            makers,
            blame_frame,
            is_thread_local,
            pool: blame::pool(&worst.site),
            is_truncated: worst.site.truncated,
            others_end_theirs: finding.others.is_some_and(|others| others.tally.counts.ended > 0),
            context,
        })
    }

    fn leaks(&self) -> bool {
        self.stats.leaked > 0
    }

    fn nothing_ends_them(&self) -> bool {
        self.stats.tally.counts.ended == 0
    }

    fn mostly_late(&self) -> bool {
        self.stats.tally.counts.late > self.stats.tally.counts.collected
    }

    fn release_is(&self, wanted: impl std::ops::RangeBounds<u32>) -> bool {
        self.context.release.is_some_and(|release| wanted.contains(&release))
    }

    /// Whether the number of live instances has long had one of these directions.
    fn goes(&self, ways: &[Direction]) -> bool {
        self.context.tendency.is_some_and(|trend| trend.over >= LONG && ways.contains(&trend.way))
    }

    /// A line in the class of the blame frame, nested classes included, with a double end for each
    /// leak at least: fewer are only a `close()` that may be called twice.
    fn ends_again(&self) -> Option<&'a DoubleEnd> {
        let blame_frame = outermost(self.blame_frame);
        let often = |double_end: &&DoubleEnd| double_end.times >= self.stats.leaked;
        self.context
            .double_ends
            .iter()
            .filter(often)
            .find(|double_end| outermost(&double_end.frame) == blame_frame)
    }

    /// The caller of the constructor.
    fn maker(&self) -> Option<&'a Frame> {
        self.makers.first().copied()
    }

    /// The method of the JDK that the application called.
    fn giver(&self) -> Option<&'a Frame> {
        self.makers.iter().copied().take_while(|frame| frame.jdk).last()
    }

    /// The simple name of the JDK's stream that creates it for itself. Of constructors that call
    /// each other, the outermost one is that of the class which the program names.
    fn stream(&self) -> Option<&'a str> {
        let chain = self.makers.iter().take_while(|frame| is_stream(frame));
        chain.filter(|frame| frame.method == "<init>").last().map(|frame| simple(frame))
    }

    /// Whether a `GZIPInputStream` loses its Inflater if its constructor throws. Where that is
    /// fixed (JDK-8210471), the Inflater is created in a method of its own.
    fn constructor_loses(&self) -> bool {
        self.maker()
            .is_some_and(|frame| frame.method == "<init>" && simple(frame) == "GZIPInputStream")
    }

    fn kind(&self) -> &'static str {
        self.stats.kind.noun()
    }

    /// The method of the blame frame: `Codec.decode()`.
    fn site(&self) -> String {
        source_names::method(self.blame_frame)
    }

    /// The class of the blame frame.
    fn owner(&self) -> String {
        source_names::class(self.blame_frame)
    }

    /// The subclass; nothing is known of it but its name.
    fn subclass(&self) -> String {
        source_names::class(&Frame::named(self.class.unwrap_or_default(), "<init>"))
    }

    /// The application's frame that the blame frame called, where that is not the creator itself.
    fn got(&self) -> Option<&'a Frame> {
        let (_, called) = self.makers.split_last()?;
        called.iter().rev().copied().find(|frame| !frame.jdk)
    }

    /// What is known of a class of the JDK that creates it.
    fn defect(&self) -> Option<&'static Defect> {
        let of_jdk = || self.makers.iter().take_while(|frame| frame.jdk);
        DEFECTS.iter().find(|defect| of_jdk().any(|frame| frame.class == defect.class))
    }

    /// Whether the creator probably returns it or keeps it, because it is named so, or because
    /// other threads have ended some.
    fn outlives_creator(&self) -> bool {
        const WORDS: &[&str] = &[
            "create",
            "new",
            "make",
            "build",
            "open",
            "wrap",
            "get",
            "obtain",
            "acquire",
            "provide",
            "init",
            "initialize",
            "initialise",
            "setup",
            "__init__",
        ];
        self.stats.tally.counts.ended_elsewhere > 0 || begins_with(self.blame_frame, WORDS)
    }

    /// Whether the blame frame is of a program in Java.
    fn is_java(&self) -> bool {
        self.blame_frame.file.as_ref().is_none_or(|file| file.ends_with(".java"))
    }

    /// Whether a single path is probably missing.
    fn some_are_ended(&self) -> bool {
        !self.nothing_ends_them()
    }

    fn is_in_constructor(&self) -> bool {
        self.blame_frame.method == "<init>"
    }
}

/// Whether a frame is of one of the JDK's streams that have an Inflater or a Deflater.
fn is_stream(frame: &Frame) -> bool {
    let packages = ["java.util.zip.", "java.util.jar."];
    let class = packages.iter().find_map(|package| frame.class.strip_prefix(package));
    class.is_some_and(|class| class.ends_with("Stream"))
}

/// Whether a ThreadLocal creates the value of a thread.
fn is_initial_value(frame: &Frame) -> bool {
    let methods = ["initialValue", "setInitialValue"];
    frame.jdk
        && outermost(frame) == "java.lang.ThreadLocal"
        && methods.contains(&frame.method.as_str())
}

/// The outermost class around a nested one.
fn outermost(frame: &Frame) -> &str {
    frame.class.split('$').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::classify;
    use crate::analysis::classify::tests::{MADE, classified, stack};
    use crate::analysis::findings::findings;
    use crate::analysis::footprint::Footprint;
    use crate::model::{Actor, Kind, Nanos, Role, Stack, ThreadId};
    use crate::testing::Recording;
    use std::collections::BTreeSet;
    use std::path::Path;

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

    #[test]
    fn ids_are_unique_and_documented() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json-report.md");
        let page = std::fs::read_to_string(page).unwrap();
        let listed: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("| hint_id |"))
            .skip(2)
            .map_while(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        assert_eq!(listed, ids().collect::<Vec<_>>(), "the table of ids, in the order of HINTS");
        assert_eq!(ids().collect::<BTreeSet<_>>().len(), HINTS.len());
        for id in ids() {
            assert!(id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{id}");
        }
    }

    fn goes(way: Direction) -> Trend {
        Trend { way, from: 0, to: 4, over: LONG }
    }

    const DEFLATER: &str = "java.util.zip.Deflater.<init>";
    const MAIN: &str = "a.Main.x";

    #[test]
    fn every_rule_speaks_for_its_shape() {
        const I: Kind = Kind::Inflater;
        const D: Kind = Kind::Deflater;
        let pool: &[&str] = &[MADE, "java.util.zip.ZipFile$CleanableResource.getInflater", MAIN];
        let zipfs: &[&str] = &[MADE, "jdk.nio.zipfs.ZipFileSystem.getInflater", MAIN];
        let gzip: &[&str] = &[MADE, "java.util.zip.GZIPInputStream.<init>", MAIN];
        let sound: &[&str] = &[
            MADE,
            "java.util.zip.GZIPInputStream.createInflater",
            "java.util.zip.GZIPInputStream.<init>",
            MAIN,
        ];
        let jar: &[&str] = &[
            MADE,
            "java.util.zip.ZipInputStream.<init>",
            "java.util.jar.JarInputStream.<init>",
            MAIN,
        ];
        let lent: &[&str] =
            &[MADE, "j.InflaterPool.newPooled", "j.InflaterPool.acquire", "a.Gzip.read", MAIN];
        let of_thread: &[&str] = &[
            MADE,
            "a.Main$$Lambda.get",
            "java.lang.ThreadLocal$SuppliedThreadLocal.initialValue",
            "java.lang.ThreadLocal.setInitialValue",
            MAIN,
        ];
        let in_subclass: &[&str] =
            &[MADE, "a.Main$1.initialValue", "java.lang.ThreadLocal.setInitialValue", MAIN];
        let by_helper: &[&str] = &[
            MADE,
            "a.Main.create",
            "a.Main.lambda$0",
            "a.Main$$Lambda.get",
            "java.lang.ThreadLocal$SuppliedThreadLocal.initialValue",
        ];
        let interpreted: &[&str] = &[
            MADE,
            "java.lang.reflect.Constructor.newInstance",
            "org.mozilla.javascript.MemberBox.newInstance",
            "org.mozilla.javascript.Interpreter.interpret",
        ];
        let reflected: &[&str] = &[MADE, "java.lang.reflect.Constructor.newInstance", MAIN];
        let referred: &[&str] = &[MADE, "a.Main$$Lambda.get", "java.util.Optional.orElseGet", MAIN];
        let out: &[&str] = &[
            DEFLATER,
            "java.util.zip.DeflaterOutputStream.<init>",
            "java.util.zip.GZIPOutputStream.<init>",
            MAIN,
        ];
        let tiff: &[&str] = &[DEFLATER, "com.sun.imageio.plugins.tiff.TIFFDeflater.<init>", MAIN];
        let packer: &[&str] = &[DEFLATER, "jdk.tools.Packer.run", MAIN];
        let jdk: &[&str] = &[DEFLATER, "jdk.tools.Packer.run", "java.lang.Thread.run"];
        let jdk_stream: &[&str] =
            &[DEFLATER, "java.util.zip.DeflaterOutputStream.<init>", "jdk.tools.Packer.run"];
        let factory: &[&str] = &[DEFLATER, "a.Codec.createStream", MAIN];
        let created: &[&str] = &[DEFLATER, "a.Codec.created", MAIN];
        let codec: &[&str] = &[MADE, "a.Codec.<init>", MAIN];
        let png: &[&str] = &[MADE, "sun.awt.image.PNGImageDecoder.produceImage"];
        let direct: &[&str] = &[MADE, MAIN];
        let entry: &[&str] =
            &["java.util.zip.ZipFile.getInputStream", "java.util.jar.JarFile.getInputStream", MAIN];
        // Kind, stack, created, ended, late, collected; the release; the direction; the hint.
        let mut spoken = BTreeSet::new();
        for (made, release, way, begins) in [
            (
                (I, pool, 4, 1, 0, 3),
                17,
                None,
                "close every ZipFile and every stream of its entries; ZipFile",
            ),
            (
                (I, zipfs, 4, 0, 4, 0),
                17,
                None,
                "close every zip FileSystem and every stream of its entries; zip FileSystem pools",
            ),
            (
                (Kind::ZipEntry, entry, 4, 1, 0, 3),
                17,
                None,
                "close the stream that Main.x() gets from JarFile.getInputStream() on every path",
            ),
            (
                (Kind::ZipEntry, entry, 4, 0, 0, 0),
                17,
                Some(Direction::Grew),
                "close the stream that Main.x() gets from JarFile.getInputStream(); reading",
            ),
            (
                (I, direct, 4, 0, 3, 1),
                17,
                None,
                "the object that owns the Inflater created in Main.x() was left to its finalizer or Cleaner; close that object",
            ),
            (
                (I, direct, 4, 0, 3, 1),
                11,
                None,
                "call end() in a finally block in Main.x(); if the method returns or keeps",
            ),
            (
                (I, gzip, 4, 2, 0, 2),
                17,
                None,
                "close the GZIPInputStream created in Main.x() on every path, exceptions included; if it",
            ),
            (
                (I, sound, 4, 0, 0, 4),
                21,
                None,
                "close the GZIPInputStream created in Main.x(); reading it to its end",
            ),
            (
                (I, jar, 4, 0, 0, 4),
                21,
                None,
                "close the JarInputStream created in Main.x(); reading it to its end",
            ),
            (
                (I, lent, 4, 0, 0, 4),
                17,
                None,
                "Gzip.read() probably does not give back the Inflater that it gets from InflaterPool.acquire();",
            ),
            (
                (I, lent, 4, 0, 0, 0),
                17,
                Some(Direction::Flat),
                "if this is a pool, add the rule live:j.InflaterPool.* max=4 to a file",
            ),
            (
                (I, of_thread, 4, 0, 0, 4),
                17,
                None,
                "the Inflater that a ThreadLocal creates in Main.x() is lost when its thread ends",
            ),
            (
                (I, in_subclass, 4, 0, 0, 4),
                25,
                None,
                "the Inflater that a ThreadLocal creates in initialValue() of an anonymous class in Main (Main",
            ),
            (
                (I, by_helper, 4, 0, 0, 4),
                17,
                None,
                "the Inflater that a ThreadLocal creates in Main.create() is lost when its thread ends",
            ),
            (
                (I, interpreted, 4, 0, 0, 4),
                17,
                None,
                "a script or an expression that MemberBox.newInstance() evaluates probably creates",
            ),
            (
                (I, reflected, 4, 0, 0, 4),
                17,
                None,
                "call end() in a finally block in Main.x(); if the method returns or keeps",
            ),
            (
                (I, referred, 4, 0, 0, 4),
                17,
                None,
                "call end() in a finally block in Main.x(); if the method returns or keeps",
            ),
            (
                (D, out, 4, 0, 0, 4),
                17,
                None,
                "close the GZIPOutputStream created in Main.x(); finish() and flush()",
            ),
            (
                (D, out, 4, 3, 0, 1),
                25,
                None,
                "close the GZIPOutputStream created in Main.x() on every path, exceptions included; finish() and flush() do not end its Deflater, close() does; if it is closed already, its constructor has probably thrown because the stream below",
            ),
            (
                (I, png, 4, 0, 0, 4),
                17,
                None,
                "a defect of the JDK: sun.awt.image.PNGImageDecoder never ends this Inflater, and the application cannot; ImageIO.read() does not",
            ),
            (
                (D, tiff, 4, 0, 0, 4),
                17,
                None,
                "a defect of the JDK: com.sun.imageio.plugins.tiff.TIFFDeflater never ends this Deflater, and",
            ),
            (
                (D, jdk, 4, 0, 0, 4),
                17,
                None,
                "Packer.run() and all its callers are code of the JDK, so the application",
            ),
            (
                (D, jdk_stream, 4, 0, 0, 4),
                17,
                None,
                "Packer.run() and all its callers are code of the JDK, so the application",
            ),
            (
                (D, packer, 4, 0, 0, 4),
                17,
                None,
                "close the object of the JDK that Main.x() uses, whose jdk.tools.Packer creates",
            ),
            (
                (D, factory, 4, 0, 0, 4),
                25,
                None,
                "Codec.createStream() probably returns or keeps this Deflater, alone or in another object; call end() where its owner is closed, because",
            ),
            (
                (D, created, 4, 3, 0, 1),
                17,
                None,
                "call end() in a finally block in Codec.created(); if",
            ),
            (
                (I, codec, 4, 0, 0, 4),
                17,
                None,
                "Codec creates this Inflater in its constructor; it probably needs",
            ),
            (
                (I, codec, 4, 3, 0, 1),
                17,
                None,
                "Codec creates this Inflater in its constructor, and some are ended; probably",
            ),
            (
                (I, direct, 4, 0, 0, 4),
                25,
                None,
                "use try (Inflater z = new Inflater(…)) in Main.x(); if the method returns or keeps",
            ),
            (
                (I, direct, 4, 3, 0, 1),
                17,
                None,
                "call end() in a finally block in Main.x(); if the method returns or keeps this Inflater, find the owner that is not closed",
            ),
            (
                (I, direct, 4, 0, 0, 0),
                17,
                Some(Direction::Flat),
                "if this is a pool, add the rule live:a.Main.* max=4 to a file",
            ),
            (
                (I, direct, 4, 0, 0, 0),
                17,
                Some(Direction::Grew),
                "find out what retains the Inflaters created in Main.x()",
            ),
        ] {
            let classification = classified(&[made]);
            let findings = findings(&classification.sites).unwrap();
            let context =
                Context { release: Some(release), tendency: way.map(goes), double_ends: &[] };
            let said = hint(&findings[0], context).map(|hint| hint.message).unwrap_or_default();
            assert!(said.starts_with(begins), "{said}");
            let input = HintInput::new(&findings[0], context).unwrap();
            spoken.extend(HINTS.iter().position(|rule| (rule.applies)(&input)));
        }
        // Those of subclasses, double ends, callers and stacks that are cut have their own tests.
        assert_eq!(spoken.len(), HINTS.len() - 4, "{spoken:?}");
    }

    #[test]
    fn what_the_one_caller_that_loses_gets() {
        let said = |from: &[&str]| {
            let by = |caller| [&[MADE], from, &[caller, MAIN]].concat();
            let (bad, good) = (by("a.Bad.y"), by("a.Good.z"));
            let classification = classified(&[
                (Kind::Inflater, bad.as_slice(), 4, 0, 0, 4),
                (Kind::Inflater, good.as_slice(), 4, 4, 0, 0),
            ]);
            hint(&findings(&classification.sites).unwrap()[0], Context::default()).unwrap()
        };
        for (from, begins) in [
            (
                &["a.Codec.open"][..],
                "Bad.y() probably does not end or close the Inflater that it gets from Codec.open(),",
            ),
            (
                &["java.util.zip.GZIPInputStream.<init>", "a.Codec.open", "a.Util.read"],
                "Bad.y() probably does not end or close the GZIPInputStream that it gets from Util.read(),",
            ),
            (
                &["a.Codec.<init>"],
                "Bad.y() probably does not close the Codec that it creates, as other callers do;",
            ),
        ] {
            let said = said(from);
            assert!(said.message.starts_with(begins), "{said:?}");
            assert_eq!(said.id, "caller-does-not-close");
        }
    }

    #[test]
    fn a_stack_that_is_cut_does_not_tell() {
        let gzip = "java.util.zip.GZIPInputStream.<init>";
        let session = Recording::default();
        let cut = Stack { truncated: true, ..stack(&[MADE, gzip]) };
        let site = session.learn(Kind::Inflater, cut).unwrap();
        let id = session.id();
        session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
        session.record_freed(id, Nanos(1));
        let said = only_hint(&session, Context::default());
        assert!(said.starts_with("the stack ends at the depth limit"), "{said}");
    }

    #[test]
    fn a_statement_of_java_is_for_java() {
        for (file, begins) in
            [("Main.java", "use try (Inflater z"), ("Main.kt", "call end() in a finally")]
        {
            let mut made = stack(&[MADE, MAIN]);
            made.frames.iter_mut().for_each(|frame| frame.file = Some(file.into()));
            let session = Recording::default();
            let site = session.learn(Kind::Inflater, made).unwrap();
            let id = session.id();
            session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
            session.record_freed(id, Nanos(1));
            let said = only_hint(&session, Context { release: Some(25), ..Context::default() });
            assert!(said.starts_with(begins), "{said}");
        }
    }

    #[test]
    fn what_other_threads_end_outlives_its_creator() {
        let session = Recording::default();
        let site = session.learn(Kind::Inflater, stack(&[MADE, MAIN])).unwrap();
        for (ender, begins) in [
            (1, "call end() in a finally block in Main.x()"),
            (2, "Main.x() probably returns or keeps this Inflater"),
        ] {
            let [ended, lost] = [session.id(), session.id()];
            for id in [ended, lost] {
                session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
            }
            let by = Actor { thread: ThreadId(ender), role: Role::Program };
            session.record_ended(ended, by, Nanos(1));
            session.record_freed(lost, Nanos(1));
            let said = only_hint(&session, Context::default());
            assert!(said.starts_with(begins), "{said}");
        }
    }

    #[test]
    fn what_is_ended_twice_stands_for_what_is_forgotten() {
        let wrong = |class: &str, made: &[&str], times| {
            let frame = stack(&[&format!("{class}.close")]).frames.remove(0);
            let double_ends = [DoubleEnd { kind: Kind::Deflater, times, frame }];
            let classification = classified(&[(Kind::Inflater, made, 4, 0, 0, 4)]);
            let context = Context { double_ends: &double_ends, ..Context::default() };
            hint(&findings(&classification.sites).unwrap()[0], context).unwrap().message
        };
        let said = "Codec$Closer.close() calls end() on an instance that is already ended, probably the wrong \
                    one; the Inflater created in Codec.open() is never ended";
        assert_eq!(wrong("a.Codec$Closer", &[MADE, "a.Codec.open"], 4), said);
        for (class, made, times) in [
            ("a.Codecs", &[MADE, "a.Codec.open"][..], 4),
            ("b.Codec", &[MADE, "a.Codec.open"], 4),
            ("a.Codec", &[MADE, "a.Codec.open"], 3),
            // A stream that was made for another stream is ended by closing that.
            ("a.Codec", &[MADE, "java.util.zip.InflaterInputStream.<init>", "a.Codec.open"], 4),
        ] {
            assert!(!wrong(class, made, times).contains("already ended"), "{class} {made:?}");
        }
    }

    #[test]
    fn a_subclass_may_hide_end() {
        let session = Recording::default();
        let frame = |name: &str| {
            let (class, method) = name.rsplit_once('.').unwrap();
            Frame::named(class, method)
        };
        let frames = [MADE, "a.Own.<init>", MAIN].map(frame).to_vec();
        let stack = Stack { frames, truncated: false, subclass: Some("a.Own".into()) };
        let site = session.learn(Kind::Inflater, stack).unwrap();
        let id = session.id();
        session.record_created(id, site, ThreadId(1), Nanos(0)).unwrap();
        session.record_freed(id, Nanos(1));
        for (release, message) in [
            (
                None,
                "Own extends Inflater: call end(); if it overrides end(), the override must call \
                 super.end()",
            ),
            (
                Some(25),
                "Own extends Inflater: use it in a try-with-resources statement; if it overrides \
                 close() or end(), the override must call super.close() or super.end()",
            ),
        ] {
            let said = only_hint(&session, Context { release, ..Context::default() });
            assert_eq!(said, message);
        }
    }

    /// The hint of the one finding of a session.
    fn only_hint(session: &Recording, context: Context<'_>) -> String {
        let snapshot = session.snapshot(Nanos(2), Duration::ZERO).unwrap();
        let classification = classify(&snapshot, &Footprint::default(), &[]).unwrap();
        hint(&findings(&classification.sites).unwrap()[0], context).unwrap().message
    }

    #[test]
    fn nothing_is_said_where_nothing_is_wrong_or_known() {
        for (made, way) in [
            ((Kind::Inflater, &[MADE, MAIN][..], 4, 4, 0, 0), None),
            ((Kind::Inflater, &[MADE, MAIN], 4, 0, 0, 0), None),
            ((Kind::Inflater, &[MADE, MAIN], 4, 0, 0, 0), Some(Direction::Varied)),
        ] {
            let classification = classified(&[made]);
            assert_eq!(
                hint(
                    &findings(&classification.sites).unwrap()[0],
                    Context { tendency: way.map(goes), ..Context::default() }
                ),
                None
            );
        }
    }
}
