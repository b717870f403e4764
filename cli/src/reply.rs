//! A JVM's answer to the command `load`: the agent's return code, or why the agent was not called.
//!
//! Owns the texts of all JVMs from JDK 8 on, and what each means to a user. Invariant: every answer
//! becomes one message and one exit code; a JVM's text is left out only where our own says more.

use crate::error::{CliError, Code};
use std::path::Path;

/// What `Agent_OnAttach` returned, or why it was not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The agent was called, and returned this.
    Returned(i32),
    /// The JVM is still starting, and accepts agents a moment later.
    TooEarly,
    /// The JVM did not call the agent; its reason. JDK 8 gives none.
    NotLoaded(String),
}

impl Reply {
    /// Parses an answer: a line with 0 or the number of an error, and then text.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let not_loaded = |text: &str| Reply::NotLoaded(text.trim().to_owned());
        match first.trim() {
            "0" => {}
            // Errors of the protocol have no text.
            number @ ("100" | "101" | "102") if rest.trim().is_empty() => {
                return not_loaded(&format!("error {number} of the attach protocol"));
            }
            _ => return not_loaded(rest),
        }
        // From JDK 9 on, `return code: N` on a line of its own; in JDK 8 only the number.
        let stated = rest.lines().rev().find_map(|line| line.strip_prefix("return code:"));
        match stated.unwrap_or(rest).trim().parse() {
            // The answer of a JVM before its live phase; our agent never returns -1.
            Ok(-1) => Reply::TooEarly,
            Ok(code) => Reply::Returned(code),
            Err(_) if rest.contains("only permitted in the live phase") => Reply::TooEarly,
            Err(_) => not_loaded(rest),
        }
    }
}

/// The error for a JVM that did not call the agent in `library`.
pub(crate) fn not_loaded(pid: i32, library: &Path, text: &str) -> CliError {
    let library = library.display();
    if text.contains("Dynamic agent loading is not enabled") {
        let message =
            format!("process {pid} takes no agents while it runs (-XX:-EnableDynamicAgentLoading)");
        return CliError::new(
            Code::AttachOff,
            message,
            "start it with -XX:+EnableDynamicAgentLoading, or under zaudit run",
        );
    }
    if text.contains("Agent_OnAttach") {
        let message = format!("{library} has no Agent_OnAttach: it is from an older zaudit");
        return CliError::new(
            Code::LibraryUnseen,
            message,
            "use the libzaudit.so that came with this zaudit",
        );
    }
    let Some(why) = text.lines().map(str::trim).find(|line| line.contains(':')) else {
        let why = if text.is_empty() { "it gives no reason" } else { text };
        let message = format!(
            "process {pid} could not load {library} or found no Agent_OnAttach in it: {why}"
        );
        let hint =
            "check that it is this zaudit's libzaudit.so and that the JVM's user can read it";
        return CliError::new(Code::LibraryUnseen, message, hint);
    };
    let hint = if why.contains("cannot open shared object") {
        "the process cannot see this file or a library that it needs; zaudit attach --help explains --library"
    } else if why.contains("version `GLIBC") || why.contains("symbol not found") {
        "the process uses another C library than the one that libzaudit.so was built for"
    } else if why.contains("failed to map") {
        "the folder is mounted noexec: copy the library elsewhere and name it with --library"
    } else {
        "zaudit attach --help explains --library"
    };
    CliError::new(
        Code::LibraryUnseen,
        format!("process {pid} could not load {library}: {why}"),
        hint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (bytes, reply) in [
            (&b"0\nreturn code: 0\n"[..], Reply::Returned(0)),
            (b"0\nreturn code: 2", Reply::Returned(2)),
            (b"0\nreturn code: -1\n", Reply::TooEarly),
            (b"0\nDynamic agent loading is only permitted in the live phase\n", Reply::TooEarly),
            (b"0\n0\n", Reply::Returned(0)),
            (b"0\n1", Reply::Returned(1)),
            (b"0\nsomething first\nreturn code: 1\n", Reply::Returned(1)),
            (
                b"0\nlib was not loaded.\nlib: no\n",
                Reply::NotLoaded("lib was not loaded.\nlib: no".into()),
            ),
            (b"-1\n", Reply::NotLoaded(String::new())),
            (b"101\n", Reply::NotLoaded("error 101 of the attach protocol".into())),
            (b"0\n", Reply::NotLoaded(String::new())),
            (b"", Reply::NotLoaded(String::new())),
            (b"0", Reply::NotLoaded(String::new())),
            (b"\n\n\n", Reply::NotLoaded(String::new())),
            (
                b"0\nreturn code: 99999999999999",
                Reply::NotLoaded("return code: 99999999999999".into()),
            ),
        ] {
            assert_eq!(Reply::parse(bytes), reply, "{}", String::from_utf8_lossy(bytes));
        }
        assert!(matches!(Reply::parse(&[0xff, b'\n', 0xfe]), Reply::NotLoaded(_)));
    }

    #[test]
    fn reasons() {
        for (text, code, words) in [
            (
                "Dynamic agent loading is not enabled. Use -XX:+…",
                Code::AttachOff,
                "-XX:+EnableDynamicAgentLoading",
            ),
            ("Agent_OnAttach is not available in /l.so", Code::LibraryUnseen, "older zaudit"),
            (
                "/l.so was not loaded.\n/l.so: cannot open shared object file: No such file",
                Code::LibraryUnseen,
                "cannot open",
            ),
            ("/l.so: failed to map segment from shared object", Code::LibraryUnseen, "noexec"),
            ("/l.so: invalid ELF header", Code::LibraryUnseen, "invalid ELF header"),
            ("", Code::LibraryUnseen, "it gives no reason"),
        ] {
            let error = not_loaded(7, Path::new("/l.so"), text);
            assert_eq!(error.code, code, "{text}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
