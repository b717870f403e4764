//! Starts that make an AOT cache of the program's classes: there the agent stands aside.
//!
//! A JVM that records for such a cache (`-XX:AOTMode=record`, `-XX:AOTCacheOutput`) runs the program
//! with agents. It leaves our helper class and the classes with hooks out of the cache, and prints a
//! warning for each on the program's standard output (JDK 25; JDK-8368182: updates before 25.0.3
//! cannot make the cache at all then).
//!
//! No other start of this kind reaches this code. HotSpot refuses every native agent before it loads the
//! library where it writes a CDS archive (`-Xshare:dump`, `-XX:ArchiveClassesAtExit`,
//! `-XX:+RecordDynamicDumpInfo`, `-XX:+AutoCreateSharedArchive` while its file does not exist):
//! `Agent_OnLoad` does not run, so we cannot print anything. And it ignores agents where
//! it makes the cache of what was recorded (`-XX:AOTMode=create`).
//!
//! Invariant: flags are found as the launcher and HotSpot find them; arguments of the program do not count.

use crate::sys::posix::read_small;
use std::path::Path;

/// The first release that records.
const FIRST: u32 = 24;

/// Bytes of a file of arguments.
const MOST: usize = 1 << 20;

/// The flag that makes this JVM record for an AOT cache, if there is one.
pub(crate) fn recording(release: u32) -> Option<String> {
    if release < FIRST {
        return None;
    }
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let program = std::fs::read_link("/proc/self/exe").ok().and_then(|path| file_name(&path));
    // A JDK that was replaced while this JVM runs.
    let program = program.as_deref().map(|name| name.trim_end_matches(" (deleted)"));
    let given = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let start = Start {
        is_launcher: program == Some("java"),
        arguments: given.split(|byte| *byte == 0).skip(1).map(text).collect(),
        variable: &|name| std::env::var_os(name).map(|value| text(value.as_encoded_bytes())),
        file: &|path| read_small(path.as_ref(), MOST).ok().map(|bytes| text(&bytes)),
    };
    recorded(&start.flags())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The flag among them that has a JVM record. The last of two values holds.
fn recorded<'a>(flags: &'a [String]) -> Option<String> {
    // HotSpot takes `:=` for `=`.
    let value =
        |flag: &'a String, name: &str| flag.strip_prefix(name)?.trim_start_matches(':').strip_prefix('=');
    let last = |name: &str| flags.iter().rev().find_map(|flag| Some((flag, value(flag, name)?)));
    match last("-XX:AOTMode") {
        Some((flag, "record")) => Some(flag.clone()),
        None | Some((_, "auto")) => last("-XX:AOTCacheOutput").map(|(flag, _)| flag.clone()),
        Some(_) => None,
    }
}

/// What a JVM is started with.
struct Start<'a> {
    /// Whether the process is the program `java`; other programs of a JDK pass flags behind `-J`.
    is_launcher: bool,
    arguments: Vec<String>,
    variable: &'a dyn Fn(&str) -> Option<String>,
    file: &'a dyn Fn(&str) -> Option<String>,
}

/// Flags of the launcher that have their value in the next word.
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
    /// The JVM's flags, from the weakest to the strongest.
    fn flags(&self) -> Vec<String> {
        let variable = |name| words(&(self.variable)(name).unwrap_or_default(), false);
        let mut given = variable("JAVA_TOOL_OPTIONS");
        if self.is_launcher {
            given
                .extend(self.before_program([variable("JDK_JAVA_OPTIONS"), self.arguments.clone()].concat()));
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

    /// The launcher's words up to the program's name, those of files of arguments included.
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
                    word if !word.starts_with('-') || word.starts_with("--module=") => return flags,
                    word if WITH_VALUE.contains(&word) => is_value = true,
                    _ => flags.push(word),
                }
            }
        }
        flags
    }
}

/// Words between blanks; quotes keep blanks. A `file` has comments, too, and backslashes in quotes.
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
            '#' if file && word.is_none() => while letters.next().is_some_and(|letter| letter != '\n') {},
            _ if letter.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `java` with these arguments; variables are `NAME=…`, files are `@NAME=…` with lines parted by `|`.
    fn found(launcher: bool, arguments: &[&str], surroundings: &[&str]) -> Option<String> {
        let named = |name: &str| {
            let found = surroundings.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            found.map(|value| value.replace('|', "\n"))
        };
        let start = Start {
            is_launcher: launcher,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variable: &named,
            file: &|path| named(&format!("@{path}")),
        };
        recorded(&start.flags())
    }

    const RECORD: &str = "-XX:AOTMode=record";
    const OUTPUT: &str = "-XX:AOTCacheOutput=a.aot";

    #[test]
    fn starts_that_record() {
        for (arguments, surroundings, flag) in [
            (&[RECORD, "-XX:AOTConfiguration=a", "Main"][..], &[][..], RECORD),
            (&["-cp", "a.jar", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTCacheOutput:=a.aot", "Main"], &[], "-XX:AOTCacheOutput:=a.aot"),
            (&["--enable-final-field-mutation", "m", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTMode=auto", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTMode=off", RECORD, "Main"], &[], RECORD),
            (&["--add-modules", "a.b", OUTPUT, "-jar", "a.jar"], &[], OUTPUT),
            (&["@args", "Main"], &["@args=-cp \"C:\\\\x y\"  # a comment|'-XX:AOTMode=record'|"], RECORD),
            (&["-cp", "x", "@args"], &["@args=-XX:AOTCacheOutput=a.aot Main -XX:AOTMode=off"], OUTPUT),
            (&["Main"], &["JDK_JAVA_OPTIONS=-Dx='a b' -XX:AOTMode=record"], RECORD),
            (&["Main"], &["JDK_JAVA_OPTIONS=@args", "@args=-XX:AOTMode=record"], RECORD),
            (&["-jar", "a.jar"], &["JAVA_TOOL_OPTIONS=-Xmx1g -XX:AOTCacheOutput=a.aot"], OUTPUT),
            (&["-XX:AOTMode=off", "Main"], &["_JAVA_OPTIONS=-XX:AOTMode=record"], RECORD),
            (&["-XX:VMOptionsFile=f", "Main"], &["@f=-Xmx1g|-XX:AOTMode=record"], RECORD),
            (&["-XX:Flags=f", "Main"], &["@f=# mine|AOTMode=record"], RECORD),
        ] {
            assert_eq!(found(true, arguments, surroundings).as_deref(), Some(flag), "{arguments:?}");
        }
        assert_eq!(found(false, &["-cp", "x", "-J-XX:AOTMode=record"], &[]).as_deref(), Some(RECORD));
        assert!(found(false, &["A.java"], &["JAVA_TOOL_OPTIONS=-XX:AOTMode=record"]).is_some());
    }

    #[test]
    fn starts_that_do_not() {
        for (arguments, surroundings) in [
            (&["-XX:AOTCache=a.aot", "Main"][..], &[][..]),
            (&["-XX:AOTMode=auto", "-XX:AOTCache=a.aot", "Main"], &[]),
            (&["-XX:AOTMode=create", "-XX:AOTConfiguration=c", OUTPUT], &[]),
            (&[RECORD, "-XX:AOTMode=off", "Main"], &[]),
            (&["Main", RECORD], &[]),
            (&["-jar", RECORD], &[]),
            (&["-cp", RECORD, "Main"], &[]),
            (&["-m", "a/b.Main", OUTPUT], &[]),
            (&["--class-path", "x", "@none", "Main", "@args"], &["@args=-XX:AOTMode=record"]),
            (&["--disable-@files", "@args", "Main"], &["@args=-XX:AOTMode=record"]),
            (&["@@args", "Main"], &["@args=-XX:AOTMode=record"]),
            (&["--module=m/Main", RECORD], &[]),
            (&["-Dflag=-XX:AOTMode=record", "Main"], &["JAVA_TOOL_OPTIONS='-Da= -XX:AOTMode=record'"]),
            (&["Main"], &["_JAVA_OPTIONS=-XX:AOTMode=off", "JAVA_TOOL_OPTIONS=-XX:AOTMode=record"]),
            (&["Main"], &["JDK_AOT_VM_OPTIONS=-XX:AOTMode=record"]),
            (&["-XX:Flags=f", "-XX:AOTMode=on", "Main"], &["@f=AOTMode=record"]),
        ] {
            assert_eq!(found(true, arguments, surroundings), None, "{arguments:?}");
        }
        assert_eq!(found(false, &[RECORD], &["JDK_JAVA_OPTIONS=-XX:AOTMode=record"]), None);
    }
}
