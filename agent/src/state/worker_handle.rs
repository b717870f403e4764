//! Whether the agent's own thread runs, and whether it should.

use crate::sys::wake::{WakeReason, Waker};
use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zaudit_core::options::Options;

/// The state of the agent's thread, as other threads see it.
#[derive(Default)]
pub(crate) struct WorkerHandle {
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the thread should run.
    wanted: bool,
    /// Whether it does, until it has seen that it should not.
    running: bool,
    /// The pending audit: when it begins, and its options.
    waiting: Option<(Instant, Options)>,
}

/// How long disarming waits for the thread to return: it may be writing to a pipe without a reader.
const WORKER_EXIT_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Marks the current thread as the agent's own.
pub(crate) fn mark_current_thread() {
    IS_WORKER.set(true);
}

impl WorkerHandle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that the thread runs, and arms as `waiting` says. Returns whether it runs already.
    pub(crate) fn request(&self, waiting: Option<(Instant, Options)>) -> bool {
        let mut state = self.state();
        (state.wanted, state.waiting) = (true, waiting);
        std::mem::replace(&mut state.running, true)
    }

    /// When the pending audit begins.
    pub(crate) fn arms_at(&self) -> Option<Instant> {
        self.state().waiting.as_ref().map(|(at, _)| *at)
    }

    /// Takes the options of the pending audit.
    pub(crate) fn take_waiting(&self) -> Option<Options> {
        self.state().waiting.take().map(|(_, options)| options)
    }

    /// Requests that the thread returns, without waiting.
    pub(crate) fn cancel(&self) {
        self.state().wanted = false;
    }

    /// Requests that the thread returns, and waits for it, unless the current thread is that
    /// thread.
    pub(crate) fn stop(&self, waker: &Waker) {
        let mut state = self.state();
        (state.wanted, state.waiting) = (false, None);
        waker.wake(WakeReason::STATE);
        if !IS_WORKER.get() {
            drop(self.gone.wait_timeout_while(state, WORKER_EXIT_TIMEOUT, |state| state.running));
        }
    }

    /// Whether the thread should go on. If not, it counts as gone from now on.
    pub(crate) fn should_continue(&self) -> bool {
        let mut state = self.state();
        if !state.wanted {
            state.running = false;
            self.gone.notify_all();
        }
        state.wanted
    }

    /// Records that the thread has returned, or could not be started.
    pub(crate) fn set_gone(&self) {
        self.state().running = false;
        self.gone.notify_all();
    }
}
