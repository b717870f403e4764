//! What the fuzz targets call: the parsers of what other processes and files say.
//!
//! Owns nothing: each function is one or two calls. Invariant: what they give is what the command
//! would use.

use crate::cmd::diff::change::changes;
use crate::cmd::{diff, suppress};
use crate::hotspot::perfdata::PerfData;
use crate::hotspot::vm_flags::Flags;
use crate::proc::maps::Maps;
use crate::proc::status::Status;
use crate::proc::unix_sockets;
use crate::reply::{self, Reply};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use zaudit_core::options::Format;
use zaudit_core::report::Report;

/// HotSpot's performance data: the command and the flags, and whether commands are accepted; none
/// if there are none.
pub fn performance_data(bytes: &[u8]) -> Option<([Option<String>; 2], Option<bool>)> {
    let data = PerfData::parse(bytes)?;
    let texts = [data.command(), data.flags()].map(|text| text.map(str::to_owned));
    Some((texts, data.takes_commands()))
}

/// Whether performance data is that of a JVM that is starting.
pub fn is_starting(bytes: &[u8]) -> bool {
    PerfData::starting(bytes)
}

/// `/proc/PID/maps`: the file of this name, and whether the process is HotSpot.
pub fn mapped_file(text: &[u8], name: &OsStr) -> (Option<PathBuf>, bool) {
    let maps = Maps::parse(text);
    (maps.named(name).cloned(), maps.hotspot())
}

/// `/proc/PID/status`: the signals from 0 to 99 that have a handler, and whether the process is
/// both stopped and ended; none if the text is no status.
pub fn process_status(text: &str) -> Option<(Vec<i32>, bool)> {
    let status = Status::parse(text)?;
    let caught = (0..100).filter(|signal| status.catches(*signal)).collect();
    Some((caught, status.stopped() && status.ended()))
}

/// `/proc/PID/net/unix`: whether a socket of this file name listens.
pub fn listens(text: &str, name: &str) -> bool {
    unix_sockets::listens(text, &[name])
}

/// A switch of a JVM with this command line and environment. Each file that they name has the text
/// `file`.
pub fn switch(cmdline: &[u8], environ: &[u8], file: &str, name: &str) -> Option<bool> {
    Flags::collect(cmdline, environ, &|_| Some(file.to_owned())).switch(name)
}

/// A JVM's answer: what the agent returned, none if the JVM is starting, or the error as it is
/// printed.
pub fn answer(bytes: &[u8], library: &Path) -> Result<Option<i32>, String> {
    match Reply::parse(bytes) {
        Reply::Returned(code) => Ok(Some(code)),
        Reply::TooEarly => Ok(None),
        Reply::NotLoaded(text) => Err(reply::not_loaded(7, library, &text).to_string()),
    }
}

/// A report of another process, as it is written to standard output.
pub fn escaped(report: &[u8], format: Format) -> Vec<u8> {
    crate::escaped(report, format).into_owned()
}

/// A comparison as text and as JSON, and whether the second report is worse.
pub fn compared(old: &Report, new: &Report) -> (String, Vec<u8>, bool) {
    let changes = changes(old, new);
    let reports = [(old, "old.json"), (new, "new.json")];
    let worse = changes.iter().any(|change| change.kind.worse());
    (diff::text(reports, &changes), diff::json(reports, &changes), worse)
}

/// The rules for a report, and what they do not cover, a line each.
pub fn rules(report: &Report) -> (String, Vec<String>) {
    let file = suppress::rules_for(report).unwrap_or_else(|why| suppress::File {
        text: String::new(),
        left_out: vec![why.to_string()],
    });
    (file.text, file.left_out)
}
