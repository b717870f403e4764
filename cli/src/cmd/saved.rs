//! JSON reports in files, and what is made of them: `zaudit render` and `zaudit merge`.
//!
//! Owns how they are opened and where the result goes; what a report is and how it looks is the agent's. Invariant: a report that was
//! written by the agent comes out as the agent itself would have written it, byte for byte.

use crate::arguments::{Merge, Outlet, Render};
use crate::error::{CliError, Code, one_line, reason};
use crate::output::{self, OutputFile};
use crate::sys;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use zaudit_core::report::{self, Report, Style};

/// The largest file that is read.
const LARGEST: u64 = 1 << 30;

/// Writes one report in another format.
pub(crate) fn render(render: &Render) -> Result<(), CliError> {
    expect_readable(&render.outlet)?;
    write(&read(&render.report)?, &render.outlet)
}

/// Writes several reports as one.
pub(crate) fn merge(merge: &Merge) -> Result<(), CliError> {
    expect_readable(&merge.outlet)?;
    let reports = merge.reports.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some((one, other)) = same_run(&reports) {
        let named =
            |at: usize| merge.reports.get(at).map(|path| path.display().to_string()).unwrap_or_default();
        let line = format!("{} and {} look like reports of one run", named(one), named(other));
        // A word of advice: if it cannot be said, the sum is still what was asked for.
        let _ = writeln!(io::stderr(), "zaudit: {}; what they share is counted twice", one_line(&line));
    }
    let merged = report::merge(&reports).map_err(|why| CliError::new(Code::Usage, why, ""))?;
    write(&merged, &merge.outlet)
}

/// Two reports of one process and one beginning. In containers many processes have one number: then the rest tells them apart.
fn same_run(reports: &[Report]) -> Option<(usize, usize)> {
    let key = |report: &Report| {
        let process = &report.process;
        (process.pid, process.started, process.command.clone(), process.jvm.clone())
    };
    let mut known = std::collections::HashMap::new();
    reports.iter().enumerate().filter(|(_, report)| report.process.reports == 1).find_map(|(at, report)| {
        let before = known.insert(key(report), at)?;
        Some((before, at))
    })
}

/// Reads a report; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Report, CliError> {
    let failed = |why: String| {
        let hint = "zaudit dump PID --format json makes one, and so does the agent's option format=json";
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
        return Err(failed(format!("it has more than {LARGEST} bytes")));
    }
    Report::read(&bytes).map_err(failed)
}

fn write(report: &Report, outlet: &Outlet) -> Result<(), CliError> {
    match &outlet.output {
        Some(path) => {
            OutputFile::open(path)?.fill_with(&mut |to| report.render(outlet.format(), Style::default(), to))
        }
        None => output::write_with(|to| report.render(outlet.format(), style(), to)).map(|_| ()),
    }
}

/// Whoever reads standard output can read that format.
pub(crate) fn expect_readable(outlet: &Outlet) -> Result<(), CliError> {
    let format = outlet.format();
    if format.is_text() || outlet.output.is_some() || !io::stdout().is_terminal() {
        return Ok(());
    }
    let message = format!("{} is binary, and standard output is a terminal", format.name());
    Err(CliError::new(Code::Usage, message, "name a file: --output zaudit.pb.gz"))
}

/// Colour and width, where standard output is a terminal.
pub(crate) fn style() -> Style {
    if !io::stdout().is_terminal() {
        return Style::default();
    }
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let width = sys::terminal_size().map(|(columns, _)| columns).filter(|columns| *columns >= 40);
    Style { width, colour: !dumb && !set("NO_COLOR") }
}
