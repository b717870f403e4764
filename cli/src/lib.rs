//! The `zaudit` command: runs Java programs under the agent, attaches it to running JVMs, and reads
//! its reports.
//!
//! `arguments` is the command line; `cmd` has a module for each subcommand. To reach a JVM,
//! `target` inspects the process (with `proc` and `hotspot`), `library` finds the agent's
//! library as the JVM sees it, and `request` sends a command to the agent and waits for the
//! `reply`. `error`, `output`, `duration` and `sys` serve all of them.
//!
//! Invariant: every error is one line on standard error and a documented exit code.

mod error;
mod duration;
mod sys;
mod output;
mod arguments;
mod proc;
mod hotspot;
mod target;
mod library;
mod reply;
mod request;
mod cmd;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(test)]
#[expect(unreachable_pub, reason = "zaudit-tests makes it public")]
#[path = "../../tests/src/golden.rs"]
mod golden;

use arguments::{Arguments, Command, Dump, Jvm, ManualPage};
use clap::Parser;
use cmd::{diff, input, install, man, merge, ps, render, run, suppress, top};
use duration::Deadline;
use error::{CliError, Code};
use request::{AgentRequest, Answer};
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use target::{Presence, Target};
use zaudit_core::escape;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let error = match Arguments::try_parse() {
        Ok(arguments) => run(&arguments).err(),
        // Help and version are requested output, not errors.
        Err(error) if !error.use_stderr() => {
            output::write(error.render().to_string().as_bytes()).err()
        }
        Err(error) => Some(arguments::usage_error(&error)),
    };
    let Some(error) = error else { return ExitCode::SUCCESS };
    if !error.message.is_empty() {
        // If this fails, the exit code is still right.
        let _ = writeln!(std::io::stderr(), "zaudit: {error}");
    }
    ExitCode::from(error.code as u8)
}

fn run(arguments: &Arguments) -> Result<(), CliError> {
    let named = arguments.library();
    match &arguments.command {
        Command::Run(run) => run::run(named, run).map(|never| match never {}),
        Command::Attach(attach) => {
            run::expect_understood(&attach.options)?;
            let target = Target::find(attach.jvm.pid)?;
            let library = library::for_target(&target, named)?;
            let request = AgentRequest { command: "arm", options: &attach.options, report: false };
            let answer = request.run(&target, &library, &Deadline::after(attach.jvm.timeout))?;
            let (notes, text): (Vec<_>, Vec<_>) =
                answer.text.lines().partition(|line| line.starts_with("note: "));
            print_message(&text.join("\n"))?;
            for note in notes {
                // If this fails, the audit has begun all the same.
                let _ = writeln!(std::io::stderr(), "zaudit: {}", escape::lines(note));
            }
            Ok(())
        }
        Command::Dump(dump) => write_report("dump", dump, named),
        Command::Disarm(dump) => write_report("disarm", dump, named),
        Command::Status(jvm) => print_message(&request("status", jvm, named)?.text),
        Command::Reset(jvm) => print_message(&request("reset", jvm, named)?.text),
        Command::Ps => print_message(&ps::table()?),
        Command::Top(top) => {
            let (target, library) = audited(top.jvm.pid, named)?;
            top::run(top, &target, &library)
        }
        Command::Render(render) => render::run(render),
        Command::Diff(diff) => diff::run(diff),
        Command::Merge(merge) => merge::run(merge),
        Command::Suppress(suppress) => suppress::run(suppress),
        Command::Completions { shell } => output::write(&man::completions(*shell)).map(|_| ()),
        Command::Install { folder } => install::run(named, folder),
        Command::Man { page: ManualPage::Command } => output::write(&man::page()?).map(|_| ()),
        Command::Man { page: ManualPage::Options } => output::write(&man::options()?).map(|_| ()),
    }
}

/// A JVM with the agent in it, and the path of the agent's library there.
fn audited(pid: i32, named: Option<&Path>) -> Result<(Target, PathBuf), CliError> {
    let target = Target::find(pid)?;
    if target.presence() == Presence::Absent {
        let message = format!("process {pid} is not audited: there is no libzaudit.so in it");
        return Err(CliError::new(
            Code::Failed,
            message,
            format!("zaudit attach {pid} starts an audit"),
        ));
    }
    let library = library::for_target(&target, named)?;
    Ok((target, library))
}

/// Sends a command that has no options and gives no report.
fn request(command: &'static str, jvm: &Jvm, named: Option<&Path>) -> Result<Answer, CliError> {
    let (target, library) = audited(jvm.pid, named)?;
    AgentRequest { command, options: &[], report: false }.run(
        &target,
        &library,
        &Deadline::after(jvm.timeout),
    )
}

/// Requests a report and writes it to the outlet.
fn write_report(command: &'static str, dump: &Dump, named: Option<&Path>) -> Result<(), CliError> {
    input::expect_readable(&dump.outlet)?;
    let (target, library) = audited(dump.jvm.pid, named)?;
    let file = dump.outlet.output.as_deref().map(output::OutputFile::open).transpose()?;
    let options = dump.options();
    let request = AgentRequest { command, options: &options, report: true };
    let answer = request.run(&target, &library, &Deadline::after(dump.jvm.timeout))?;
    let Some(report) = answer.report else {
        return if command == "disarm" {
            print_message(&answer.text)
        } else {
            Err(request::lost(&target, &answer.text))
        };
    };
    let shown = || output::write(&escaped(&report, dump.outlet.format()));
    let Some(file) = file else { return shown().map(|_| ()) };
    file.fill(&report).or_else(|error| {
        // Standard output is the fallback: the last report of an audit is written only once.
        shown()?;
        Err(error)
    })
}

/// A report for standard output. It comes from a process of perhaps another user, so hostile
/// characters in text are escaped. JSON stays JSON.
fn escaped(report: &[u8], format: zaudit_core::options::Format) -> Cow<'_, [u8]> {
    if !format.is_text() {
        return Cow::Borrowed(report);
    }
    let text = String::from_utf8_lossy(report);
    let mut escaped = Vec::new();
    // Writing to a vector does not fail.
    if format == zaudit_core::options::Format::Json
        && escape::Json::new(&mut escaped).write_all(text.as_bytes()).is_ok()
    {
        let json = String::from_utf8_lossy(&escaped);
        return Cow::Owned(escape::lines(&json).into_owned().into_bytes());
    }
    match text {
        Cow::Borrowed(text) => match escape::lines(text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        Cow::Owned(text) => Cow::Owned(escape::lines(&text).into_owned().into_bytes()),
    }
}

/// Prints a message of the agent, with a line end.
fn print_message(text: &str) -> Result<(), CliError> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    output::write(format!("{}{end}", escape::lines(text)).as_bytes()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zaudit_core::options::Format;

    #[test]
    fn a_report_of_another_process_is_escaped() {
        let hostile = format!("a\u{1b}]0;x\u{7}\n{}b\n", escape::samples().collect::<String>());
        for format in Format::ALL.into_iter().filter(|format| format.is_text()) {
            for bytes in [hostile.as_bytes(), &[hostile.as_bytes(), b"\xff\x9b"].concat()] {
                let shown = escaped(bytes, format);
                let text = std::str::from_utf8(&shown).unwrap();
                assert!(!text.contains(|c| c != '\n' && escape::is_hostile(c)), "{text:?}");
            }
        }
        let plain = "SUMMARY: zaudit: nichts verloren, 3 · 4\n".as_bytes();
        assert_eq!(&*escaped(plain, Format::Text), plain);
        assert_eq!(&*escaped(b"\x1f\x8b\x00", Format::Pprof), b"\x1f\x8b\x00");
        // As an older agent wrote it, which did not escape such characters.
        let json = "{\n  \"class\": \"a\u{202e}b\u{7f}\"\n}\n";
        let shown = escaped(json.as_bytes(), Format::Json);
        let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        assert_eq!(read(&shown), read(json.as_bytes()), "{}", String::from_utf8_lossy(&shown));
    }
}
