//! `zaudit top`: a table of the worst findings that is refreshed until the JVM ends or the user
//! interrupts.
//!
//! Owns the loop and the terminal's alternate screen; [`table`] makes the text. Invariant: however
//! it ends, the terminal is as it was before.

mod table;

use crate::arguments::Top;
use crate::cmd::top::table::Size;
use crate::duration::Deadline;
use crate::error::{CliError, Code};
use crate::output::{self, Reader};
use crate::request::{self, AgentRequest};
use crate::sys;
use crate::target::Target;
use std::io::{self, IsTerminal};
use std::path::Path;
use zaudit_core::report::Report;

/// Shows the table, once or until the end.
pub(crate) fn run(top: &Top, target: &Target, library: &Path) -> Result<(), CliError> {
    let screen = (!top.once && io::stdout().is_terminal()).then(Screen::enter).transpose()?;
    let mut before: Option<Report> = None;
    loop {
        let now = match report(top, target, library) {
            // Ctrl-C is the ordinary end of `top`.
            Err(error) if error.code == Code::Interrupted => return Ok(()),
            other => other?,
        };
        let size = match &screen {
            Some(_) => {
                let (columns, lines) = sys::terminal_size().unwrap_or((80, 24));
                Size { columns: Some(columns), lines: Some(lines.saturating_sub(1)) }
            }
            None => Size::UNLIMITED,
        };
        let table = table::render(target.pid, &now, before.as_ref(), size)
            .map_err(|error| CliError::new(Code::Failed, error.to_string(), ""))?;
        let text = match (&screen, &before) {
            // Overwriting the old table and clearing only the rest avoids flicker.
            (Some(_), _) => format!("\x1b[H{}\x1b[J", table.replace('\n', "\x1b[K\r\n")),
            (None, Some(_)) => format!("\n{table}"),
            (None, None) => table,
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

/// Requests a report from the agent, without a GC and without heap walks, whatever the audit's own
/// reports have.
fn report(top: &Top, target: &Target, library: &Path) -> Result<Report, CliError> {
    let options = ["format=json", "gc=false", "gc_roots=0"].map(str::to_owned);
    let request = AgentRequest { command: "dump", options: &options, report: true };
    let answer = request.run(target, library, &Deadline::after(top.jvm.timeout))?;
    let report = answer.report.ok_or_else(|| request::lost(target, &answer.text))?;
    Report::read(&report).map_err(|error| {
        let message = format!("cannot read the report of process {}: {error}", target.pid);
        CliError::new(
            Code::Failed,
            message,
            "use the zaudit that came with the library in that process",
        )
    })
}

/// The terminal's alternate screen, without a cursor, until this value is dropped.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, CliError> {
        // From here on ctrl-C must not kill us: the screen has to be restored first.
        let _ = sys::interruption();
        output::write(b"\x1b[?1049h\x1b[?25l\x1b[2J").map(|_| Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = output::write(b"\x1b[?25h\x1b[?1049l");
    }
}
