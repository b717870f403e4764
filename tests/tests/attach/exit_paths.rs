//! Commands that fly while the JVM ends.
//!
//! Invariant: the program ends as it does without us, with its own exit code and output, and no
//! command waits for ever.

use super::{Kit, Program, Test, ensure_printed};
use std::process::Child;
use std::process::Stdio;
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::suite;

/// None needs a later release than JDK 8.
pub const TESTS: &[(&str, u32, Test)] = &[("commands_while_it_ends", 8, commands_while_it_ends)];

/// What is under way when the program ends: commands before, and commands that fly.
const FLIGHTS: [(&[&str], &[&str]); 3] = [
    (&[], &["attach", "attach"]),
    (&["attach"], &["dump", "dump", "status"]),
    (&["attach"], &["disarm", "attach", "disarm"]),
];

fn commands_while_it_ends(kit: &Kit, jdk: &Jdk) -> Result<()> {
    // Every order: the program's end comes before, between and after the commands.
    let orders =
        || FLIGHTS.iter().flat_map(|flight| (0..=flight.1.len()).map(move |end| (flight, end)));
    for ((before, flying), end) in (0..suite::rounds(1)?).flat_map(|_| orders()) {
        let mut program = kit.start(kit.scripted(jdk)?)?;
        program.obey("churn 2")?;
        for command in *before {
            program.zaudit(command, &["file=r.json", "format=json"])?;
        }
        let mut flights = Vec::new();
        for (place, command) in flying.iter().enumerate() {
            if place == end {
                program.running.say("exit 7")?;
            }
            flights.push(fly(kit, &program, command)?);
        }
        if end == flying.len() {
            program.running.say("exit 7")?;
        }
        let said = std::mem::take(&mut program.said);
        let ended = program.running.finish()?;
        let here = |why: String| format!("{flying:?}, the end is number {end}: {why}");
        // There is no last line: the program is stopped in the middle.
        let (last, said) = said.split_last().ok_or("it has said nothing")?;
        ensure_printed(&ended, said.to_vec(), last, 7).map_err(here)?;
        let harm = ended
            .stderr()
            .lines()
            .any(|line| line.contains("internal error") || line.contains("fatal"));
        ensure!(!harm, here(ended.to_string()));
        for (command, flight) in flights {
            let output = flight.wait_with_output().map_err(|error| error.to_string())?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            // Done; refused; gone, before or meanwhile; not one that waited in vain.
            let mut errors = stderr.lines().filter(|line| !line.starts_with("zaudit: note: "));
            let is_silent = errors.next().is_none();
            let known = matches!(code, Some(0 | 1 | 3)) && (code == Some(0)) == is_silent;
            ensure!(known, here(format!("{command} ended with {code:?} {stderr:?}")));
        }
    }
    Ok(())
}

fn fly<'a>(kit: &Kit, program: &Program, command: &'a str) -> Result<(&'a str, Child)> {
    let mut prepared = kit.zaudit.prepare(command, program.running.pid(), &[]);
    let child = prepared.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.map(|child| (command, child)).map_err(|error| error.to_string())
}
