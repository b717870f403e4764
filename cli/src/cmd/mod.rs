//! One module for each subcommand. The simple ones (`attach`, `dump`, `status`, `reset`, `disarm`)
//! are one request each, in `lib.rs`; [`input`] is what the commands share that read
//! reports from files.

pub(crate) mod diff;
pub(crate) mod input;
pub(crate) mod install;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod ps;
pub(crate) mod render;
pub(crate) mod run;
pub(crate) mod suppress;
pub(crate) mod top;
