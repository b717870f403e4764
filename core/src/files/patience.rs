//! How long a reader that does not read may block a writer, and how long all of them together the
//! end of the JVM.
//!
//! Invariant: only time spent in waiting counts; once the end has begun, all waits together have
//! [`END`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a pipe may block a report while the program runs.
const LIMIT: Duration = Duration::from_secs(10);

/// How long all special files and standard error together may delay the end of the program.
const END: Duration = Duration::from_secs(2);

/// What special files leave of it for standard error, which gets what they did not take.
const RESERVE: Duration = Duration::from_millis(500);

/// The waiting time that one writer has left.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// So much, in all.
    Limited(Duration),
    /// Until this returns true: for a program whose user can interrupt it.
    Until(fn() -> bool),
}

impl Default for Patience {
    fn default() -> Self {
        Patience::Limited(LIMIT)
    }
}

/// From now on the program ends, and all that waits shares one budget. Later calls change nothing.
pub fn ending() {
    BUDGET.begin();
}

static BUDGET: Budget = Budget(AtomicU64::new(Budget::RUNNING));

/// Nanoseconds that may still be spent in waiting.
struct Budget(AtomicU64);

impl Budget {
    /// The program is not ending.
    const RUNNING: u64 = u64::MAX;

    fn begin(&self) {
        let end = u64::try_from(END.as_nanos()).unwrap_or_default();
        // An error means that it has begun before.
        let _ = self.0.compare_exchange(Self::RUNNING, end, Ordering::AcqRel, Ordering::Acquire);
    }

    fn left(&self) -> Duration {
        match self.0.load(Ordering::Acquire) {
            Self::RUNNING => Duration::MAX,
            left => Duration::from_nanos(left),
        }
    }

    fn spend(&self, time: Duration) {
        let spent = u64::try_from(time.as_nanos()).unwrap_or(Self::RUNNING);
        let less = |left| (left != Self::RUNNING).then(|| u64::saturating_sub(left, spent));
        // An error means that the program is not ending.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }
}

impl Patience {
    /// The time that standard error may still wait.
    pub fn left(&self) -> Duration {
        self.left_of(&BUDGET)
    }

    /// So much was spent in waiting.
    pub fn spend(&mut self, time: Duration) {
        self.spend_of(&BUDGET, time);
    }

    /// Waits a moment for a special file. False where no waiting time is left.
    pub(super) fn wait(&mut self, moment: Duration) -> bool {
        self.wait_of(&BUDGET, moment)
    }

    /// Whether a pipe that has no reader yet is worth waiting for. The end of a program is not
    /// delayed for it.
    pub(super) fn awaits_reader(&self) -> bool {
        matches!(self, Patience::Until(_))
    }

    fn left_of(&self, budget: &Budget) -> Duration {
        match self {
            Patience::Limited(left) => budget.left().min(*left),
            Patience::Until(over) if over() => Duration::ZERO,
            Patience::Until(_) => Duration::MAX,
        }
    }

    fn spend_of(&mut self, budget: &Budget, time: Duration) {
        budget.spend(time);
        if let Patience::Limited(left) = self {
            *left = left.saturating_sub(time);
        }
    }

    fn wait_of(&mut self, budget: &Budget, moment: Duration) -> bool {
        let ending = budget.left() != Duration::MAX;
        let reserve = if ending { RESERVE } else { Duration::ZERO };
        if self.left_of(budget) <= reserve {
            return false;
        }
        let begun = Instant::now();
        std::thread::sleep(moment);
        self.spend_of(budget, begun.elapsed());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_has_one_budget_for_all() {
        let budget = Budget(AtomicU64::new(Budget::RUNNING));
        let mut early = Patience::default();
        assert_eq!(early.left_of(&budget), LIMIT);
        early.spend_of(&budget, Duration::from_secs(1));
        assert_eq!(early.left_of(&budget), LIMIT - Duration::from_secs(1));
        budget.begin();
        // One that waits already is bound by it, too.
        assert_eq!(early.left_of(&budget), END);
        early.spend_of(&budget, Duration::from_secs(1));
        budget.begin();
        let mut late = Patience::default();
        assert_eq!(late.left_of(&budget), END - Duration::from_secs(1));
        assert!(late.wait_of(&budget, Duration::from_millis(1)));
        late.spend_of(&budget, Duration::from_millis(500));
        assert!(!late.wait_of(&budget, Duration::from_millis(1)), "the rest is for standard error");
        let left = Patience::default().left_of(&budget);
        assert!(!left.is_zero() && left < RESERVE, "{left:?}");
        late.spend_of(&budget, LIMIT);
        assert_eq!(Patience::default().left_of(&budget), Duration::ZERO);
    }

    #[test]
    fn an_interruption_ends_the_wait() {
        let mut patience = Patience::Until(|| false);
        assert!(patience.wait(Duration::ZERO));
        assert!(!Patience::Until(|| true).wait(Duration::ZERO));
    }
}
