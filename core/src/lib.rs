//! The pure part of zaudit: sessions, their analysis, and reports.
//!
//! Knows no JVM: times, bytes and stacks are arguments, and it has no threads of its own. The agent
//! records events in a [`session::Session`] and writes reports of it; the command reads these
//! reports.
//!
//! A module names only modules above it in this list (`tests/tests/tidy.rs`).
#![forbid(unsafe_code)]

// Words, text and files.
pub mod escape;
pub mod files;
pub mod jvm_flags;
pub mod model;
pub mod options;
pub mod wording;

// Recorded events.
mod chunks;
pub mod stacks;
pub mod ledger;
pub mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

// Their analysis.
pub mod analysis;

// Reports.
pub mod report;
