//! Rules: which sites' leaks or live instances are expected, and why nobody needs to look.
//!
//! A rule is a line of text, `VERDICTS:PATTERN [< PATTERN | << PATTERN]…`: the verdicts it covers (`leak` is late
//! and collected, `live` is live; several with a comma) and frames that must be on the stack, from the inside
//! outwards: any frames between them at `<`, only the JDK's own at `<<`. A pattern is matched against
//! `class.method`; `*` stands for anything.
//! The first rule that fits a site is its rule: the user's own are asked before the built-in ones below, which are
//! rules like any other. Knows no numbers but those it is asked to cover.
//! Invariant: covering changes no count; it says how many of them are `expected`.

mod file;

use crate::event::Frame;
use crate::ledger::Tally;

/// What the JDK itself does, found on JDK 8 to 28.
///
/// `ZipFile` keeps its Inflaters in a pool: the frame that made one is not always the one that lost it. Under a
/// class loader or the manifest reader the JDK's own code is at work, whatever becomes of the Inflater (on JDK 8
/// `JarFile.checkForSpecialAttributes` and `JarIndex` forget entry streams); but only as long as no frame of the
/// program stands between, as in a class loader that reads archives itself. Under the program's frames a pooled
/// Inflater is expected while it lives, and a leak when only the collector freed it. The compiler and `javap` of
/// JDK 8 keep one for each archive, through a soft reference, and end none.
const BUILT_IN: &[&str] = &[
    "leak,live:java.util.zip.ZipFile*.getInflater << java.*.loadClass",
    "leak,live:java.util.zip.ZipFile*.getInflater << jdk.*.loadClass",
    "leak,live:java.util.zip.ZipFile*.getInflater << sun.*.loadClass",
    "leak,live:java.util.zip.ZipFile*.getInflater << java.net.URLClassLoader.findClass",
    "leak,live:java.util.zip.ZipFile*.getInflater << java.util.jar.JarFile.getManifest*",
    "leak,live:java.util.zip.ZipFile*.getInflater << java.util.jar.JarFile.checkForSpecialAttributes",
    "leak,live:java.util.zip.ZipFile*.getInflater << java.util.jar.JarFile.hasClassPathAttribute",
    "leak,live:java.util.zip.ZipFile*.getInflater << *.JarIndex.getJarIndex",
    "leak,live:java.util.zip.ZipFile*.getInflater << sun.launcher.LauncherHelper.*",
    "live:java.util.zip.ZipFile*.getInflater",
    "live:*.zipfs.ZipFileSystem.getInflater",
    "live:*.zipfs.ZipFileSystem.getDeflater",
    "leak,live:com.sun.tools.javac.file.ZipFileIndex.inflate",
];

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As it was written.
    pub text: String,
    /// Whether it came with the agent.
    pub built_in: bool,
    leak: bool,
    live: bool,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// Whether only frames of the JDK may stand between this frame and the one before.
    near: bool,
}

impl Rule {
    /// Reads one rule. The error says what is wrong with it.
    pub fn parse(text: &str, built_in: bool) -> Result<Rule, String> {
        let (verdicts, patterns) = text.split_once(':').ok_or("VERDICTS:PATTERN is needed")?;
        let mut rule = Rule { text: text.into(), built_in, leak: false, live: false, patterns: Vec::new() };
        for verdict in verdicts.split(',') {
            match verdict.trim() {
                "leak" => rule.leak = true,
                "live" => rule.live = true,
                other => return Err(format!("unknown verdict {other:?}; there are leak and live")),
            }
        }
        let mut near = false;
        for pattern in patterns.split('<') {
            let pattern = pattern.trim();
            if !pattern.is_empty() {
                rule.patterns.push(Pattern { text: pattern.into(), near });
                near = false;
            } else if near || rule.patterns.is_empty() {
                return Err("an empty pattern fits nothing".into());
            } else {
                // The nothing between the two signs of `<<`.
                near = true;
            }
        }
        if near {
            return Err("an empty pattern fits nothing".into());
        }
        Ok(rule)
    }

    /// A rule of a report: what it covered stands there, so it covers nothing again.
    pub fn told(text: &str, built_in: bool) -> Rule {
        Rule { text: text.into(), built_in, leak: false, live: false, patterns: Vec::new() }
    }

    /// The built-in rules, in the order in which they are asked.
    pub fn built_in() -> Vec<Rule> {
        // That every one of them parses is a test below.
        BUILT_IN.iter().filter_map(|text| Rule::parse(text, true).ok()).collect()
    }

    /// Whether the rule speaks of a stack, innermost frame first.
    pub fn fits<'a>(&self, frames: impl Iterator<Item = &'a Frame> + Clone) -> bool {
        fits(&self.patterns, frames)
    }

    /// How many of a site's instances it covers: (of late and collected, of live).
    pub fn covers(&self, tally: &Tally) -> (u64, u64) {
        let leaks = if self.leak { tally.counts.late + tally.counts.collected } else { 0 };
        (leaks, if self.live { tally.live } else { 0 })
    }
}

/// Whether the patterns are found one after the other. All places where a pattern may end are carried to the next
/// one: trying them one by one would take years where somebody's rule is `* < * < * < *`.
fn fits<'a>(patterns: &[Pattern], frames: impl Iterator<Item = &'a Frame> + Clone) -> bool {
    // For each frame: whether the patterns so far fit, the last of them here. Before the first there is no frame.
    let mut ends: Option<Vec<bool>> = None;
    for pattern in patterns {
        let mut open = ends.is_none();
        let before = ends.unwrap_or_default().into_iter().chain(std::iter::repeat(false));
        let here: Vec<bool> = frames
            .clone()
            .zip(before)
            .map(|(frame, ended)| {
                let fits = open && glob(&pattern.text, &frame.class, &frame.method);
                open = ended || (open && (!pattern.near || in_jdk(&frame.class)));
                fits
            })
            .collect();
        if !here.contains(&true) {
            return false;
        }
        ends = Some(here);
    }
    true
}

/// Whether a class is the JDK's own.
pub fn in_jdk(class: &str) -> bool {
    ["java.", "javax.", "jdk.", "sun.", "com.sun."].iter().any(|package| class.starts_with(package))
}

/// Whether `class.method` fits a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, class: &str, method: &str) -> bool {
    let text: Vec<u8> = class.bytes().chain([b'.']).chain(method.bytes()).collect();
    let mut rest = text.as_slice();
    let mut parts = pattern.split('*').map(str::as_bytes);
    // The part before the first star is a beginning, the one behind the last an end, those between are found
    // from left to right, each as early as can be.
    let Some(after) = parts.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = after;
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = (0..=rest.len()).find(|at| rest.get(*at..).is_some_and(|r| r.starts_with(part)))
        else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Counts;

    fn frames(names: &[&str]) -> Vec<Frame> {
        let frame = |name: &&str| {
            let (class, method) = name.rsplit_once('.').unwrap();
            Frame { class: class.into(), method: method.into(), file: None, line: None }
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn every_built_in_rule_parses() {
        assert_eq!(Rule::built_in().len(), BUILT_IN.len());
    }

    #[test]
    fn globs() {
        for (pattern, class, method, fits) in [
            ("a.B.c", "a.B", "c", true),
            ("a.B.c", "a.B", "cd", false),
            ("a.B.*", "a.B", "<init>", true),
            ("*.c", "a.B", "c", true),
            ("*.c", "a.B", "xc", false),
            ("a.*B*.get*", "a.x.B$1", "getInflater", true),
            ("*", "a.B", "c", true),
            ("a*a", "a", "a", true),
            ("a.a*a.a", "a", "a", false),
            ("*bc*bc", "a", "bcbc", true),
            ("*bc*bc", "a", "bc", false),
        ] {
            assert_eq!(glob(pattern, class, method), fits, "{pattern} {class}.{method}");
        }
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
    fn a_rule_covers_the_verdicts_that_it_names() {
        let counts = Counts { created: 9, ended: 2, late: 1, collected: 2, ..Counts::default() };
        let tally = Tally { counts, live: 4, ..Tally::default() };
        for (text, covered) in [("leak:x.y", (3, 0)), ("live:x.y", (0, 4)), ("leak,live:x.y", (3, 4))] {
            assert_eq!(Rule::parse(text, false).unwrap().covers(&tally), covered, "{text}");
        }
    }

    #[test]
    fn bad_rules_say_why() {
        for (text, says) in [
            ("", "VERDICTS:PATTERN"),
            ("a.b", "VERDICTS:PATTERN"),
            ("leek:a.b", "unknown verdict \"leek\""),
            ("leak:", "empty pattern"),
            ("leak:a.b <", "empty pattern"),
            ("leak:a.b <<", "empty pattern"),
            ("leak:a.b <<< c.d", "empty pattern"),
            ("leak:< a.b", "empty pattern"),
        ] {
            assert!(Rule::parse(text, false).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn the_jdk_s_own_stacks_are_covered() {
        let rule_of = |stack: &[&str]| {
            let stack = frames(stack);
            Rule::built_in()
                .into_iter()
                .find(|rule| rule.fits(stack.iter()))
                .map(|rule| (rule.leak, rule.live))
        };
        for (stack, covered) in [
            // JDK 8, application class loader
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "java.util.zip.ZipFile.getInflater",
                    "java.util.zip.ZipFile.getInputStream",
                    "java.util.jar.JarFile.getInputStream",
                    "sun.misc.URLClassPath$JarLoader$2.getInputStream",
                    "java.net.URLClassLoader.defineClass",
                    "java.lang.ClassLoader.loadClass",
                ][..],
                Some((true, true)),
            ),
            // JDK 9 and later, the program's own reading
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "java.util.zip.ZipFile$CleanableResource.getInflater",
                    "java.util.zip.ZipFile$ZipFileInflaterInputStream.<init>",
                    "java.util.zip.ZipFile.getInputStream",
                    "org.acme.Main.read",
                ],
                Some((false, true)),
            ),
            (
                &["java.util.zip.Inflater.<init>", "jdk.nio.zipfs.ZipFileSystem.getInflater"],
                Some((false, true)),
            ),
            // The compiler of JDK 8, whoever runs it
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "com.sun.tools.javac.file.ZipFileIndex.inflate",
                    "com.sun.tools.javac.file.ZipFileIndex.readBytes",
                    "org.acme.Main.compile",
                ],
                Some((true, true)),
            ),
            // A class loader of the program's own that reads archives itself
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "java.util.zip.ZipFile$CleanableResource.getInflater",
                    "java.util.zip.ZipFile.getInputStream",
                    "org.acme.PluginLoader.loadClass",
                    "java.lang.ClassLoader.loadClass",
                ],
                Some((false, true)),
            ),
            (&["java.util.zip.Inflater.<init>", "org.acme.Main.loadClass"], None),
        ] {
            assert_eq!(rule_of(stack), covered, "{stack:?}");
        }
    }
}
