//! Chance that can be had again: a test that fails names its seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// Marsaglia's xorshift64.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        // Zero would stay zero.
        Self(if seed == 0 { 1 } else { seed })
    }

    /// Another seed in each run, or the one in `ZAUDIT_SEED`.
    #[must_use]
    pub fn from_clock() -> Self {
        let given = std::env::var("ZAUDIT_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock =
            || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Self::from_seed(given.unwrap_or_else(clock))
    }

    /// What `ZAUDIT_SEED` must be for the numbers that follow.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.0
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number, below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
}
