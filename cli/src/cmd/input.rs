//! JSON reports as input of `render`, `merge`, `diff` and `suppress`, and the output of the first
//! two.
//!
//! Owns how a report's file is read and where the result goes; what a report is and how it looks is
//! [`zaudit_core::report`]'s. Invariant: no file is read without a limit.

use crate::arguments::Outlet;
use crate::error::{CliError, Code};
use crate::output::{self, OutputFile};
use crate::sys;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use zaudit_core::files::reason;
use zaudit_core::report::{Report, Style};

/// The largest file that is read.
const LARGEST: u64 = 1 << 30;

/// Reads a report; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Report, CliError> {
    let failed = |why: String| {
        let hint =
            "zaudit dump PID --format json makes one, and so does the agent's option format=json";
        CliError::new(Code::Usage, format!("cannot read {}: {why}", path.display()), hint)
    };
    let mut bytes = Vec::new();
    let source: io::Result<Box<dyn Read>> = if path == Path::new("-") {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let read = source.and_then(|source| source.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| failed(reason(&error)))?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed(format!("it is larger than {LARGEST} bytes")));
    }
    Report::read(&bytes).map_err(failed)
}

/// Writes a report in the format and to the file of `outlet`.
pub(crate) fn write(report: &Report, outlet: &Outlet) -> Result<(), CliError> {
    match &outlet.output {
        Some(path) => OutputFile::open(path)?
            .fill_with(&mut |to| report.render(outlet.format(), Style::default(), to)),
        None => output::write_with(|to| report.render(outlet.format(), style(), to)).map(|_| ()),
    }
}

/// Refuses a binary format on a terminal.
pub(crate) fn expect_readable(outlet: &Outlet) -> Result<(), CliError> {
    let format = outlet.format();
    if format.is_text() || outlet.output.is_some() || !io::stdout().is_terminal() {
        return Ok(());
    }
    let message = format!("{} is binary, and standard output is a terminal", format.name());
    Err(CliError::new(Code::Usage, message, "name a file: --output zaudit.pb.gz"))
}

/// Colour and width, where standard output is a terminal.
fn style() -> Style {
    if !io::stdout().is_terminal() {
        return Style::default();
    }
    let columns = sys::terminal_size().map(|(columns, _)| columns);
    Style::for_terminal(columns, |name| std::env::var_os(name))
}
