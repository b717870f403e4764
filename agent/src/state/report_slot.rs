//! The right to make a report: one at a time, numbered, and none once the JVM is ending.
//!
//! Invariant: whoever has a [`Turn`] gives it back by dropping it, also after a panic.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zaudit_core::analysis::retention::Retention;
use zaudit_core::files;

/// How long the end of the JVM and a command wait for a report that is under way. One that waits for a pipe gives up
/// before: see [`files::ending`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Reports are made one after the other, and those on demand are numbered.
#[derive(Default)]
pub(crate) struct ReportSlot {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    /// A report, or the last collection, is under way.
    busy: bool,
    /// No report on demand begins any more.
    ending: bool,
    /// The last report was begun to be prepared, and what came of it.
    prepared: Option<Prepared>,
    number: u32,
}

/// What stands before a report.
#[derive(Default)]
pub(crate) struct Prepared {
    /// What could not be done.
    pub(crate) unsettled: Option<String>,
    /// Who keeps live instances.
    pub(crate) retention: Retention,
}

/// The right to make a report, until it is dropped.
pub(crate) struct Turn<'a>(&'a ReportSlot);

impl ReportSlot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn for a report on demand, after at most `patience`; none once the JVM is ending.
    pub(crate) fn begin(&self, patience: Duration) -> Option<Turn<'_>> {
        let waits = |state: &mut State| state.busy && !state.ending;
        let mut state = match self.free.wait_timeout_while(self.state(), patience, waits) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
        if state.ending || state.busy {
            return None;
        }
        state.busy = true;
        Some(Turn(self))
    }

    /// How many numbered reports there were.
    pub(crate) fn numbered(&self) -> u32 {
        self.state().number
    }

    /// The turn in which the last report is prepared. None if it is prepared already, or another report takes too long.
    pub(crate) fn prepare_last(&self) -> Option<Turn<'_>> {
        let mut state = self.last();
        if state.busy || state.prepared.is_some() {
            return None;
        }
        (state.busy, state.prepared) = (true, Some(Prepared::default()));
        Some(Turn(self))
    }

    /// Keeps further reports from starting, waits for what is under way, and gives what [`prepare_last`](Self::prepare_last)
    /// led to.
    pub(crate) fn take_last(&self) -> Option<Prepared> {
        self.last().prepared.take()
    }

    fn last(&self) -> MutexGuard<'_, State> {
        // A report that is under way and waits for a pipe gives up in time, too.
        files::ending();
        let mut state = self.state();
        state.ending = true;
        match self.free.wait_timeout_while(state, PATIENCE, |state| state.busy) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }
}

impl Turn<'_> {
    /// The number of this report.
    pub(crate) fn next_number(&self) -> u32 {
        let mut state = self.0.state();
        state.number += 1;
        state.number
    }

    /// What the preparation of the last report led to.
    pub(crate) fn prepared(&self, prepared: Prepared) {
        self.0.state().prepared = Some(prepared);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().busy = false;
        self.0.free.notify_all();
    }
}
