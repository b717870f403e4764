//! A look at what the options need before an audit begins: rules, a baseline, and a place for reports.
//!
//! Invariant: what is wrong is a line each, and the audit can go on without it.

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

/// Bytes of a file of rules.
const MOST_RULES: usize = 4 << 20;
/// Bytes of a baseline.
const MOST_BASELINE: usize = 256 << 20;

/// What need not be told, and what is wrong with the options.
pub(crate) fn look(options: &Options) -> (Expectations, Vec<String>) {
    let mut troubles = Vec::new();
    let mut rules = if options.default_suppressions { Rule::built_in() } else { Vec::new() };
    for path in &options.suppressions {
        match posix::read_small(path, MOST_RULES) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let (read, wrong) = Rule::read_file(&path.display().to_string(), &text);
                rules.extend(read);
                troubles.extend(wrong);
            }
            Err(error) => {
                troubles.push(format!(
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
            troubles.push(format!("cannot read the baseline {path}: {why}; all is told as if it were new"));
            None
        }
    });
    for pattern in &options.files {
        let naming = Naming { pid: std::process::id(), time: SystemTime::now(), number: None };
        let path = pattern.path(&naming);
        if let Err(error) = files::check(&path) {
            troubles.push(format!(
                "the report cannot be written to {}: {}; unless that changes it will come on standard error",
                escape::path(&path),
                files::reason(&error)
            ));
        }
    }
    if options.files.is_empty() {
        if options.interval.is_some() {
            troubles.push("interval needs a file; there will be no snapshots".into());
        }
        if options.format.is_some_and(|format| !format.is_text()) {
            troubles.push("this format needs a file; the report will be text on standard error".into());
        }
    }
    (Expectations { rules, baseline }, troubles)
}

fn read_baseline(path: &Path) -> Result<Baseline, String> {
    let file = posix::Patient::open(path, MOST_BASELINE).map_err(|error| files::reason(&error))?;
    Report::read_baseline(file, &path.display().to_string())
}
