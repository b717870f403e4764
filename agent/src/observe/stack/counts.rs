//! How many stacks came by the walk, and how many from GetStackTrace and why.
//!
//! A thread that finds a known key counts that in its own slot (`state::slots`).

use super::walk::{Kinds, Why};
use crate::state::slots::{self, Slot};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Why a stack was not taken from the walk.
#[derive(Clone, Copy)]
pub(super) enum Fallback {
    /// The walk has a key that is not in the cache.
    New,
    /// The walk has no key.
    Why(Why),
}

/// Stacks from GetStackTrace, by reason.
static FALLBACKS: [AtomicU64; Why::ALL.len() + 1] =
    [const { AtomicU64::new(0) }; Why::ALL.len() + 1];

/// How many stacks were compared with GetStackTrace.
static COMPARED: AtomicU64 = AtomicU64::new(0);

/// How many of them differed.
static MISMATCHES: AtomicU64 = AtomicU64::new(0);

/// The same of stacks with frozen frames.
static COMPARED_FROZEN: AtomicU64 = AtomicU64::new(0);
static MISMATCHES_FROZEN: AtomicU64 = AtomicU64::new(0);

pub(super) fn fallback(why: Fallback) {
    let index = match why {
        Fallback::New => Why::ALL.len(),
        Fallback::Why(why) => why as usize,
    };
    if let Some(count) = FALLBACKS.get(index) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stack with these kinds of frames was compared.
pub(super) fn compared(kinds: Kinds, agrees: bool) {
    let frozen = kinds.has(Kinds::FROZEN);
    for (count, counts) in [
        (&COMPARED, true),
        (&COMPARED_FROZEN, frozen),
        (&MISMATCHES, !agrees),
        (&MISMATCHES_FROZEN, frozen && !agrees),
    ] {
        if counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A stack with these kinds of frames was found by the walk.
pub(super) fn found(kinds: Kinds) {
    if kinds.has(Kinds::FROZEN) {
        slots::here().into_iter().for_each(Slot::frozen_hit);
    }
}

/// Numbers of stacks that were walked.
#[derive(Clone, Copy)]
pub(super) struct Walks {
    pub(super) hits: u64,
    pub(super) compared: u64,
    pub(super) mismatches: u64,
}

impl Walks {
    const NONE: Walks = Walks { hits: 0, compared: 0, mismatches: 0 };

    fn subtract(&mut self, began: Walks) {
        self.hits -= began.hits;
        self.compared -= began.compared;
        self.mismatches -= began.mismatches;
    }
}

/// All counts of this process.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub(super) all: Walks,
    /// Of them: those with frozen frames.
    pub(super) frozen: Walks,
    fallbacks: [u64; Why::ALL.len() + 1],
}

/// The counts when counting began.
static BEGAN: Mutex<Counts> = Mutex::new(Counts {
    all: Walks::NONE,
    frozen: Walks::NONE,
    fallbacks: [0; Why::ALL.len() + 1],
});

fn all() -> Counts {
    let mut fallbacks = [0; Why::ALL.len() + 1];
    for (to, from) in fallbacks.iter_mut().zip(&FALLBACKS) {
        *to = from.load(Ordering::Relaxed);
    }
    let (hits, frozen_hits) = slots::hits();
    Counts {
        all: Walks {
            hits,
            compared: COMPARED.load(Ordering::Relaxed),
            mismatches: MISMATCHES.load(Ordering::Relaxed),
        },
        frozen: Walks {
            hits: frozen_hits,
            compared: COMPARED_FROZEN.load(Ordering::Relaxed),
            mismatches: MISMATCHES_FROZEN.load(Ordering::Relaxed),
        },
        fallbacks,
    }
}

/// Counts from 0 from now on.
pub(super) fn begin() {
    let mut began = BEGAN.lock().unwrap_or_else(PoisonError::into_inner);
    *began = all();
}

/// The counts since then.
pub(super) fn since() -> Counts {
    let began = BEGAN.lock().unwrap_or_else(PoisonError::into_inner);
    // Under the lock, so that none is less than when counting began.
    let mut counts = all();
    counts.all.subtract(began.all);
    counts.frozen.subtract(began.frozen);
    for (count, began) in counts.fallbacks.iter_mut().zip(began.fallbacks) {
        *count -= began;
    }
    counts
}

impl Counts {
    /// The stacks from GetStackTrace, by reason; reasons that did not occur are left out.
    pub(super) fn fallbacks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = Why::ALL.iter().map(|why| why.name()).chain(["new stack"]);
        names.zip(self.fallbacks).filter(|(_, count)| *count > 0)
    }
}
