//! What `/proc` says of a process.

pub(crate) mod maps;
pub(crate) mod status;
