//! What the fuzz targets share: inputs with the shape of what is tested, and readers of what comes
//! out of it that share no code with the writers.
//!
//! Owns: these two. Leaves to the targets: the properties. Invariant: everything here is a function
//! of the bytes that libFuzzer gives, so that an input that fails, fails again.

pub mod bytecode;
pub mod documents;
pub mod formats;
pub mod recordings;
