//! One audit: its options, the JVMTI environment whose tags and events it uses, and all that it
//! records.
//!
//! `control::lifecycle` begins and ends it. Invariant: when the last hook has released it,
//! the environment is disposed, and with it every tag.

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

/// What the user expects: findings that these cover do not count as leaks.
#[derive(Default)]
pub(crate) struct Expectations {
    /// The rules, the built-in ones before the user's.
    pub(crate) rules: Vec<Rule>,
    /// An earlier report, whose findings are not new.
    pub(crate) baseline: Option<Baseline>,
}

pub(crate) struct Audit {
    /// For tags, ObjectFree and ClassFileLoadHook. Disposed with the audit.
    pub(crate) jvmti: Jvmti,
    pub(crate) options: Options,
    /// What the user expects, loaded before the audit began.
    pub(crate) expected: Expectations,
    pub(crate) session: Session,
    /// Versions of redefined classes, which are part of every stack's key.
    pub(crate) redefinitions: Redefinitions,
    /// When the audit began; `duration` counts from here.
    armed: Instant,
    /// When the next snapshot of `interval` is due; none without `interval`.
    next_snapshot: Mutex<Option<Instant>>,
    epoch: Mutex<Epoch>,
    /// The numbers of earlier reports, for the trends. Emptied by a reset.
    history: Mutex<Arc<History>>,
    /// How far adoption is: one of the constants below.
    adoption: AtomicU8,
    /// Guards the instances' tags during adoption, between the hooks and the search.
    tags: Mutex<()>,
    /// For how many nanoseconds adoption has paused the application.
    pause: AtomicU64,
    /// Whether the last snapshot could not be written. The error is printed once.
    pub(crate) snapshot_failed: AtomicBool,
    /// The snapshots that were written, for each file.
    pub(crate) rotations: Mutex<Vec<zaudit_core::files::Rotation>>,
}

/// No instance was marked by the search, which is over or was not requested.
const NOTHING_FOUND: u8 = 0;
/// The search is running.
const SEARCHING: u8 = 1;
/// The search is over, and has marked instances.
const FOUND: u8 = 2;

/// When counting began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    /// For reports.
    pub(crate) started: SystemTime,
    /// The same moment on the agent's clock.
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
            next_snapshot: Mutex::new(
                options.interval.and_then(|interval| armed.checked_add(interval)),
            ),
            jvmti,
            options,
            expected,
            session: Session::default(),
            redefinitions: Redefinitions::default(),
            armed,
            epoch: Mutex::new(Epoch { started: SystemTime::now(), since: now, from_start }),
            history: Mutex::default(),
            adoption: AtomicU8::new(NOTHING_FOUND),
            tags: Mutex::default(),
            pause: AtomicU64::new(0),
            snapshot_failed: AtomicBool::new(false),
            rotations: Mutex::default(),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts the counts.
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

    /// Whether a snapshot is due. If so, the next one is due an interval after `now`, even if some
    /// were missed.
    pub(crate) fn snapshot_is_due(&self, now: Instant) -> bool {
        let mut next = self.next_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.is_some_and(|time| time <= now);
        if due {
            *next = self.options.interval.and_then(|interval| now.checked_add(interval));
        }
        due
    }

    /// From now on hooks use the lock on tags. Called before any hook is in place.
    pub(crate) fn begin_adoption(&self) {
        self.adoption.store(SEARCHING, Ordering::SeqCst);
    }

    pub(crate) fn end_adoption(&self, found_nothing: bool) {
        self.adoption.store(if found_nothing { NOTHING_FOUND } else { FOUND }, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_adopting(&self) -> bool {
        self.adoption.load(Ordering::SeqCst) == SEARCHING
    }

    /// Whether adoption may have marked an instance whose constructor returns now.
    #[inline]
    pub(crate) fn has_adopted(&self) -> bool {
        self.adoption.load(Ordering::SeqCst) != NOTHING_FOUND
    }

    /// Takes the lock on the instances' tags.
    pub(crate) fn lock_tags(&self) -> MutexGuard<'_, ()> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long adoption has paused the application.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_nanos(self.pause.load(Ordering::Relaxed))
    }

    pub(crate) fn add_pause(&self, time: Duration) {
        self.pause.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let failed = |why: String| {
            posix::say(&format!(
                "could not dispose the JVMTI environment of the finished audit: {why}"
            ));
        };
        if let Err(error) = object_free::untag_before_dispose(self.jvmti) {
            // To dispose it now might deadlock the JVM; its tags stay, and have no effect.
            return failed(format!("removing its tags failed: {error}"));
        }
        // SAFETY: every user of the environment held this audit, and no reference to it is left.
        if let Err(error) = unsafe { self.jvmti.dispose() } {
            failed(error.to_string());
        }
    }
}
