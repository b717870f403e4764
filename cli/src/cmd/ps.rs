//! `zaudit ps`: the running JVMs and their audit status.
//!
//! Owns the table. Invariant: it sends no signal and connects to nothing; a process that ends
//! meanwhile is left out.

use crate::error::{CliError, Code, one_line};
use crate::hotspot::attach;
use crate::proc::status::Status;
use crate::target::{self, Presence, Target, user};
use std::fmt::Write;
use std::fs;
use zaudit_core::files;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    pid: i32,
    user: String,
    state: String,
    command: String,
}

/// The table.
pub(crate) fn table() -> Result<String, CliError> {
    let listed = fs::read_dir("/proc").map_err(|error| {
        CliError::new(
            Code::NotPermitted,
            format!("cannot read /proc: {}", files::reason(&error)),
            "mount /proc",
        )
    })?;
    let mut pids: Vec<i32> =
        listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(shown(&pids.into_iter().filter_map(row).collect::<Vec<_>>()))
}

fn row(pid: i32) -> Option<Row> {
    let status = target::status(pid).ok()?;
    let maps = target::maps(pid, &status).ok();
    match &maps {
        Some(maps) if !maps.hotspot() => return None,
        None if !looks_like_java(pid, &status) => return None,
        _ => {}
    }
    let found = Target::find(pid);
    let command = found.as_ref().map_or_else(|_| target::command_line(pid), Target::command);
    let state = match target::presence(pid, maps.as_ref()) {
        Presence::Absent => match found.and_then(|found| obstacle(&found)) {
            Ok(()) => Presence::Absent.name().to_owned(),
            // It has ended meanwhile.
            Err(error) if error.code == Code::NoProcess => return None,
            Err(error) => format!("cannot attach: {}", error.message),
        },
        present => present.name().to_owned(),
    };
    Some(Row { pid, user: user(status.user), state, command })
}

/// Fails if the JVM cannot be attached to, as far as inspection tells.
fn obstacle(target: &Target) -> Result<(), CliError> {
    attach::expect_possible(target)?;
    if target.takes_agents() {
        return Ok(());
    }
    Err(CliError::new(Code::AttachOff, "it was started with -XX:-EnableDynamicAgentLoading", ""))
}

/// Whether a process of another user seems to be a JVM: only its names can be read.
fn looks_like_java(pid: i32, status: &Status) -> bool {
    let line = target::command_line(pid);
    let program = line.split(' ').next().unwrap_or_default();
    status.name == "java" || program == "java" || program.ends_with("/java")
}

fn shown(rows: &[Row]) -> String {
    let width =
        |of: fn(&Row) -> usize, least: usize| rows.iter().map(of).max().unwrap_or(0).max(least);
    let pids = width(|row| row.pid.to_string().len(), 3);
    let users = width(|row| row.user.chars().count(), 4);
    // A long reason shifts only its own line.
    let states = width(|row| Some(row.state.chars().count()).filter(|n| *n <= 12).unwrap_or(0), 5);
    let mut text = format!("{:>pids$}  {:users$}  {:states$}  COMMAND\n", "PID", "USER", "STATE");
    for Row { pid, user, state, command } in rows {
        let (user, state, command) = (one_line(user), one_line(state), one_line(command));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{pid:>pids$}  {user:users$}  {state:states$}  {command}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_hostile_names_stay_in_their_line() {
        let row = |pid, state: &str, command: &str| Row {
            pid,
            user: "root".into(),
            state: state.into(),
            command: command.into(),
        };
        let rows = [
            row(7, "-", "Main"),
            row(4242, "cannot attach: process 4242 belongs to x", "A\x1b[2J\nB"),
        ];
        assert_eq!(
            shown(&rows),
            " PID  USER  STATE  COMMAND\n   7  root  -      Main\n4242  root  cannot attach: process 4242 belongs to x  A\\u{1b}[2J B\n"
        );
    }

    #[test]
    fn no_hostile_character_is_in_the_list() {
        let hostile: String = zaudit_core::escape::samples().collect();
        let row = Row { pid: 7, user: hostile.clone(), state: hostile.clone(), command: hostile };
        let text = shown(&[row]);
        assert!(!text.contains(|c| c != '\n' && zaudit_core::escape::is_hostile(c)), "{text:?}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn this_process_is_not_a_jvm() {
        assert_eq!(row(std::process::id().cast_signed()), None);
    }
}
