//! One audit: from arming to disarming, the environment whose tags and events it uses, and all that it learns.
//!
//! How it begins and ends is [`super::arming`]'s. Invariant: when the last hook has let go of it the environment goes,
//! and with it every tag.

use super::env::Jvmti;
use super::preparation::Expected;
use super::redefinition::Redefinitions;
use zaudit_core::model::Nanos;
use zaudit_core::analysis::history::Growth;
use zaudit_core::options::Options;
use zaudit_core::session::Session;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub(super) struct Audit {
    /// Tags, ObjectFree, ClassFileLoadHook: gone when this audit is.
    pub(super) jvmti: Jvmti,
    pub(super) options: Options,
    /// What need not be told.
    pub(super) expected: Expected,
    pub(super) session: Session,
    /// Which version of the classes a stack is of.
    pub(super) redefinitions: Redefinitions,
    armed: Instant,
    next_snapshot: Mutex<Option<Instant>>,
    epoch: Mutex<Epoch>,
    growth: Mutex<Arc<Growth>>,
    search: AtomicU8,
    /// Whose turn it is with a stream's tag while the search goes on: a hook's, or the search's.
    turn: Mutex<()>,
    /// Nanoseconds that the program stood still while its heap was searched.
    stood_still: AtomicU64,
    /// Whether the last snapshot could not be written: it is said once.
    pub(super) snapshot_failed: AtomicBool,
    /// The snapshots that were written, of each file.
    pub(super) rotations: Mutex<Vec<zaudit_core::files::Rotation>>,
}

const NOTHING_FOUND: u8 = 0;
const SEARCHING: u8 = 1;
const FOUND: u8 = 2;

/// Since when is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    pub(super) started: SystemTime,
    pub(super) since: Nanos,
    /// Whether that was before the program began.
    pub(super) from_start: bool,
}

impl Audit {
    pub(super) fn new(
        jvmti: Jvmti,
        options: Options,
        expected: Expected,
        now: Nanos,
        from_start: bool,
    ) -> Audit {
        let armed = Instant::now();
        Audit {
            next_snapshot: Mutex::new(options.interval.and_then(|interval| armed.checked_add(interval))),
            jvmti,
            options,
            expected,
            session: Session::default(),
            redefinitions: Redefinitions::default(),
            armed,
            epoch: Mutex::new(Epoch { started: SystemTime::now(), since: now, from_start }),
            growth: Mutex::default(),
            search: AtomicU8::new(NOTHING_FOUND),
            turn: Mutex::default(),
            stood_still: AtomicU64::new(0),
            snapshot_failed: AtomicBool::new(false),
            rotations: Mutex::default(),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from now on.
    pub(super) fn reset(&self, now: Nanos) {
        self.session.reset();
        *self.growth() = Arc::default();
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) =
            Epoch { started: SystemTime::now(), since: now, from_start: false };
    }

    pub(super) fn growth(&self) -> MutexGuard<'_, Arc<Growth>> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When `duration` is over.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.armed.checked_add(self.options.duration?)
    }

    /// When the next snapshot of `interval` is due.
    pub(super) fn next_snapshot(&self) -> Option<Instant> {
        *self.next_snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is due now; the next one is an interval later then, be it that some were missed.
    pub(super) fn snapshot_is_due(&self, now: Instant) -> bool {
        let mut next = self.next_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.is_some_and(|time| time <= now);
        if due {
            *next = self.options.interval.and_then(|interval| now.checked_add(interval));
        }
        due
    }

    /// From here on hooks and the search take turns. Before any hook is placed.
    pub(super) fn begin_search(&self) {
        self.search.store(SEARCHING, Ordering::SeqCst);
    }

    pub(super) fn end_search(&self, found_nothing: bool) {
        self.search.store(if found_nothing { NOTHING_FOUND } else { FOUND }, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn is_searching(&self) -> bool {
        self.search.load(Ordering::SeqCst) == SEARCHING
    }

    /// Whether a stream whose constructor returns may have been found by the search.
    #[inline]
    pub(super) fn has_searched(&self) -> bool {
        self.search.load(Ordering::SeqCst) != NOTHING_FOUND
    }

    /// A turn with the tags of streams.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stood_still(&self) -> Duration {
        Duration::from_nanos(self.stood_still.load(Ordering::Relaxed))
    }

    pub(super) fn stood_still_for(&self, time: Duration) {
        self.stood_still.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Err(error) = super::freed::leave_nothing_to_tell(self.jvmti) {
            // To give it back now might stop the JVM for ever; its tags stay, and do nothing.
            return super::os::say(&format!("its JVMTI environment is kept: {error}"));
        }
        // SAFETY: whoever used it had hold of this audit, and nobody has any more.
        if let Err(error) = unsafe { self.jvmti.dispose() } {
            super::os::say(&format!("its JVMTI environment was not given back: {error}"));
        }
    }
}
