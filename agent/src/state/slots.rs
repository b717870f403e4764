//! One slot a thread: its own counts, and whether it is inside a hook; and what can be read there
//! without a lock.
//!
//! A hook enters its slot, reads what a [`Quiescent`] holds, and leaves: two stores to a cache line
//! of its own thread. [`quiet`] holds up all hooks at the [`Gate`] and waits until none is inside;
//! then what they read can be changed. Invariant: no thread calls the JVM while it is inside, or
//! while it holds up the others, so none waits for a safepoint in there.

use super::gate::{BUSY, Closed, Gate, INSIDE, OUTSIDE, leave};
use crate::sys::sync;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zaudit_core::ledger::ThreadCounts;
use zaudit_core::model::{Actor, Role, ThreadId};

/// What belongs to one thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    /// Where the thread is.
    state: sync::AtomicU8,
    /// What the thread has counted in the current audit.
    pub(crate) counts: ThreadCounts,
    /// Stacks that the walk has seen before.
    hits: AtomicU64,
    /// Of them: those with frozen frames.
    frozen_hits: AtomicU64,
    /// Who the thread is, as [`Known::word`] has it.
    known: AtomicU64,
    /// Of the virtual thread that was last on this carrier: the audit, the number of the
    /// thread, and its tag.
    virtual_audit: AtomicU64,
    virtual_number: AtomicU64,
    virtual_tag: AtomicI64,
    /// The innermost frames where the thread, a finalizer or Cleaner, freed something last, and
    /// what they meant.
    last_frames: AtomicU64,
    last_meaning: AtomicU8,
}

/// What is known of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    /// A platform thread, and its role.
    Platform(Actor),
    /// Carries virtual threads: the actor must be determined each time.
    Carrier,
}

impl Known {
    const NOTHING: u64 = 0;
    const CARRIER: u64 = 1;
    const PROGRAM: u64 = 2;
    const RECLAIMER: u64 = 3;

    fn word(self) -> u64 {
        match self {
            Known::Nothing => Self::NOTHING,
            Known::Carrier => Self::CARRIER,
            Known::Platform(Actor { thread, role }) => {
                let role = if role == Role::Program { Self::PROGRAM } else { Self::RECLAIMER };
                thread.0 << 2 | role
            }
        }
    }

    fn of_word(word: u64) -> Known {
        let platform = |role| Known::Platform(Actor { thread: ThreadId(word >> 2), role });
        match word & 3 {
            Self::PROGRAM => platform(Role::Program),
            Self::RECLAIMER => platform(Role::Reclaimer),
            Self::CARRIER => Known::Carrier,
            _ => Known::Nothing,
        }
    }
}

impl Slot {
    /// What is known of this slot's thread, which is the current one.
    #[inline]
    pub(crate) fn known(&self) -> Known {
        Known::of_word(self.known.load(Ordering::Relaxed))
    }

    pub(crate) fn set_known(&self, known: Known) {
        self.known.store(known.word(), Ordering::Relaxed);
    }

    /// The tag of a virtual thread, if it was the last one here.
    #[inline]
    pub(crate) fn virtual_tag(&self, audit: u64, number: u64) -> Option<i64> {
        let same = self.virtual_number.load(Ordering::Relaxed) == number
            && self.virtual_audit.load(Ordering::Relaxed) == audit;
        same.then(|| self.virtual_tag.load(Ordering::Relaxed))
    }

    pub(crate) fn set_virtual_tag(&self, audit: u64, number: u64, tag: i64) {
        self.virtual_audit.store(audit, Ordering::Relaxed);
        self.virtual_number.store(number, Ordering::Relaxed);
        self.virtual_tag.store(tag, Ordering::Relaxed);
    }

    /// What these innermost frames meant the last time. None if they were others.
    #[inline]
    pub(crate) fn meaning(&self, frames: u64) -> Option<u8> {
        let same = self.last_frames.load(Ordering::Relaxed) == frames;
        same.then(|| self.last_meaning.load(Ordering::Relaxed))
    }

    pub(crate) fn set_meaning(&self, frames: u64, meaning: u8) {
        self.last_frames.store(frames, Ordering::Relaxed);
        self.last_meaning.store(meaning, Ordering::Relaxed);
    }

    /// Counts a stack that the walk has seen before. Returns the number of them in this slot.
    #[inline]
    pub(crate) fn hit(&self) -> u64 {
        let hits = self.hits.load(Ordering::Relaxed) + 1;
        self.hits.store(hits, Ordering::Relaxed);
        hits
    }

    /// One of them had frozen frames.
    #[inline]
    pub(crate) fn frozen_hit(&self) {
        let hits = self.frozen_hits.load(Ordering::Relaxed) + 1;
        self.frozen_hits.store(hits, Ordering::Relaxed);
    }
}

/// The stacks of all threads that the walk has seen before, since the process began, and those with
/// frozen frames among them.
pub(crate) fn hits() -> (u64, u64) {
    let slots = lock(&SLOTS);
    let add = |(all, frozen), slot: &&Slot| {
        (all + slot.hits.load(Ordering::Relaxed), frozen + slot.frozen_hits.load(Ordering::Relaxed))
    };
    slots.all.iter().fold((0, 0), add)
}

/// All slots that were ever made; those of threads that have ended are used again.
#[derive(Default)]
struct Slots {
    all: Vec<&'static Slot>,
    free: Vec<&'static Slot>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots { all: Vec::new(), free: Vec::new() });

static GATE: Gate = Gate::new();

thread_local! {
    static HERE: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    /// Gives the slot back when the thread ends.
    static LEAVER: Leaver = const { Leaver };
}

struct Leaver;

impl Drop for Leaver {
    fn drop(&mut self) {
        // What the thread counted stays in its slot until the next sum.
        if let Some(slot) = HERE.take() {
            slot.set_known(Known::Nothing);
            slot.set_meaning(0, 0);
            let mut slots = lock(&SLOTS);
            if slots.free.try_reserve(1).is_ok() {
                slots.free.push(slot);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The current thread's slot. None if there is no memory for one.
#[inline]
pub(crate) fn here() -> Option<&'static Slot> {
    HERE.get().or_else(new_slot)
}

#[cold]
#[inline(never)]
fn new_slot() -> Option<&'static Slot> {
    let mut slots = lock(&SLOTS);
    let slot = match slots.free.pop() {
        Some(slot) => slot,
        None => {
            let mut one = Vec::new();
            one.try_reserve_exact(1).ok()?;
            slots.all.try_reserve(1).ok()?;
            one.push(Slot::default());
            // Never given back to the allocator: `quiet` looks at it until the process ends.
            let slot: &'static Slot = one.leak().first()?;
            slots.all.push(slot);
            slot
        }
    };
    HERE.set(Some(slot));
    // On a thread that is being destroyed the slot is not used again.
    let _ = LEAVER.try_with(|_| {});
    Some(slot)
}

/// The current thread is inside until this is dropped.
#[derive(Debug)]
pub(crate) struct Inside {
    slot: &'static Slot,
    before: u8,
}

impl Inside {
    /// Enters. The thread may be busy already, and is so again afterwards.
    #[inline]
    pub(crate) fn enter(slot: &'static Slot) -> Inside {
        let before = slot.state.load(Ordering::Relaxed);
        if before != INSIDE {
            GATE.enter(&slot.state);
        }
        Inside { slot, before }
    }

    /// Enters from outside. None if this thread is in the agent already.
    #[inline]
    pub(crate) fn enter_hook(slot: &'static Slot) -> Option<Inside> {
        (slot.state.load(Ordering::Relaxed) == OUTSIDE).then(|| Inside::enter(slot))
    }

    /// The thread's slot.
    #[inline]
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// The thread's own counts.
    #[inline]
    pub(crate) fn counts(&self) -> &'static ThreadCounts {
        &self.slot.counts
    }

    /// Runs something that may call the JVM, or [`quiet`].
    pub(crate) fn outside<T>(&mut self, body: impl FnOnce() -> T) -> T {
        /// Enters again, also after a panic.
        struct Again(&'static Slot);
        impl Drop for Again {
            fn drop(&mut self) {
                GATE.enter(&self.0.state);
            }
        }
        leave(&self.slot.state, BUSY);
        let _again = Again(self.slot);
        body()
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if self.before != INSIDE {
            leave(&self.slot.state, self.before);
        }
    }
}

/// The current thread works for the agent until this is dropped: no hook does anything on it.
pub(crate) struct Busy(Option<&'static Slot>);

/// Marks the current thread as busy. Without memory for its slot its hooks stay as they are.
pub(crate) fn busy() -> Busy {
    let slot = here().filter(|slot| slot.state.load(Ordering::Relaxed) == OUTSIDE);
    slot.into_iter().for_each(|slot| leave(&slot.state, BUSY));
    Busy(slot)
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.into_iter().for_each(|slot| leave(&slot.state, OUTSIDE));
    }
}

/// All hooks are held up while this exists.
pub(crate) struct Quiet(Closed<'static>);

/// The counts of all threads.
pub(crate) struct Threads(MutexGuard<'static, Slots>);

impl Threads {
    pub(crate) fn counts(&self) -> impl Iterator<Item = &'static ThreadCounts> + Clone {
        self.0.all.iter().map(|slot| &slot.counts)
    }
}

/// Holds up all hooks, and calls `body` when none is inside. Must not be called from inside.
pub(crate) fn quiet<T>(body: impl FnOnce(&mut Quiet, &Threads) -> T) -> T {
    let mut quiet = Quiet(GATE.close());
    let threads = Threads(lock(&SLOTS));
    threads.0.all.iter().for_each(|slot| quiet.0.wait_for(&slot.state));
    body(&mut quiet, &threads)
}

/// What hooks read without a lock, and what changes only while they are held up.
#[derive(Debug, Default)]
pub(crate) struct Quiescent<T>(UnsafeCell<T>);

// SAFETY: references come from `get`, while no `Quiet` exists (`Gate::enter` waits for its end), or
// from `get_mut`, while no `Inside` of another thread does (`quiet` waits for them).
unsafe impl<T: Send + Sync> Sync for Quiescent<T> {}

impl<T> Quiescent<T> {
    pub(crate) const fn new(value: T) -> Self {
        Quiescent(UnsafeCell::new(value))
    }

    /// What is there, for as long as the thread is inside.
    #[inline]
    pub(crate) fn get<'a>(&'a self, _inside: &'a Inside) -> &'a T {
        // SAFETY: as for `Sync`; an `Inside` borrowed here is not given up by `outside`, which
        // needs it mutably.
        unsafe { &*self.0.get() }
    }

    /// What is there, to be changed.
    pub(crate) fn get_mut<'a>(&'a self, _quiet: &'a mut Quiet) -> &'a mut T {
        // SAFETY: as for `Sync`; there is one `Quiet` at a time, borrowed mutably here.
        unsafe { &mut *self.0.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_change_is_seen_by_all_or_by_none() {
        static PAIR: Quiescent<(u64, u64)> = Quiescent::new((0, 0));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut reads = 0u64;
                        // Once at least, also on a thread that begins late.
                        while reads == 0 || !done.load(Ordering::Relaxed) {
                            let mut inside = Inside::enter_hook(here().unwrap()).unwrap();
                            let (one, other) = *PAIR.get(&inside);
                            assert_eq!(one, other);
                            assert!(Inside::enter_hook(here().unwrap()).is_none(), "re-entered");
                            if reads.is_multiple_of(7) {
                                inside.outside(std::thread::yield_now);
                            }
                            reads += 1;
                        }
                        reads
                    })
                })
                .collect();
            for _ in 0..if cfg!(miri) { 20 } else { 2_000 } {
                quiet(|quiet, _| {
                    let pair = PAIR.get_mut(quiet);
                    pair.0 += 1;
                    std::hint::black_box(&pair);
                    pair.1 += 1;
                });
            }
            done.store(true, Ordering::Relaxed);
            assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
        });
    }

    #[test]
    fn what_is_known_of_a_thread_comes_back_as_it_was() {
        let slot = Slot::default();
        assert_eq!(slot.known(), Known::Nothing);
        let platform = |role| Known::Platform(Actor { thread: ThreadId(1 << 50), role });
        for known in [Known::Carrier, platform(Role::Program), platform(Role::Reclaimer)] {
            slot.set_known(known);
            assert_eq!(slot.known(), known);
        }
    }

    #[test]
    fn no_hit_is_lost_when_a_thread_ends() {
        const EACH: u64 = if cfg!(miri) { 10 } else { 1_000 };
        let before = hits();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..40 {
                    scope.spawn(|| (0..EACH).for_each(|_| _ = here().unwrap().hit()));
                }
            });
        }
        assert_eq!(hits().0 - before.0, 120 * EACH);
    }

    #[test]
    fn a_thread_that_ends_leaves_its_slot_to_another() {
        let slots = || quiet(|_, threads| threads.counts().count());
        let ended = || std::thread::spawn(|| here().is_some()).join().unwrap();
        assert!(ended());
        let before = slots();
        for _ in 0..50 {
            assert!(ended());
        }
        assert!(slots() <= before + 8, "{} slots after {before}", slots());
    }
}
