//! Whether the agent's own thread runs, and whether it should.

use crate::sys::wake::{WakeReason, Waker};
use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zaudit_core::options::Options;

/// Whether there is a thread, and whether there should be.
#[derive(Default)]
pub(crate) struct WorkerHandle {
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    running: bool,
    /// When to begin an audit, and which.
    waiting: Option<(Instant, Options)>,
}

/// How long disarming waits for the thread to leave: it may be writing to a pipe that nobody reads.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The current thread is the agent's own.
pub(crate) fn this_is_it() {
    IS_WORKER.set(true);
}

impl WorkerHandle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is to run, and to arm at the time that is given. Whether it runs already.
    pub(crate) fn starts(&self, waiting: Option<(Instant, Options)>) -> bool {
        let mut state = self.state();
        (state.wanted, state.waiting) = (true, waiting);
        std::mem::replace(&mut state.running, true)
    }

    /// When it will arm.
    pub(crate) fn arms_at(&self) -> Option<Instant> {
        self.state().waiting.as_ref().map(|(at, _)| *at)
    }

    /// What it is to arm with, once.
    pub(crate) fn take_waiting(&self) -> Option<Options> {
        self.state().waiting.take().map(|(_, options)| options)
    }

    /// It is to leave; nobody waits for that.
    pub(crate) fn not_wanted(&self) {
        self.state().wanted = false;
    }

    /// Has it leave, and waits for that, unless it is the one that asks.
    pub(crate) fn stop(&self, waker: &Waker) {
        let mut state = self.state();
        (state.wanted, state.waiting) = (false, None);
        waker.wake(WakeReason::STATE);
        if !IS_WORKER.get() {
            drop(self.gone.wait_timeout_while(state, PATIENCE, |state| state.running));
        }
    }

    /// Whether it is still wanted; one that is not has left, as far as anybody else can tell.
    pub(crate) fn goes_on(&self) -> bool {
        let mut state = self.state();
        if !state.wanted {
            state.running = false;
            self.gone.notify_all();
        }
        state.wanted
    }

    /// It is not there any more, or never was.
    pub(crate) fn leaves(&self) {
        self.state().running = false;
        self.gone.notify_all();
    }
}
