//! What a JVM answers to `load`: the agent's return code, or why it never came to that.
//!
//! Owns the texts of all JVMs from 8 on, and what each means to a user. Invariant: every answer becomes one of our lines
//! and exit codes; nothing that a JVM says is lost unless we say it better.

use crate::error::{CliError, Code};
use std::path::Path;

/// What `Agent_OnAttach` returned, or the JVM's reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The agent was asked, and returned this.
    Returned(i32),
    /// The JVM is still starting: agents are welcome a moment later.
    TooEarly,
    /// The JVM did not come to ask it. JDK 8 does not say why.
    Unasked(String),
}

impl Reply {
    /// Reads an answer: a line with 0 or an error's number, and then text.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let unasked = |text: &str| Reply::Unasked(text.trim().to_owned());
        match first.trim() {
            "0" => {}
            // Errors of the protocol itself have no text.
            number @ ("100" | "101" | "102") if rest.trim().is_empty() => {
                return unasked(&format!("error {number} of the attach protocol"));
            }
            _ => return unasked(rest),
        }
        // From JDK 9 on with words, on a line of its own; JDK 8 has the mere number.
        let stated = rest.lines().rev().find_map(|line| line.strip_prefix("return code:"));
        match stated.unwrap_or(rest).trim().parse() {
            // What a JVM says that is not yet in its "live phase"; no agent of ours returns that.
            Ok(-1) => Reply::TooEarly,
            Ok(code) => Reply::Returned(code),
            Err(_) if rest.contains("only permitted in the live phase") => Reply::TooEarly,
            Err(_) => unasked(rest),
        }
    }
}

/// Why the JVM `pid` did not ask the agent in `library`.
pub(crate) fn unasked(pid: i32, library: &Path, said: &str) -> CliError {
    let library = library.display();
    if said.contains("Dynamic agent loading is not enabled") {
        let message = format!("process {pid} takes no agents while it runs (-XX:-EnableDynamicAgentLoading)");
        return CliError::new(
            Code::AttachOff,
            message,
            "start it with -XX:+EnableDynamicAgentLoading, or under zaudit run",
        );
    }
    if said.contains("Agent_OnAttach") {
        let message = format!("{library} is of an older zaudit: it cannot be attached to a JVM that runs");
        return CliError::new(
            Code::LibraryUnseen,
            message,
            "use the libzaudit.so that came with this zaudit",
        );
    }
    let Some(why) = said.lines().map(str::trim).find(|line| line.contains(':')) else {
        let said = if said.is_empty() { "it does not say why" } else { said };
        let message =
            format!("process {pid} could not load {library} or found no Agent_OnAttach in it: {said}");
        let hint = "check that it is this zaudit's libzaudit.so and that the JVM's user can read it";
        return CliError::new(Code::LibraryUnseen, message, hint);
    };
    let hint = if why.contains("cannot open shared object") {
        "it, or a library that it needs, is not there for that process; see zaudit attach --help on --library"
    } else if why.contains("version `GLIBC") || why.contains("symbol not found") {
        "the process has another C library than the one that libzaudit.so was built for"
    } else if why.contains("failed to map") {
        "the folder is mounted noexec: copy the library elsewhere and name it with --library"
    } else {
        "see zaudit attach --help on --library"
    };
    CliError::new(Code::LibraryUnseen, format!("process {pid} could not load {library}: {why}"), hint)
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
            (b"0\nlib was not loaded.\nlib: no\n", Reply::Unasked("lib was not loaded.\nlib: no".into())),
            (b"-1\n", Reply::Unasked(String::new())),
            (b"101\n", Reply::Unasked("error 101 of the attach protocol".into())),
            (b"0\n", Reply::Unasked(String::new())),
            (b"", Reply::Unasked(String::new())),
            (b"0", Reply::Unasked(String::new())),
            (b"\n\n\n", Reply::Unasked(String::new())),
            (b"0\nreturn code: 99999999999999", Reply::Unasked("return code: 99999999999999".into())),
        ] {
            assert_eq!(Reply::parse(bytes), reply, "{}", String::from_utf8_lossy(bytes));
        }
        assert!(matches!(Reply::parse(&[0xff, b'\n', 0xfe]), Reply::Unasked(_)));
    }

    #[test]
    fn reasons() {
        for (said, code, words) in [
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
            ("", Code::LibraryUnseen, "it does not say why"),
        ] {
            let error = unasked(7, Path::new("/l.so"), said);
            assert_eq!(error.code, code, "{said}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
