//! The rules that come with the agent: what the JDK itself leaves open, found on JDK 8 to 28, and
//! what loaders of published programs do.
//!
//! Rules like any other, written as in a file. Invariant: each of them parses, and speaks of the
//! JDK's own frames and the loader's only.

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

/// Rules for one library that is no part of the JDK. They match nothing where it is not there.
struct Set {
    /// What it does, and in which versions; a line each.
    about: &'static [&'static str],
    rules: &'static [&'static str],
}

/// After the rules for the JDK.
const SETS: &[Set] = &[SPRING_BOOT_2, SPRING_BOOT_3];

/// Seen with 2.3.12, 2.7.18, 3.1.12 and the classic loader of 3.3.5, on JDK 17 and 25. Before 2.1
/// the loader loses more, which looks like what a program loses.
const SPRING_BOOT_2: Set = Set {
    about: &[
        "spring-boot: the loader of executable jars, 2.1 to 3.1, and spring-boot-loader-classic.",
        "JarURLConnection.getInputStream opens a stream for each call. For each class the JDK calls",
        "it twice, to see whether the entry is there and to read it, and closes the second one only.",
    ],
    rules: &[
        "leak,live:org.springframework.boot.loader.jar.ZipInflaterInputStream.<init> < \
         org.springframework.boot.loader.jar.JarURLConnection.getInputStream << \
         jdk.internal.loader.URLClassPath$Loader.getResource",
        "leak,live:org.springframework.boot.loader.jar.ZipInflaterInputStream.<init> < \
         org.springframework.boot.loader.jar.JarURLConnection.getInputStream << \
         sun.misc.URLClassPath$Loader.getResource",
    ],
};

/// Seen with 3.2.0, 3.3.5, 3.5.6 and 4.0.0, on JDK 17 and 25. What a program reads is in the pool
/// as long as it lives; what the collector had to free of that may be a stream that was not closed.
const SPRING_BOOT_3: Set = Set {
    about: &[
        "spring-boot: the same loader, from 3.2 on. Each nested jar keeps up to 20 Inflaters for",
        "reuse until it is closed. The loader closes none of the jars that it has opened for classes",
        "and manifests: its Cleaner frees them when a program whose main has returned ends.",
    ],
    rules: &[
        "leak,live:org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater < \
         org.springframework.boot.loader.jar.NestedJarFile.getManifestInfo",
        "leak,live:org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater < \
         org.springframework.boot.loader.net.protocol.jar.LazyDelegatingInputStream.* << \
         java.net.URLClassLoader.defineClass",
        "live:org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater",
    ],
};

impl Rule {
    /// The built-in rules, in the order in which they apply.
    pub fn built_in() -> Vec<Rule> {
        // That every one of them parses is a test below.
        texts().filter_map(|text| Rule::parse(text, true).ok()).collect()
    }

    /// Whether it came with the agent and is about the JDK.
    pub fn is_of_jdk(&self) -> bool {
        let of_library = SETS.iter().any(|set| set.rules.contains(&self.text.as_str()));
        self.built_in && !of_library
    }

    /// The same as a file of rules.
    pub fn built_in_file() -> String {
        let mut file =
            String::from("# The built-in rules of zaudit, in the order in which they apply.\n");
        let mut add = |begin: &str, lines: &[&str]| {
            lines.iter().for_each(|line| file.extend([begin, line, "\n"]));
        };
        add("", BUILT_IN);
        for set in SETS {
            add("", &[""]);
            add("# ", set.about);
            add("", set.rules);
        }
        file
    }
}

/// The rules as texts, in the order in which they apply.
fn texts() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().chain(SETS.iter().flat_map(|set| set.rules)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::rules::pattern::Pattern;
    use crate::analysis::rules::tests::frames;
    use crate::model::{Frame, Kind};

    #[test]
    fn every_built_in_rule_parses() {
        assert_eq!(Rule::built_in().len(), texts().count());
    }

    /// Where a pattern begins with a package of the JDK, so does every class that it matches. The
    /// frames of a loader call each other.
    #[test]
    fn every_built_in_rule_speaks_of_the_jdk_or_of_a_loader_only() {
        const LOADERS: &[&str] = &["org.springframework.boot.loader."];
        let of_loader =
            |pattern: &Pattern| LOADERS.iter().any(|begin| pattern.text.starts_with(begin));
        for rule in Rule::built_in() {
            for (at, pattern) in rule.patterns.iter().enumerate() {
                let known = Frame::is_named_as_jdk(&pattern.text) || of_loader(pattern);
                assert!(known, "{}: {pattern:?}", rule.text);
                let near =
                    at == 0 || pattern.near || rule.patterns[at - 1..=at].iter().all(of_loader);
                assert!(near, "{}: use << and not <", rule.text);
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
            // Spring Boot 2.7.18: a class, and a resource that the program reads
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "org.springframework.boot.loader.jar.ZipInflaterInputStream.<init>",
                    "org.springframework.boot.loader.jar.JarFileEntries.getInputStream",
                    "org.springframework.boot.loader.jar.JarFile.getInputStream",
                    "org.springframework.boot.loader.jar.JarFileWrapper.getInputStream",
                    "org.springframework.boot.loader.jar.JarURLConnection.getInputStream",
                    "jdk.internal.loader.URLClassPath$Loader.getResource",
                    "jdk.internal.loader.URLClassPath.getResource",
                    "java.net.URLClassLoader.findClass",
                ],
                Some(SPRING_BOOT_2.rules[0]),
            ),
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "org.springframework.boot.loader.jar.ZipInflaterInputStream.<init>",
                    "org.springframework.boot.loader.jar.JarFileEntries.getInputStream",
                    "org.springframework.boot.loader.jar.JarFile.getInputStream",
                    "org.springframework.boot.loader.jar.JarFileWrapper.getInputStream",
                    "org.springframework.boot.loader.jar.JarURLConnection.getInputStream",
                    "java.net.URLClassLoader.getResourceAsStream",
                    "java.lang.Class.getResourceAsStream",
                    "org.acme.Main.main",
                ],
                None,
            ),
            // 3.3.5: a manifest, a class, and a resource that the program reads
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater",
                    "org.springframework.boot.loader.jar.NestedJarFile.getInputStream",
                    "org.springframework.boot.loader.jar.NestedJarFile.getManifestInfo",
                    "org.springframework.boot.loader.jar.NestedJarFile.hasEntry",
                ],
                Some(SPRING_BOOT_3.rules[0]),
            ),
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater",
                    "org.springframework.boot.loader.jar.NestedJarFile.getInputStream",
                    "org.springframework.boot.loader.net.protocol.jar.LazyDelegatingInputStream.in",
                    "org.springframework.boot.loader.net.protocol.jar.LazyDelegatingInputStream.read",
                    "jdk.internal.loader.Resource.getBytes",
                    "java.net.URLClassLoader.defineClass",
                ],
                Some(SPRING_BOOT_3.rules[1]),
            ),
            (
                &[
                    "java.util.zip.Inflater.<init>",
                    "org.springframework.boot.loader.jar.NestedJarFileResources.getOrCreateInflater",
                    "org.springframework.boot.loader.jar.NestedJarFile.getInputStream",
                    "org.springframework.boot.loader.net.protocol.jar.LazyDelegatingInputStream.read",
                    "org.acme.Weaver.transform",
                    "java.net.URLClassLoader.defineClass",
                ],
                Some(SPRING_BOOT_3.rules[2]),
            ),
        ] {
            assert_eq!(rule_of(stack).as_deref(), rule, "{stack:?}");
        }
    }
}
