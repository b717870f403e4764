//! The clauses that say why a run fails.

use super::{count, them, was};

/// `instances` is a list such as `3 Inflaters`, `number` how many these are.
pub fn leaks(instances: &str, number: u64) -> String {
    let (was, them) = (was(number), them(number));
    format!("{instances} {was} never ended; only the garbage collector freed {them}")
}

/// `instances` is empty if there is none: a condition of 0 is always met.
pub fn suspects(instances: &str, number: u64, least: u64) -> String {
    let is = if number == 1 { "is a suspect" } else { "are suspects" };
    match instances {
        "" => format!("no instance is a suspect (fail_on=live:{least})"),
        _ => format!("{instances} {is} (fail_on=live:{least})"),
    }
}

/// `held` is a number of bytes, such as `≈1,072,768`.
pub fn bytes(held: &str, least: u64) -> String {
    format!("suspects hold {held} bytes (fail_on=bytes:{least})")
}

/// A rule that is over its maximum.
pub fn over_maximum(found: &str, max: &str, rule: &str) -> String {
    format!("rule {rule} is {}", super::notes::over_maximum(found, max))
}

/// More such rules.
pub fn more_over_maximum(number: usize) -> String {
    match number {
        1 => "1 more rule is over its maximum".to_owned(),
        _ => format!("{} are over their maximum", count(number, "more rule")),
    }
}
