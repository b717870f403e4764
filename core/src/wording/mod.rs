//! Every English sentence of a report, once, with its plural: a function each.
//!
//! Knows no report: numbers and names are arguments, and nothing is escaped here. Text and HTML
//! share the sentences. Invariant: a sentence behind a colon begins in lower case and
//! has no full stop.

pub mod finding;
pub mod gate;
pub mod hint;
pub mod notes;
mod quantity;
pub mod summary;

pub use quantity::{byte_seconds, bytes, count, duration, grouped, kinds, some, times};

/// The mark in front of bytes that are an estimate.
pub const APPROX: &str = "≈";

/// `was` or `were`.
fn was(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

/// `it` or `them`.
fn them(number: u64) -> &'static str {
    if number == 1 { "it" } else { "them" }
}

/// `is` or `are`.
fn is(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
