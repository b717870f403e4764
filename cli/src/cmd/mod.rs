//! A module a subcommand; `render` and `merge` are in [`saved`].

pub(crate) mod diff;
pub(crate) mod man;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod saved;
pub(crate) mod suppress;
pub(crate) mod top;
