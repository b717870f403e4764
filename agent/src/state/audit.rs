//! One audit: from arming to disarming, the environment whose tags and events it uses, and all that it learns.
//!
//! How it begins and ends is [`crate::control::lifecycle`]'s. Invariant: when the last hook has let go of it the environment goes,
//! and with it every tag.

use crate::state::redefinitions::Redefinitions;
use crate::sys::jvmti::Jvmti;
use crate::sys::{object_free, posix};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use zaudit_core::analysis::classify::Baseline;
use zaudit_core::analysis::history::History;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::model::Nanos;
use zaudit_core::options::Options;
use zaudit_core::session::Session;

/// What need not be told.
#[derive(Default)]
pub(crate) struct Expectations {
    /// The rules, those that are built in before the user's.
    pub(crate) rules: Vec<Rule>,
    /// What was there before.
    pub(crate) baseline: Option<Baseline>,
}

pub(crate) struct Audit {
    /// Tags, ObjectFree, ClassFileLoadHook: gone when this audit is.
    pub(crate) jvmti: Jvmti,
    pub(crate) options: Options,
    /// What need not be told.
    pub(crate) expected: Expectations,
    pub(crate) session: Session,
    /// Which version of the classes a stack is of.
    pub(crate) redefinitions: Redefinitions,
    armed: Instant,
    next_snapshot: Mutex<Option<Instant>>,
    epoch: Mutex<Epoch>,
    history: Mutex<Arc<History>>,
    search: AtomicU8,
    /// Whose turn it is with a stream's tag while the search goes on: a hook's, or the search's.
    turn: Mutex<()>,
    /// Nanoseconds that the program stood still while its heap was searched.
    pause: AtomicU64,
    /// Whether the last snapshot could not be written: it is said once.
    pub(crate) snapshot_failed: AtomicBool,
    /// The snapshots that were written, of each file.
    pub(crate) rotations: Mutex<Vec<zaudit_core::files::Rotation>>,
}

const NOTHING_FOUND: u8 = 0;
const SEARCHING: u8 = 1;
const FOUND: u8 = 2;

/// Since when is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) started: SystemTime,
    pub(crate) since: Nanos,
    /// Whether that was before the program began.
    pub(crate) from_start: bool,
}

impl Audit {
    pub(crate) fn new(
        jvmti: Jvmti,
        options: Options,
        expected: Expectations,
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
            history: Mutex::default(),
            search: AtomicU8::new(NOTHING_FOUND),
            turn: Mutex::default(),
            pause: AtomicU64::new(0),
            snapshot_failed: AtomicBool::new(false),
            rotations: Mutex::default(),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from now on.
    pub(crate) fn reset(&self, now: Nanos) {
        self.session.reset();
        *self.history() = Arc::default();
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) =
            Epoch { started: SystemTime::now(), since: now, from_start: false };
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, Arc<History>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When `duration` is over.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.armed.checked_add(self.options.duration?)
    }

    /// When the next snapshot of `interval` is due.
    pub(crate) fn next_snapshot(&self) -> Option<Instant> {
        *self.next_snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is due now; the next one is an interval later then, be it that some were missed.
    pub(crate) fn snapshot_is_due(&self, now: Instant) -> bool {
        let mut next = self.next_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.is_some_and(|time| time <= now);
        if due {
            *next = self.options.interval.and_then(|interval| now.checked_add(interval));
        }
        due
    }

    /// From here on hooks and the search take turns. Before any hook is placed.
    pub(crate) fn begin_search(&self) {
        self.search.store(SEARCHING, Ordering::SeqCst);
    }

    pub(crate) fn end_search(&self, found_nothing: bool) {
        self.search.store(if found_nothing { NOTHING_FOUND } else { FOUND }, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_searching(&self) -> bool {
        self.search.load(Ordering::SeqCst) == SEARCHING
    }

    /// Whether a stream whose constructor returns may have been found by the search.
    #[inline]
    pub(crate) fn has_searched(&self) -> bool {
        self.search.load(Ordering::SeqCst) != NOTHING_FOUND
    }

    /// A turn with the tags of streams.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pause(&self) -> Duration {
        Duration::from_nanos(self.pause.load(Ordering::Relaxed))
    }

    pub(crate) fn add_pause(&self, time: Duration) {
        self.pause.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Err(error) = object_free::leave_nothing_to_tell(self.jvmti) {
            // To give it back now might stop the JVM for ever; its tags stay, and do nothing.
            return posix::say(&format!("its JVMTI environment is kept: {error}"));
        }
        // SAFETY: whoever used it had hold of this audit, and nobody has any more.
        if let Err(error) = unsafe { self.jvmti.dispose() } {
            posix::say(&format!("its JVMTI environment was not given back: {error}"));
        }
    }
}
