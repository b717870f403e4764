//! `zaudit top` on real JVMs: that it goes on, and all the ways in which it ends.
//!
//! Invariant: however it ends, the terminal is as it was and no file stays.

use super::{Kit, Said, ensure_unharmed, kill, ready};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use zaudit_tests::Result;
use zaudit_tests::child::Running;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;

/// Starts `zaudit top`, waits until it has shown `count` tables, and gives it back with what it
/// printed.
fn top(kit: &Kit, pid: u32, count: usize) -> Result<(Child, BufReader<ChildStdout>)> {
    let pid = pid.to_string();
    let mut command = kit.command();
    command.args(["top", &pid, "--interval", "50ms"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    for _ in 0..count {
        let mut line = String::new();
        while !line.contains("CREATED") {
            line.clear();
            let read = lines.read_line(&mut line).map_err(|error| error.to_string())?;
            ensure!(read > 0, "top has ended");
        }
    }
    Ok((child, lines))
}

/// Its end: the code, and what it said on stderr. What it still prints is read, so that it can.
fn finish(child: Child, mut lines: impl Read) -> Result<(Option<i32>, String)> {
    std::io::copy(&mut lines, &mut std::io::sink()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let code = output.status.code().or(output.status.signal().map(|number| 128 + number));
    Ok((code, String::from_utf8_lossy(&output.stderr).into_owned()))
}

pub fn top_goes_on(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    kit.ask("attach", running.pid(), &[])?.done()?;
    for signal in ["INT", "TERM"] {
        let (child, lines) = top(kit, running.pid(), 3)?;
        kill(signal, child.id())?;
        let (code, said) = finish(child, lines)?;
        ensure!(code == Some(0) && said.is_empty(), "{code:?} {said}");
    }
    // A reader that goes away ends it, without a word.
    let (child, lines) = top(kit, running.pid(), 1)?;
    drop(lines);
    let (code, said) = finish(child, std::io::empty())?;
    ensure!(code == Some(0) && said.is_empty(), "{code:?} {said}");
    let pid = running.pid();
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

/// `script` lends it a terminal.
pub fn top_on_a_terminal(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    kit.ask("attach", pid, &[])?.done()?;
    let line = format!("timeout -s INT 1 {} top {pid} --interval 100ms", kit.zaudit.display());
    let said =
        Said::of(Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()))?;
    let (enter, leave) = ("\x1b[?1049h", "\x1b[?25h\x1b[?1049l");
    let right = said.stdout.contains(enter) && said.stdout.trim_end().ends_with(leave);
    ensure!(right && said.stdout.contains("CREATED"), "{said:?}");
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

pub fn top_ends_with_the_jvm(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    kit.ask("attach", pid, &[])?.done()?;
    let (child, lines) = top(kit, pid, 2)?;
    ensure_unharmed_by_top(running)?;
    let (code, said) = finish(child, lines)?;
    ensure!(code == Some(3) && said.contains("has ended"), "{code:?} {said}");
    Ok(())
}

fn ensure_unharmed_by_top(mut running: Running) -> Result<()> {
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.printed() == "ready\ndone\n", ended.to_string());
    Ok(())
}
