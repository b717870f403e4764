//! Loads what the options name before an audit begins: rules and a baseline; and checks the files
//! for reports.
//!
//! Invariant: each problem is one line, and the audit can run in spite of it.

use crate::state::audit::Expectations;
use crate::sys::posix;
use std::path::Path;
use std::time::SystemTime;
use zaudit_core::analysis::classify::Baseline;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::escape;
use zaudit_core::files::{self, Naming};
use zaudit_core::options::Options;
use zaudit_core::report::Report;

/// The size limit of a rules file, in bytes.
const MAX_RULES_BYTES: usize = 4 << 20;
/// The size limit of a baseline, in bytes.
const MAX_BASELINE_BYTES: usize = 256 << 20;

/// Returns the expectations that the options name, and one line for each problem with the options.
pub(crate) fn load_inputs(options: &Options) -> (Expectations, Vec<String>) {
    let mut problems = Vec::new();
    let mut rules = if options.default_suppressions { Rule::built_in() } else { Vec::new() };
    for path in &options.suppressions {
        match posix::read_small(path, MAX_RULES_BYTES) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let (read, wrong) = Rule::read_file(&path.display().to_string(), &text);
                rules.extend(read);
                problems.extend(wrong);
            }
            Err(error) => {
                problems.push(format!(
                    "cannot read rules from {}: {}",
                    escape::path(path),
                    files::reason(&error)
                ));
            }
        }
    }
    let baseline = options.baseline.as_deref().and_then(|path| match read_baseline(path) {
        Ok(baseline) => Some(baseline),
        Err(why) => {
            let path = escape::path(path);
            problems.push(format!(
                "cannot read the baseline {path}: {why}; every finding is reported as new"
            ));
            None
        }
    });
    for pattern in &options.files {
        let naming = Naming { pid: std::process::id(), time: SystemTime::now(), number: None };
        let path = pattern.path(&naming);
        if let Err(error) = files::check(&path) {
            problems.push(format!(
                "cannot write the report to {} ({}); unless that changes, it will go to standard error",
                escape::path(&path),
                files::reason(&error)
            ));
        }
    }
    if options.files.is_empty() {
        if options.interval.is_some() {
            problems.push("interval needs the option file; no snapshots will be written".into());
        }
        if options.format.is_some_and(|format| !format.is_text()) {
            problems.push(
                "this format needs the option file; the report will be text on standard error"
                    .into(),
            );
        }
    }
    (Expectations { rules, baseline }, problems)
}

fn read_baseline(path: &Path) -> Result<Baseline, String> {
    let file = posix::TimedReader::open(path, MAX_BASELINE_BYTES)
        .map_err(|error| files::reason(&error))?;
    Report::read_baseline(file, &path.display().to_string())
}
