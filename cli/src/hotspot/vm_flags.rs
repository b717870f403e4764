//! The flags that another JVM was started with.
//!
//! Invariant: the last of two flags wins.

use zaudit_core::jvm_flags::{Start, zero_terminated};

/// A JVM's flags in the order of increasing precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    /// Collects them from `/proc/PID/cmdline` and `/proc/PID/environ`, for a JVM that does not
    /// publish them. `file` returns the text of a file that is named there.
    pub(crate) fn collect(
        cmdline: &[u8],
        environ: &[u8],
        file: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let variable = |name: &str| {
            zero_terminated(environ)
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let arguments = zero_terminated(cmdline).skip(1).collect();
        // Programs that embed a JVM mostly accept its flags as `java` does.
        Flags(Start { is_launcher: true, arguments, variable: &variable, file }.flags())
    }

    /// Splits a text with all flags, as the JVM publishes it: the quotes are gone by then.
    pub(crate) fn of(text: &str) -> Self {
        Flags(text.split_whitespace().map(str::to_owned).collect())
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
