//! The JSON report, `zaudit-report/1`: the contract of `docs/json-report.md`.
//!
//! Leaves the fields to [`wire`], and each direction to a file of its own. Invariant: all that the
//! text report says can be found in here, so that a report that was read back renders to the same
//! bytes in every format.

mod baseline;
mod memory;
mod read;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub(super) use baseline::read as read_baseline;
pub(super) use read::read;
pub(super) use write::render;
