//! What a snapshot means: which sites leak, which rules cover them, what to change.
//!
//! Pure functions of a snapshot and of earlier reports. Invariant: no count is changed on the way.

pub mod footprint;
pub mod history;
pub mod retention;
pub mod rules;
pub mod transparent;
pub mod blame;
pub mod classify;
pub mod findings;
pub mod source_names;
pub mod hints;
