//! Sums over the sites of a kind.
//!
//! Knows nothing of who is summed. Invariant: a sum of what adds up adds up.

/// Sums over all sites of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Constructors that returned.
    pub created: u64,
    /// Ended by the program.
    pub ended: u64,
    /// Ended by a finalizer or Cleaner.
    pub late: u64,
    /// Freed by the collector.
    pub collected: u64,
    /// Neither.
    pub live: u64,
    /// Of the last three, covered by a rule.
    pub expected: u64,
    /// Of `ended`, by another thread than the creator's.
    pub ended_elsewhere: u64,
}

impl Totals {
    /// Takes others in.
    pub(crate) fn add(&mut self, other: &Totals) {
        self.created += other.created;
        self.ended += other.ended;
        self.late += other.late;
        self.collected += other.collected;
        self.live += other.live;
        self.expected += other.expected;
        self.ended_elsewhere += other.ended_elsewhere;
    }
}
