//! `zaudit merge`: several JSON reports as one.
//!
//! Owns the warning about reports of the same run; the sums are [`zaudit_core::report::merge`]'s.

use crate::arguments::Merge;
use crate::cmd::input;
use crate::error::{CliError, Code, one_line};
use std::collections::HashMap;
use std::io::{self, Write};
use zaudit_core::report::{self, Report};

/// Writes several reports as one.
pub(crate) fn run(merge: &Merge) -> Result<(), CliError> {
    input::expect_readable(&merge.outlet)?;
    let reports =
        merge.reports.iter().map(|path| input::read(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some((one, other)) = same_run(&reports) {
        let name = |at: usize| {
            merge.reports.get(at).map(|path| path.display().to_string()).unwrap_or_default()
        };
        let line = format!("{} and {} look like reports of one run", name(one), name(other));
        // The sum is still wanted if the warning cannot be written.
        let _ =
            writeln!(io::stderr(), "zaudit: {}; what they share is counted twice", one_line(&line));
    }
    let merged = report::merge(&reports).map_err(|why| CliError::new(Code::Usage, why, ""))?;
    input::write(&merged, &merge.outlet)
}

/// The first two reports of the same process and the same start. The process id alone is not
/// enough: in containers many processes have the same one.
fn same_run(reports: &[Report]) -> Option<(usize, usize)> {
    let key = |report: &Report| {
        let process = &report.process;
        (process.pid, process.started, process.command.clone(), process.jvm.clone())
    };
    let mut known = HashMap::new();
    reports.iter().enumerate().filter(|(_, report)| report.process.reports == 1).find_map(
        |(at, report)| {
            let before = known.insert(key(report), at)?;
            Some((before, at))
        },
    )
}
