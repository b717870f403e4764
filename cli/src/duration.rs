//! Durations on the command line, and the deadline of a command.
//!
//! Invariant: durations have the agent's syntax; one without a unit is refused.

use std::time::{Duration, Instant};

/// Parses `500ms`, `1.5s`, `5m`, `1h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let duration = zaudit_core::options::duration(text)?;
    // poll(2) counts milliseconds in 31 bits.
    let allowed = Duration::from_millis(1)..=Duration::from_secs(86_400);
    if allowed.contains(&duration) { Ok(duration) } else { Err("must be from 1ms to 24h".into()) }
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    /// The whole time from the start of the wait.
    pub(crate) limit: Duration,
}

impl Deadline {
    /// `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// The time left; `None` after the deadline.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("500ms", 500), ("2s", 2_000), ("1.5s", 1_500), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "2",
            "s",
            "-1s",
            "2d",
            "0s",
            "25h",
            "1e9s",
            "1..2s",
            "ms",
            "99999999999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
