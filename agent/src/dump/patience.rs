//! How long a reader that does not read may block a writer.
//!
//! Invariant: only time spent in waiting counts.

use std::time::{Duration, Instant};

/// How long a pipe may block a report: a program that ends must not hang on a reader that is gone.
const LIMIT: Duration = Duration::from_secs(10);

/// The waiting time that one writer has left.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// So much, in all.
    Limited(Duration),
    /// As long as this says no: for a program whose user can interrupt it.
    Until(fn() -> bool),
}

impl Default for Patience {
    fn default() -> Self {
        Patience::Limited(LIMIT)
    }
}

impl Patience {
    /// Whether a pipe that has no reader yet is worth waiting for. The end of a program is not delayed for it.
    pub(super) fn awaits_reader(&self) -> bool {
        matches!(self, Patience::Until(_))
    }

    /// Waits a moment. False where no waiting time is left.
    pub(super) fn wait(&mut self, moment: Duration) -> bool {
        match self {
            Patience::Until(over) if over() => false,
            Patience::Until(_) => {
                std::thread::sleep(moment);
                true
            }
            Patience::Limited(left) => {
                let begun = Instant::now();
                if !left.is_zero() {
                    std::thread::sleep(moment);
                }
                let had = *left;
                *left = left.saturating_sub(begun.elapsed());
                !had.is_zero()
            }
        }
    }
}
