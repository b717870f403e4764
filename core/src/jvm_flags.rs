//! The flags that a JVM was started with, found in its command line and environment.
//!
//! Knows no process: the words, the variables and the files are arguments. Invariant: flags are
//! found as the launcher and HotSpot find them; a word after the main class belongs to the program
//! and is not a flag.

/// The sources of a JVM's flags.
pub struct Start<'a> {
    /// Whether the process runs the program `java`; other programs of a JDK pass flags after `-J`.
    pub is_launcher: bool,
    /// The command line without the program's name.
    pub arguments: Vec<String>,
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a small file.
    pub file: &'a dyn Fn(&str) -> Option<String>,
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
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let variable = |name| words(&(self.variable)(name).unwrap_or_default());
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
                flags.extend(words(&(self.file)(path).unwrap_or_default()));
            } else if let Some(path) = flag.strip_prefix("-XX:Flags=") {
                let words = words_of_file(&(self.file)(path).unwrap_or_default());
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
                    words_of_file(&(self.file)(path).unwrap_or_default())
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

/// Splits at zero bytes, as in `/proc/PID/cmdline`.
pub fn zero_terminated(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned())
}

/// Splits the value of a variable at white space outside quotes.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    split(text, false)
}

/// Splits a file, which also has comments, and escapes in quotes.
fn words_of_file(text: &str) -> Vec<String> {
    split(text, true)
}

fn split(text: &str, file: bool) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of these arguments, with `|` between them; variables are `NAME=…`, files are
    /// `@NAME=…` with `|` for newline.
    fn found(is_launcher: bool, arguments: &[&str], environment: &[&str]) -> String {
        let named = |name: &str| {
            let found =
                environment.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            found.map(|value| value.replace('|', "\n"))
        };
        let start = Start {
            is_launcher,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variable: &named,
            file: &|path| named(&format!("@{path}")),
        };
        start.flags().join("|")
    }

    #[test]
    fn flags_of_the_launcher() {
        for (arguments, environment, flags) in [
            (&[][..], &[][..], ""),
            (&["-a", "-b", "Main", "-c"], &[], "-a|-b"),
            (&["-a", "-jar", "-b"], &[], "-a"),
            (&["-a", "-m", "a/b.Main", "-b"], &[], "-a"),
            (&["--module=m/Main", "-a"], &[], ""),
            (&["-cp", "-a", "-b", "Main"], &[], "-b"),
            (&["--add-modules", "a.b", "-a", "-jar", "a.jar"], &[], "-a"),
            (&["--enable-final-field-mutation", "m", "-a", "Main"], &[], "-a"),
            (&["@f", "Main"], &["@f=-cp \"C:\\\\x y\"  # a comment|'-a'|"], "-a"),
            (&["-cp", "x", "@f", "-c"], &["@f=-a Main -b"], "-a"),
            (&["--class-path", "x", "@none", "Main", "@f"], &["@f=-a"], ""),
            (&["--disable-@files", "@f", "Main"], &["@f=-a"], ""),
            (&["@@f", "Main"], &["@f=-a"], ""),
            (&["Main"], &["JDK_JAVA_OPTIONS=-Dx='a b' -a"], "-Dx=a b|-a"),
            (&["Main"], &["JDK_JAVA_OPTIONS=@f", "@f=-a"], "-a"),
            (&["-jar", "a.jar"], &["JAVA_TOOL_OPTIONS='-Da= -a' -b"], "-Da= -a|-b"),
            (&["Main"], &["JDK_AOT_VM_OPTIONS=-a"], ""),
            (&["-XX:VMOptionsFile=f", "Main"], &["@f=-a|-b"], "-a|-b"),
        ] {
            assert_eq!(found(true, arguments, environment), flags, "{arguments:?}");
        }
    }

    #[test]
    fn flags_with_precedence_come_later() {
        let environment = [
            "_JAVA_OPTIONS=-d",
            "JAVA_TOOL_OPTIONS=-a",
            "JDK_JAVA_OPTIONS=-b",
            "@f=# mine|Mode=record",
        ];
        assert_eq!(
            found(true, &["-c", "-XX:Flags=f", "Main"], &environment),
            "-XX:Mode=record|-a|-b|-c|-d"
        );
    }

    #[test]
    fn flags_of_other_programs() {
        assert_eq!(found(false, &["-cp", "x", "-J-a", "-b"], &["JDK_JAVA_OPTIONS=-c"]), "-a");
        assert_eq!(found(false, &["A.java"], &["JAVA_TOOL_OPTIONS=-a"]), "-a");
    }
}
