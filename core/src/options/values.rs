//! Values of options: switches, numbers, times, sizes, signals.
//!
//! Knows their syntax, not which option has which. Invariant: every error says what would be right,
//! as part of a sentence whose subject is the value.

use super::FailOn;
use std::time::Duration;

/// A signal that may request a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Without `SIG`.
    pub name: &'static str,
    /// Its number on Linux (`signal(7)`, x86 and ARM).
    pub number: i32,
}

/// Signals that do nothing else in a JVM. The others belong to HotSpot (QUIT, USR2, the faults),
/// end processes by custom, or cannot be caught.
const SIGNALS: &[Signal] = &[
    Signal { name: "USR1", number: 10 },
    Signal { name: "URG", number: 23 },
    Signal { name: "VTALRM", number: 26 },
    Signal { name: "PROF", number: 27 },
    Signal { name: "WINCH", number: 28 },
    Signal { name: "IO", number: 29 },
    Signal { name: "PWR", number: 30 },
];

pub(super) const DEFAULT_SIGNAL: Signal = Signal { name: "USR1", number: 10 };

pub(super) fn switch(value: &str) -> Result<bool, String> {
    match value {
        "" | "true" | "on" => Ok(true),
        "false" | "off" => Ok(false),
        _ => Err("must be true or false, or have no value".into()),
    }
}

/// A time, or `none`.
pub(super) fn duration_or_none(value: &str) -> Result<Option<Duration>, String> {
    if value == "none" { Ok(None) } else { duration(value).map(Some) }
}

/// An exit code, or `none`. 0 would not be a failure, and an exit code has 8 bits.
pub(super) fn exit_code(value: &str) -> Result<Option<u8>, String> {
    match value.parse() {
        _ if value == "none" => Ok(None),
        Ok(code @ 1..) => Ok(Some(code)),
        _ => Err("must be a number from 1 to 255".into()),
    }
}

/// One condition of `fail_on`, on top of those before.
pub(super) fn fail_on(known: &mut FailOn, value: &str) -> Result<(), String> {
    match value.split_once(':') {
        None if value == "leak" => {}
        Some(("live", least)) => known.live = Some(number(least)?),
        Some(("bytes", least)) => known.bytes = Some(number(least)?),
        _ => return Err("must be live:N, bytes:SIZE or leak (always on)".into()),
    }
    Ok(())
}

/// A whole number, with `k`, `m` or `g` for powers of 1,024.
pub(super) fn number(value: &str) -> Result<u64, String> {
    let (digits, unit) =
        value.split_at(value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(format!("unknown unit {unit:?}; use k, m or g")),
    };
    let number: u64 = digits.parse().map_err(|_| "must be a whole number".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the number is too large".into())
}

/// Parses a time with its unit, such as `500ms`, `1.5s`, `10m` or `1h`. The error is part of a
/// sentence.
pub fn duration(value: &str) -> Result<Duration, String> {
    let (number, unit) =
        value.split_at(value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "" => return Err("has no unit; use ms, s, m or h".into()),
        _ => return Err(format!("unknown unit {unit:?}; use ms, s, m or h")),
    };
    // Not what a float's parser takes besides: signs, exponents, infinity.
    let is_decimal = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = number
        .parse()
        .ok()
        .filter(|_| is_decimal)
        .ok_or("must be a number with a unit, such as 5s")?;
    let millis = (number * seconds * 1_000.0).round();
    if number > 0.0 && millis < 1.0 {
        return Err("the time is shorter than 1ms".into());
    }
    if millis > u64::MAX as f64 / 2.0 {
        return Err("the time is too long".into());
    }
    Ok(Duration::from_millis(millis as u64))
}

pub(super) fn signal(value: &str) -> Result<Option<Signal>, String> {
    let upper = value.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match (name, SIGNALS.iter().find(|signal| signal.name == name)) {
        (_, Some(signal)) => Ok(Some(*signal)),
        ("NONE", _) => Ok(None),
        ("QUIT" | "USR2", _) => Err(format!("SIG{name} is used by the JVM; use USR1")),
        ("KILL" | "STOP", _) => Err(format!("SIG{name} cannot be caught; use USR1")),
        _ => Err(format!(
            "must be one of {}, or none",
            SIGNALS.iter().map(|signal| signal.name).collect::<Vec<_>>().join(", ")
        )),
    }
}
