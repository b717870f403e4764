//! What zaudit knows, what it means, and what it says.
//!
//! Knows no JVM: times, bytes and stacks are arguments, and it has no threads of its own. The agent
//! fills a [`session::Session`] and writes the reports made of it; the command reads these reports again.
//!
//! A module names only modules above it in this list (`tests/tests/tidy.rs`).
#![forbid(unsafe_code)]

// Words, text and files.
pub mod escape;
pub mod files;
pub mod model;
pub mod options;

// What is known.
pub mod stacks;
pub mod ledger;
pub mod session;

// What it means.
pub mod analysis;

// What is said.
pub mod report;
