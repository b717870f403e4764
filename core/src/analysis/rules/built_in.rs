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
/// and a leak when only the collector freed it. The compiler and `javap` of JDK 8 keep one for each
/// archive, through a soft reference, and end none.
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

impl Rule {
    /// The built-in rules, in the order in which they apply.
    pub fn built_in() -> Vec<Rule> {
        // That every one of them parses is a test below.
        BUILT_IN.iter().filter_map(|text| Rule::parse(text, true).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::rules::tests::frames;

    #[test]
    fn every_built_in_rule_parses() {
        assert_eq!(Rule::built_in().len(), BUILT_IN.len());
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
            // The compiler of JDK 8, run by anything
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
