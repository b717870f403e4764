//! The rules that come with the agent: what the JDK itself leaves open, found on JDK 8 to 28.
//!
//! Rules like any other, written as in a file. Invariant: each of them parses, and speaks of the
//! JDK's own frames only.

use super::Rule;

/// What the JDK itself does.
///
/// `ZipFile` keeps its Inflaters in a pool: the frame that made one is not always the one that lost
/// it. Under a class loader or the manifest reader the JDK's own code is at work, whatever becomes
/// of the Inflater (on JDK 8 `JarFile.checkForSpecialAttributes` and `JarIndex` forget entry
/// streams); but only as long as no frame of the program stands between, as in a class loader that
/// reads archives itself. Under the program's frames a pooled Inflater is expected while it lives,
/// whether it is lent or not: the loan is an entry stream, which no rule covers. It is a leak when
/// only the collector freed it. The compiler and `javap` of JDK 8 keep one for each
/// archive, through a soft reference, and end none.
const BUILT_IN: &[&str] = &[
    "leak,live:java.util.zip.ZipFile.getInputStream << java.net.URLClassLoader.defineClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << jdk.internal.loader.BuiltinClassLoader.defineClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << java.*.loadClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << jdk.*.loadClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << sun.*.loadClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << java.net.URLClassLoader.findClass",
    "leak,live:java.util.zip.ZipFile.getInputStream << java.util.jar.JarFile.getManifest*",
    "leak,live:java.util.zip.ZipFile.getInputStream << java.util.jar.JarFile.checkForSpecialAttributes",
    "leak,live:java.util.zip.ZipFile.getInputStream << java.util.jar.JarFile.hasClassPathAttribute",
    "leak,live:java.util.zip.ZipFile.getInputStream << sun.misc.JarIndex.getJarIndex",
    "leak,live:java.util.zip.ZipFile.getInputStream << jdk.internal.util.jar.JarIndex.getJarIndex",
    "leak,live:java.util.zip.ZipFile.getInputStream << sun.launcher.LauncherHelper.*",
    "live,inflater:java.util.zip.ZipFile*.getInflater",
    "live:com.sun.nio.zipfs.ZipFileSystem.getInflater",
    "live:com.sun.nio.zipfs.ZipFileSystem.getDeflater",
    "live:jdk.nio.zipfs.ZipFileSystem.getInflater",
    "live:jdk.nio.zipfs.ZipFileSystem.getDeflater",
    "leak,live:com.sun.tools.javac.file.ZipFileIndex.inflate",
];

impl Rule {
    /// The built-in rules, in the order in which they apply.
    pub fn built_in() -> Vec<Rule> {
        // That every one of them parses is a test below.
        BUILT_IN.iter().filter_map(|text| Rule::parse(text, true).ok()).collect()
    }

    /// The same as a file of rules.
    pub fn built_in_file() -> String {
        let lines: Vec<String> = BUILT_IN.iter().map(|rule| format!("{rule}\n")).collect();
        format!(
            "# The built-in rules of zaudit, in the order in which they apply.\n{}",
            lines.concat()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::rules::tests::frames;
    use crate::model::{Frame, Kind};

    #[test]
    fn every_built_in_rule_parses() {
        assert_eq!(Rule::built_in().len(), BUILT_IN.len());
    }

    /// Where a pattern begins with a package of the JDK, so does every class that it matches.
    #[test]
    fn every_built_in_rule_speaks_of_the_jdk_only() {
        for rule in Rule::built_in() {
            for (at, pattern) in rule.patterns.iter().enumerate() {
                let jdk = Frame::is_named_as_jdk(&pattern.text);
                assert!(jdk, "{}: not only of the JDK: {pattern:?}", rule.text);
                assert!(at == 0 || pattern.near, "{}: use << and not <", rule.text);
            }
        }
    }

    /// The first rule that fits is the one that is applied.
    #[test]
    fn no_built_in_rule_is_shadowed_by_an_earlier_one() {
        let rules = Rule::built_in();
        for (at, rule) in rules.iter().enumerate() {
            let names: Vec<_> =
                rule.patterns.iter().map(|pattern| pattern.text.replace('*', "x")).collect();
            let stack = frames(&names.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(rule.fits(stack.iter()), "{}", rule.text);
            for earlier in rules.iter().take(at).filter(|earlier| earlier.fits(stack.iter())) {
                let has_more = Kind::ALL.iter().any(|kind| {
                    (rule.speaks_of_leaks(*kind) && !earlier.speaks_of_leaks(*kind))
                        || (rule.speaks_of_live(*kind) && !earlier.speaks_of_live(*kind))
                });
                assert!(has_more, "{} has no effect after {}", rule.text, earlier.text);
            }
        }
    }

    /// Stacks as reports have them, each with the first rule that fits, if there is one.
    #[test]
    fn stacks_are_covered_by_the_rule_that_is_meant_for_them_or_by_none() {
        let rule_of = |stack: &[&str]| {
            let stack = frames(stack);
            let rule = Rule::built_in().into_iter().find(|rule| rule.fits(stack.iter()));
            rule.map(|rule| rule.text)
        };
        const POOL: &str = "live,inflater:java.util.zip.ZipFile*.getInflater";
        for (stack, rule) in [
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
                Some(
                    "leak,live:java.util.zip.ZipFile.getInputStream << java.net.URLClassLoader.defineClass",
                ),
            ),
            // JDK 8: the class path is searched for the class
            (
                &[
                    "java.util.zip.ZipFile.getInputStream",
                    "java.util.jar.JarFile.hasClassPathAttribute",
                    "java.net.URLClassLoader.findClass",
                    "java.lang.ClassLoader.loadClass",
                ],
                Some("leak,live:java.util.zip.ZipFile.getInputStream << java.*.loadClass"),
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
                Some(POOL),
            ),
            (
                &["java.util.zip.Inflater.<init>", "jdk.nio.zipfs.ZipFileSystem.getInflater"],
                Some("live:jdk.nio.zipfs.ZipFileSystem.getInflater"),
            ),
            // Not the JDK's, in spite of its name
            (&["java.util.zip.Inflater.<init>", "org.acme.zipfs.ZipFileSystem.getInflater"], None),
            // The compiler of JDK 8, run by anything
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "com.sun.tools.javac.file.ZipFileIndex.inflate",
                    "com.sun.tools.javac.file.ZipFileIndex.readBytes",
                    "org.acme.Main.compile",
                ],
                Some("leak,live:com.sun.tools.javac.file.ZipFileIndex.inflate"),
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
                Some(POOL),
            ),
            (&["java.util.zip.Inflater.<init>", "org.acme.Main.loadClass"], None),
        ] {
            assert_eq!(rule_of(stack).as_deref(), rule, "{stack:?}");
        }
    }
}
