//! The flags that a JVM was started with, from its command line and environment.
//!
//! Used only if the JVM does not publish its flags. Invariant: a word after the main class belongs
//! to the program and is not a flag, and the last of two flags wins.

/// Launcher options whose value is the next word.
const WITH_VALUE: [&str; 13] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-reads",
    "--add-exports",
    "--add-opens",
    "--patch-module",
    "--enable-native-access",
];

/// Launcher options that name the program.
const BEFORE_PROGRAM: [&str; 3] = ["-jar", "-m", "--module"];

/// A JVM's flags in the order in which it reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    /// Collects them from `/proc/PID/cmdline` and `/proc/PID/environ`. `read` returns the text of a
    /// file that is named there.
    pub(crate) fn collect(
        cmdline: &[u8],
        environ: &[u8],
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let variable = |name: &str| {
            let words = words(environ).find_map(|word| {
                word.split_once('=')
                    .filter(|(known, _)| *known == name)
                    .map(|(_, value)| value.to_owned())
            });
            split(&words.unwrap_or_default())
        };
        let mut flags = Flags::default();
        flags.options(variable("JAVA_TOOL_OPTIONS"), read);
        flags.options(variable("JDK_JAVA_OPTIONS"), read);
        flags.options(words(cmdline).skip(1).collect(), read);
        flags.options(variable("_JAVA_OPTIONS"), read);
        flags
    }

    /// Splits a text with all flags, as the JVM publishes it.
    pub(crate) fn of(text: &str) -> Self {
        Flags(split(text))
    }

    fn options(&mut self, words: Vec<String>, read: &dyn Fn(&str) -> Option<String>) {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if WITH_VALUE.contains(&word.as_str()) {
                words.next();
                continue;
            }
            if let Some(file) = word.strip_prefix('@').or(word.strip_prefix("-XX:VMOptionsFile=")) {
                // Files cannot include files.
                let text = read(file).unwrap_or_default();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
                self.options(lines.flat_map(split).collect(), &|_| None);
                continue;
            }
            if BEFORE_PROGRAM.contains(&word.as_str()) || !word.starts_with('-') {
                break;
            }
            self.0.push(word);
        }
    }

    /// Whether the switch `-XX:±name` is on or off; `None` if it was not given.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.0.iter().rev().find_map(|flag| {
            let flag = flag.strip_prefix("-XX:")?;
            match flag.strip_prefix('+') {
                Some(on) => (on == name).then_some(true),
                None => (flag.strip_prefix('-')? == name).then_some(false),
            }
        })
    }
}

/// Words that are terminated by zero bytes.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned())
}

/// Words between blanks, without their quotes.
fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.replace(['"', '\''], "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: &str = "DisableAttachMechanism";

    fn collect(cmdline: &str, environ: &str) -> Flags {
        let zeros = |text: &str| text.replace(' ', "\0").into_bytes();
        let environ: Vec<u8> = environ.replace('|', "\0").into_bytes();
        Flags::collect(&zeros(cmdline), &environ, &|path| {
            (path == "args").then(|| "# no flag\n-Xmx1g\n\"-XX:+DisableAttachMechanism\"".into())
        })
    }

    #[test]
    fn sources_of_flags() {
        for (cmdline, environ, expected) in [
            ("java Main", "", None),
            ("java -XX:+DisableAttachMechanism Main", "", Some(true)),
            ("java -XX:+DisableAttachMechanism -XX:-DisableAttachMechanism Main", "", Some(false)),
            ("java Main -XX:+DisableAttachMechanism", "", None),
            ("java -jar a.jar -XX:+DisableAttachMechanism", "", None),
            ("java -cp a.jar -XX:+DisableAttachMechanism Main", "", Some(true)),
            ("java @args Main", "", Some(true)),
            ("java @args2 Main", "", None),
            ("java Main", "A=b|JAVA_TOOL_OPTIONS=-Xmx1g -XX:+DisableAttachMechanism", Some(true)),
            ("java Main", "XJAVA_TOOL_OPTIONS=-XX:+DisableAttachMechanism", None),
            (
                "java -XX:-DisableAttachMechanism Main",
                "_JAVA_OPTIONS=-XX:+DisableAttachMechanism",
                Some(true),
            ),
            (
                "java -XX:-DisableAttachMechanism Main",
                "JDK_JAVA_OPTIONS=-XX:+DisableAttachMechanism",
                Some(false),
            ),
            ("", "", None),
        ] {
            assert_eq!(collect(cmdline, environ).switch(OFF), expected, "{cmdline} {environ}");
        }
        assert_eq!(Flags::of("-Xmx1g -XX:+DisableAttachMechanism").switch(OFF), Some(true));
    }

    #[test]
    fn hostile_bytes() {
        let flags = Flags::collect(&[0xff; 99], b"=\0==\0JAVA_TOOL_OPTIONS", &|_| None);
        assert_eq!(flags, Flags::default());
    }
}
