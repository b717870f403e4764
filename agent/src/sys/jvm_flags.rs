//! The flags that this JVM was started with, from the command line and the environment.
//!
//! JVMTI does not report flags. Invariant: flags are found as the launcher and HotSpot find them;
//! arguments of the program do not count.

use crate::sys::posix::read_small;
use std::path::Path;

/// The size limit of an argument file, in bytes.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Whether this JVM may have a flag, as any word of the command line or of a variable. That
/// includes programs that pass flags to the JVM in ways of their own.
pub(crate) fn may_have(flag: &str) -> bool {
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let variables = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"];
    let values = variables.map(|name| std::env::var(name).unwrap_or_default());
    line.split(|byte| *byte == 0).any(|word| word == flag.as_bytes())
        || values.iter().any(|value| words(value, false).iter().any(|word| word == flag))
}

/// The flags of this JVM, in the order of increasing precedence.
pub(crate) fn of_this_jvm() -> Vec<String> {
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let program = std::fs::read_link("/proc/self/exe").ok().and_then(|path| file_name(&path));
    // The kernel appends that if the JDK was replaced while this JVM runs.
    let program = program.as_deref().map(|name| name.trim_end_matches(" (deleted)"));
    let words = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let start = Start {
        is_launcher: program == Some("java"),
        arguments: words.split(|byte| *byte == 0).skip(1).map(text).collect(),
        variable: &|name| std::env::var_os(name).map(|value| text(value.as_encoded_bytes())),
        file: &|path| read_small(path.as_ref(), MAX_FILE_BYTES).ok().map(|bytes| text(&bytes)),
    };
    start.flags()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The sources of a JVM's flags.
pub(crate) struct Start<'a> {
    /// Whether the process runs the program `java`; other programs of a JDK pass flags after `-J`.
    pub(crate) is_launcher: bool,
    /// The command line without the program's name.
    pub(crate) arguments: Vec<String>,
    /// Reads an environment variable.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a small file.
    pub(crate) file: &'a dyn Fn(&str) -> Option<String>,
}

/// Flags of the launcher whose value is the next word.
const WITH_VALUE: [&str; 17] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--patch-module",
    "--enable-native-access",
    "--enable-final-field-mutation",
    "--describe-module",
    "-d",
    "--source",
];

impl Start<'_> {
    /// The JVM's flags, in the order of increasing precedence.
    pub(crate) fn flags(&self) -> Vec<String> {
        let variable = |name| words(&(self.variable)(name).unwrap_or_default(), false);
        let mut given = variable("JAVA_TOOL_OPTIONS");
        if self.is_launcher {
            given.extend(
                self.before_program(
                    [variable("JDK_JAVA_OPTIONS"), self.arguments.clone()].concat(),
                ),
            );
        } else {
            let passed = |word: &String| word.strip_prefix("-J").map(str::to_owned);
            given.extend(self.arguments.iter().filter_map(passed));
        }
        given.extend(variable("_JAVA_OPTIONS"));
        let (mut settings, mut flags) = (Vec::new(), Vec::new());
        for flag in given {
            if let Some(path) = flag.strip_prefix("-XX:VMOptionsFile=") {
                flags.extend(words(&(self.file)(path).unwrap_or_default(), false));
            } else if let Some(path) = flag.strip_prefix("-XX:Flags=") {
                let words = words(&(self.file)(path).unwrap_or_default(), true);
                settings.extend(words.iter().map(|word| format!("-XX:{word}")));
            } else {
                flags.push(flag);
            }
        }
        settings.extend(flags);
        settings
    }

    /// The launcher's flags, up to the name of the main class, including those in argument files.
    fn before_program(&self, given: Vec<String>) -> Vec<String> {
        let (mut flags, mut is_value, mut expand) = (Vec::new(), false, true);
        for word in given {
            let words = match word.strip_prefix('@') {
                Some(path) if expand && !path.starts_with('@') => {
                    words(&(self.file)(path).unwrap_or_default(), true)
                }
                _ => vec![word],
            };
            for word in words {
                match word.as_str() {
                    _ if is_value => is_value = false,
                    "--disable-@files" => expand = false,
                    "-jar" | "-m" | "--module" => return flags,
                    word if !word.starts_with('-') || word.starts_with("--module=") => {
                        return flags;
                    }
                    word if WITH_VALUE.contains(&word) => is_value = true,
                    _ => flags.push(word),
                }
            }
        }
        flags
    }
}

/// Splits at white space outside quotes. A `file` also has comments, and escapes in quotes.
fn words(text: &str, file: bool) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if file && quote.is_some() => word.get_or_insert_default().extend(letters.next()),
            _ if quote == Some(letter) => quote = None,
            _ if quote.is_some() => word.get_or_insert_default().push(letter),
            '"' | '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            '#' if file && word.is_none() => {
                while letters.next().is_some_and(|letter| letter != '\n') {}
            }
            _ if letter.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
