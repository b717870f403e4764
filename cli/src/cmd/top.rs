//! `zaudit top`: a table that renews itself until the JVM or the user has had enough.
//!
//! Owns the loop and the terminal's alternate screen. Invariant: however it ends, the terminal is as it was.

mod snapshot;
mod table;

use crate::arguments::Top;
use crate::cmd::top::snapshot::Snapshot;
use crate::cmd::top::table::Size;
use crate::duration::Deadline;
use crate::error::{CliError, Code};
use crate::output::{self, Reader};
use crate::request::{self, AgentRequest};
use crate::sys;
use crate::target::Target;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Shows the table, once or until the end.
pub(crate) fn run(top: &Top, target: &Target, library: &Path) -> Result<(), CliError> {
    let screen = (!top.once && io::stdout().is_terminal()).then(Screen::enter).transpose()?;
    let mut before = None;
    loop {
        let now = match look(top, target, library) {
            // Whoever watches has seen enough.
            Err(error) if error.code == Code::Interrupted => return Ok(()),
            other => other?,
        };
        let text = match &screen {
            Some(_) => {
                let (columns, lines) = sys::terminal_size().unwrap_or((80, 24));
                let size = Size { columns: Some(columns), lines: Some(lines.saturating_sub(1)) };
                let table = table::render(target.pid, &now, before.as_ref(), size);
                // Over the old one and only then the rest cleared: nothing flickers.
                format!("\x1b[H{}\x1b[J", table.replace('\n', "\x1b[K\r\n"))
            }
            None => {
                let table =
                    table::render(target.pid, &now, before.as_ref(), Size { columns: None, lines: None });
                if before.is_some() { format!("\n{table}") } else { table }
            }
        };
        if output::write(text.as_bytes())? == Reader::Gone || top.once {
            return Ok(());
        }
        before = Some(now);
        let [ended, interrupted] = sys::wait([target.process(), sys::interruption()], top.interval);
        if interrupted {
            return Ok(());
        }
        if ended || target.status_now().is_none() {
            return Err(CliError::gone(target.pid));
        }
    }
}

fn look(top: &Top, target: &Target, library: &Path) -> Result<Snapshot, CliError> {
    let options = ["format=json".to_owned()];
    let request = AgentRequest { command: "dump", options: &options, report: true };
    let answer = request.run(target, library, &Deadline::after(top.asked.timeout))?;
    let report = answer.report.ok_or_else(|| request::lost(target, &answer.text))?;
    Snapshot::parse(&report).map_err(|error| {
        let message = format!("the report of process {} cannot be read: {error}", target.pid);
        CliError::new(Code::Refused, message, "is its agent of this zaudit's version? zaudit status tells")
    })
}

/// The terminal's other screen, without a cursor, as long as it lives.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, CliError> {
        // Before the screen changes: from here on ctrl-C comes to us.
        let _ = sys::interruption();
        output::write(b"\x1b[?1049h\x1b[?25l\x1b[2J").map(|_| Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = output::write(b"\x1b[?25h\x1b[?1049l");
    }
}
