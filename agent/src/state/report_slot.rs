//! The right to make a report: one at a time, numbered, and none once the JVM is exiting.
//!
//! Invariant: dropping a [`Turn`] releases the slot, also after a panic.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zaudit_core::analysis::retention::Retention;
use zaudit_core::files;

/// How long the JVM's exit and a command wait for a running report. A report that writes to a pipe
/// gives up earlier: see [`files::ending`].
pub(crate) const REPORT_SLOT_TIMEOUT: Duration = Duration::from_secs(10);

/// Serialises reports, and numbers those on demand.
#[derive(Default)]
pub(crate) struct ReportSlot {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    /// A report, or the preparation of the last one, is running.
    busy: bool,
    /// The JVM is exiting: no report on demand begins any more.
    ending: bool,
    /// What the preparation of the last report found; none before that preparation begins.
    prepared: Option<Prepared>,
    /// How many numbered reports there were.
    number: u32,
}

/// What was found before a report is made.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Why garbage may be counted as live, if it may.
    pub(crate) unsettled: Option<String>,
    /// Paths from GC roots to live instances.
    pub(crate) retention: Retention,
}

/// The right to make a report, until it is dropped.
pub(crate) struct Turn<'a>(&'a ReportSlot);

impl ReportSlot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most `timeout` for the right to make a report; none once the JVM is exiting.
    pub(crate) fn begin(&self, timeout: Duration) -> Option<Turn<'_>> {
        let waits = |state: &mut State| state.busy && !state.ending;
        let mut state = match self.free.wait_timeout_while(self.state(), timeout, waits) {
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

    /// The right to prepare the last report. None if that was done already, or another report takes
    /// too long.
    pub(crate) fn prepare_final(&self) -> Option<Turn<'_>> {
        let mut state = self.close();
        if state.busy || state.prepared.is_some() {
            return None;
        }
        (state.busy, state.prepared) = (true, Some(Prepared::default()));
        Some(Turn(self))
    }

    /// Prevents further reports, waits for a running one, and returns what
    /// [`prepare_final`](Self::prepare_final) found.
    pub(crate) fn take_final(&self) -> Option<Prepared> {
        self.close().prepared.take()
    }

    fn close(&self) -> MutexGuard<'_, State> {
        // This also shortens the wait of a running report that writes to a pipe.
        files::ending();
        let mut state = self.state();
        state.ending = true;
        match self.free.wait_timeout_while(state, REPORT_SLOT_TIMEOUT, |state| state.busy) {
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

    /// Stores what the preparation of the last report found.
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
