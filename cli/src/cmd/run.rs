//! `zaudit run`: replaces this process by a program under the agent.
//!
//! Owns how the agent gets into the program's command line or environment. Invariant: exec leaves
//! nothing of this process: exit code, signals, streams and process id are the program's.

use crate::arguments::Run;
use crate::error::{CliError, Code};
use crate::library;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use zaudit_core::files::reason;

const TOOL_OPTIONS: &str = "JAVA_TOOL_OPTIONS";

/// Replaces this process by the program. Returns only on failure.
pub(crate) fn run(named: Option<&Path>, run: &Run) -> Result<Infallible, CliError> {
    expect_understood(&run.options)?;
    let library = library::for_program(named)?;
    let flag = agent_flag(&library, &run.options);
    let Some((program, arguments)) = run.program.split_first() else {
        return Err(CliError::new(
            Code::Usage,
            "there is no program to run",
            "zaudit run -- java …",
        ));
    };
    let mut command = Command::new(program);
    if Path::new(program).file_name() == Some(OsStr::new("java")) {
        command.arg(flag);
    } else {
        command.env(TOOL_OPTIONS, extended(std::env::var_os(TOOL_OPTIONS), &flag)?);
    }
    let error = command.args(arguments).exec();
    let message = format!("cannot run {}: {}", program.display(), reason(&error));
    Err(CliError::new(Code::Failed, message, "put the program or its path after --"))
}

/// Refuses options that the agent would not understand. The agent itself ignores them and complains
/// amid the program's output; here the user can correct them. Files of options are left to the
/// agent.
pub(crate) fn expect_understood(options: &[String]) -> Result<(), CliError> {
    let mut parsed = zaudit_core::options::Parsed::default();
    parsed.read(&options.join(","), &|_| Ok(String::new()));
    match parsed.complaints.first() {
        None => Ok(()),
        Some(complaint) => {
            Err(CliError::new(Code::Usage, complaint.clone(), "zaudit's README lists the options"))
        }
    }
}

/// `-agentpath:LIB=OPTIONS`.
fn agent_flag(library: &Path, options: &[String]) -> OsString {
    let mut flag = OsString::from("-agentpath:");
    flag.push(library);
    if !options.is_empty() {
        flag.push("=");
        flag.push(options.join(","));
    }
    flag
}

/// The variable with one more flag. The JVM splits it at blanks outside quotes.
fn extended(before: Option<OsString>, flag: &OsStr) -> Result<OsString, CliError> {
    let has = |wanted: fn(&u8) -> bool| flag.as_bytes().iter().any(wanted);
    let quote: &[u8] = match (has(|byte| *byte == b'"'), has(|byte| *byte == b'\'')) {
        (true, true) => {
            let message = "the library's path and the options contain both kinds of quotes";
            return Err(CliError::new(
                Code::Usage,
                message,
                "put the options into a file and give @FILE",
            ));
        }
        (true, false) => b"'",
        (false, true) => b"\"",
        (false, false) if has(u8::is_ascii_whitespace) => b"\"",
        (false, false) => b"",
    };
    let before = before.filter(|before| !before.is_empty()).map(OsString::into_vec);
    let flag = [quote, flag.as_bytes(), quote].concat();
    Ok(OsString::from_vec(match before {
        Some(before) => [before, flag].join(&b' '),
        None => flag,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let library = Path::new("/l/libzaudit.so");
        assert_eq!(agent_flag(library, &[]), "-agentpath:/l/libzaudit.so");
        let options = ["gc".to_owned(), "depth=5".to_owned()];
        assert_eq!(agent_flag(library, &options), "-agentpath:/l/libzaudit.so=gc,depth=5");
    }

    #[test]
    fn the_variable_keeps_its_value() {
        for (before, flag, after) in [
            (None, "-a", "-a"),
            (Some(""), "-a", "-a"),
            (Some("-Xmx1g"), "-a", "-Xmx1g -a"),
            (None, "-a:/a b", "\"-a:/a b\""),
            (None, "-a:/a'b", "\"-a:/a'b\""),
            (None, "-a:/a\"b", "'-a:/a\"b'"),
        ] {
            assert_eq!(
                extended(before.map(OsString::from), OsStr::new(flag)),
                Ok(OsString::from(after))
            );
        }
        assert_eq!(extended(None, OsStr::new("-a'\"")).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn unknown_options_are_refused() {
        let error = expect_understood(&["gc".into(), "fromat=json".into()]).unwrap_err();
        assert_eq!(error.code, Code::Usage);
        assert!(error.to_string().contains("did you mean \"format\""), "{error}");
        assert_eq!(expect_understood(&["@nowhere".into(), "gc".into()]), Ok(()));
    }
}
