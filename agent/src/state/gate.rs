//! Holds up all hooks while something changes that they read without a lock.
//!
//! Each thread has a word that says where it is, and enters with two accesses to it and to the
//! gate. Invariant: while the gate is closed and [`Closed::wait_for`] has returned for a thread,
//! that thread is not inside, and what it did inside before happened before.

use crate::sys::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard, yield_now};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The thread is not in the agent.
pub(super) const OUTSIDE: u8 = 0;
/// The thread reads what changes only while the gate is closed.
pub(super) const INSIDE: u8 = 1;
/// The thread is in the agent and may call the JVM.
pub(super) const BUSY: u8 = 2;

pub(super) struct Gate {
    /// Whether hooks are held up.
    stop: AtomicBool,
    /// Held by the thread that holds them up.
    turn: Mutex<()>,
}

impl Gate {
    pub(super) const fn new() -> Gate {
        Gate { stop: AtomicBool::new(false), turn: Mutex::new(()) }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current thread, whose word this is, is inside from now on.
    #[inline]
    pub(super) fn enter(&self, state: &AtomicU8) {
        loop {
            // The store must be seen before the load happens: with SeqCst, either `wait_for` sees
            // this thread inside, or this thread sees `stop`.
            state.swap(INSIDE, Ordering::SeqCst);
            if !self.stop.load(Ordering::SeqCst) {
                return;
            }
            leave(state, BUSY);
            drop(self.turn());
        }
    }

    /// Holds up all threads that try to enter.
    pub(super) fn close(&self) -> Closed<'_> {
        let turn = self.turn();
        self.stop.store(true, Ordering::SeqCst);
        Closed { gate: self, _turn: turn }
    }
}

/// The current thread, whose word this is, is somewhere else from now on. Release also where it was
/// not inside: what it did inside before happens before `wait_for` returns, whichever of the later
/// states that finds.
#[inline]
pub(super) fn leave(state: &AtomicU8, to: u8) {
    state.store(to, Ordering::Release);
}

/// The gate is closed while this exists.
pub(super) struct Closed<'a> {
    gate: &'a Gate,
    _turn: MutexGuard<'a, ()>,
}

impl Closed<'_> {
    /// Waits until the thread that this word belongs to is not inside.
    pub(super) fn wait_for(&self, state: &AtomicU8) {
        while state.load(Ordering::SeqCst) == INSIDE {
            yield_now();
        }
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.gate.stop.store(false, Ordering::SeqCst);
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::thread::spawn;
    use std::rc::Rc;

    /// Hooks that enter so often, each beside one change. Loom finds each access to the cell that
    /// is not ordered.
    fn model(hooks: &'static [usize]) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let words: Vec<_> = hooks.iter().map(|_| AtomicU8::new(OUTSIDE)).collect();
            let shared = Rc::new((Gate::new(), words, Cell::new(0)));
            drop(shared.0.turn());
            shared.0.stop.load(Ordering::SeqCst);
            shared.1.iter().for_each(|word| _ = word.load(Ordering::SeqCst));
            for (at, times) in hooks.iter().enumerate() {
                let shared = Rc::clone(&shared);
                spawn(move || {
                    let (gate, words, data) = &*shared;
                    let word = &words[at];
                    for time in 0..*times {
                        gate.enter(word);
                        data.get();
                        leave(word, if time == 0 { BUSY } else { OUTSIDE });
                    }
                });
            }
            let (gate, words, data) = &*shared;
            let closed = gate.close();
            words.iter().for_each(|word| closed.wait_for(word));
            data.set(1);
        });
    }

    #[test]
    fn a_hook_that_enters_twice() {
        model(&[2]);
    }

    #[test]
    fn two_hooks() {
        model(&[1, 1]);
    }
}
