//! x
use super::Test;
pub const TESTS: &[(&str, u32, Test)] = &[];
