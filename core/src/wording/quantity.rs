//! Numbers, sizes and times as people read them.

use crate::model::Kind;
use std::time::Duration;

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 finding`, `1,204 findings`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

/// `once`, `12 times`.
pub fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{} times", grouped(number)) }
}

/// `1 Inflater`, `12 Deflaters`.
pub fn some(number: u64, kind: Kind) -> String {
    format!("{} {}{}", grouped(number), kind.noun(), if number == 1 { "" } else { "s" })
}

/// `2 Inflaters and 4 Deflaters`; empty if there are none.
pub fn kinds(number_of: impl Fn(Kind) -> u64) -> String {
    let numbers = Kind::ALL.map(|kind| (number_of(kind), kind));
    let present = numbers.into_iter().filter(|(number, _)| *number > 0);
    present.map(|(number, kind)| some(number, kind)).collect::<Vec<_>>().join(" and ")
}

/// Bytes, to three figures.
pub fn bytes(number: u64) -> String {
    scaled(number as f64, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Bytes × seconds, to three figures.
pub fn byte_seconds(number: f64) -> String {
    scaled(number, &["B·s", "KiB·s", "MiB·s", "GiB·s", "TiB·s"])
}

fn scaled(mut number: f64, units: &[&str]) -> String {
    let mut units = units.iter().peekable();
    let mut unit = units.next();
    while number >= 1_024.0 && units.peek().is_some() {
        number /= 1_024.0;
        unit = units.next();
    }
    let digits = if number >= 100.0 || number.fract() == 0.0 { 0 } else { 1 };
    format!("{number:.digits$} {}", unit.unwrap_or(&""))
}

/// `340 ms`, `5.2 s`, `12 min`, `3 h`, `9.5 d`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s < 0.001 => return "under 1 ms".to_owned(),
        s if s < 1.0 => (format!("{:.0}", s * 1e3), "ms"),
        s if s < 10.0 => (format!("{s:.1}"), "s"),
        s if s < 120.0 => (format!("{s:.0}"), "s"),
        s if s < 7_200.0 => (format!("{:.0}", s / 60.0), "min"),
        s if s < 172_800.0 => (format!("{:.1}", s / 3_600.0), "h"),
        s => (format!("{:.1}", s / 86_400.0), "d"),
    };
    format!("{} {unit}", number.strip_suffix(".0").unwrap_or(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (number, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (40_032, "39.1 KiB"),
            (1 << 20, "1 MiB"),
            (3 << 41, "6 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (millis, text) in [
            (0, "under 1 ms"),
            (340, "340 ms"),
            (5_240, "5.2 s"),
            (60_500, "60 s"),
            (720_000, "12 min"),
            (12_240_000, "3.4 h"),
            (10_800_000, "3 h"),
            (777_600_000, "9 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
