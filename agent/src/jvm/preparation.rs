//! A look at what the options need before an audit begins: rules, and a place for reports.
//!
//! Invariant: what is wrong is a line each, and the audit can go on without it.

use super::os;
use crate::dump::{self, Naming};
use crate::options::Options;
use crate::suppress::Rule;
use std::time::SystemTime;

/// Bytes of a file of rules.
const MOST_RULES: usize = 4 << 20;

/// The rules, the user's before those that are built in, and what is wrong.
pub(super) fn look(options: &Options) -> (Vec<Rule>, Vec<String>) {
    let (mut rules, mut troubles) = (Vec::new(), Vec::new());
    for path in &options.suppressions {
        match os::read_small(path, MOST_RULES) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let (read, wrong) = Rule::read_file(&path.display().to_string(), &text);
                rules.extend(read);
                troubles.extend(wrong);
            }
            Err(error) => {
                troubles.push(format!("cannot read rules from {}: {}", path.display(), dump::reason(&error)));
            }
        }
    }
    rules.extend(Rule::built_in());
    for pattern in &options.files {
        let naming = Naming { pid: std::process::id(), time: SystemTime::now(), number: None };
        let path = pattern.path(&naming);
        if let Err(error) = dump::check(&path) {
            troubles.push(format!(
                "the report cannot be written to {}: {}; unless that changes it will come on standard error",
                path.display(),
                dump::reason(&error)
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
    (rules, troubles)
}
