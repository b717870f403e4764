//! One audit: its options, the JVMTI environment whose tags and events it uses, and all that it
//! records.
//!
//! `control::lifecycle` begins and ends it. Invariant: when the last hook has released it,
//! the environment is disposed, and with it every tag.

use crate::state::classes::Classes;
use crate::state::frame_names::FrameNames;
use crate::state::marks::Marks;
use crate::state::redefinitions::Redefinitions;
use crate::state::slots::{self, Inside, Quiescent};
use crate::state::tags;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{self, Jvmti, jobject, jvmtiError};
use crate::sys::{object_free, posix};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use zaudit_core::analysis::classify::Baseline;
use zaudit_core::analysis::history::History;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::ledger::{Ledger, Tally, ThreadCounts};
use zaudit_core::model::{InstanceId, Kind, Nanos, OutOfMemory, Outcome, PerKind, SiteId};
use zaudit_core::options::Options;
use zaudit_core::session::{Session, Snapshot};
use zaudit_instrument::{Callback, Identity};

/// What the user expects: findings that these cover do not count as leaks.
#[derive(Default)]
pub(crate) struct Expectations {
    /// The rules, the built-in ones before the user's.
    pub(crate) rules: Vec<Rule>,
    /// An earlier report, whose findings are not new.
    pub(crate) baseline: Option<Baseline>,
}

pub(crate) struct Audit {
    /// No other audit of this process has the same.
    pub(crate) number: u64,
    /// For tags, ObjectFree and ClassFileLoadHook. Disposed with the audit.
    pub(crate) jvmti: Jvmti,
    pub(crate) options: Options,
    /// What the user expects, loaded before the audit began.
    pub(crate) expected: Expectations,
    pub(crate) session: Session,
    /// The names of the frames in its stacks.
    pub(crate) frame_names: FrameNames,
    pub(crate) ledger: Quiescent<Ledger>,
    /// How instances are known: by address, unless a class does not have the shape for that.
    by_tag: AtomicBool,
    /// Whether that is decided: while the hooks are being placed it is not.
    identity_certain: AtomicBool,
    /// Whether hooks count. Another agent that retransforms a class may place some of them before
    /// the others are there.
    counting: AtomicBool,
    /// Who makes what while a mark is held.
    pub(crate) marks: Marks,
    /// The hooks that are in place, by class.
    placed: Mutex<BTreeMap<&'static str, Vec<Callback>>>,
    /// By address, while adoption is under way: all instances that were ended.
    ended: Mutex<HashSet<InstanceId>>,
    /// Versions of redefined classes, which are part of every stack's key.
    pub(crate) redefinitions: Redefinitions,
    /// When the audit began; `duration` counts from here.
    armed: Instant,
    /// When the next snapshot of `interval` is due; none without `interval`.
    next_snapshot: Mutex<Option<Instant>>,
    epoch: Mutex<Epoch>,
    /// How many versions the classes with hooks had had in all when ClassFileLoadHook was switched
    /// off; none while it is on.
    at_rest: Mutex<Option<i32>>,
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
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let armed = Instant::now();
        Audit {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            next_snapshot: Mutex::new(
                options.interval.and_then(|interval| armed.checked_add(interval)),
            ),
            jvmti,
            session: Session::with_room(options.memory / 8 * 3),
            frame_names: FrameNames::with_room(options.memory / 8),
            options,
            expected,
            ledger: Quiescent::default(),
            by_tag: AtomicBool::new(false),
            identity_certain: AtomicBool::new(false),
            counting: AtomicBool::new(false),
            marks: Marks::default(),
            placed: Mutex::default(),
            ended: Mutex::default(),
            redefinitions: Redefinitions::default(),
            armed,
            epoch: Mutex::new(Epoch { started: SystemTime::now(), since: now, from_start }),
            at_rest: Mutex::default(),
            history: Mutex::default(),
            adoption: AtomicU8::new(NOTHING_FOUND),
            tags: Mutex::default(),
            pause: AtomicU64::new(0),
            snapshot_failed: AtomicBool::new(false),
            rotations: Mutex::default(),
        }
    }

    pub(crate) fn at_rest(&self) -> Option<i32> {
        *self.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rest(&self, versions: Option<i32>) {
        *self.at_rest.lock().unwrap_or_else(PoisonError::into_inner) = versions;
    }

    pub(crate) fn epoch(&self) -> Epoch {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `body` with the ledger and the current thread's counts, from inside. None if there is
    /// no memory for this thread's counts.
    pub(crate) fn with_ledger<T>(
        &self,
        body: impl FnOnce(&Ledger, &ThreadCounts) -> T,
    ) -> Option<T> {
        let inside = Inside::enter(slots::here()?);
        Some(body(self.ledger.get(&inside), inside.counts()))
    }

    /// Makes room for more instances, or fails. Not from inside.
    #[cold]
    pub(crate) fn grow(&self) -> Result<(), OutOfMemory> {
        slots::quiet(|quiet, threads| self.ledger.get_mut(quiet).grow(threads.counts()))
    }

    /// Gives memory back after a burst of live instances. Not from inside.
    pub(crate) fn shrink(&self) {
        slots::quiet(|quiet, threads| self.ledger.get_mut(quiet).shrink(threads.counts()));
    }

    /// Copies out all that a report needs.
    pub(crate) fn snapshot(&self, now: Nanos) -> Result<Snapshot, OutOfMemory> {
        self.session.snapshot(now, self.options.min_age, |tallies, since| {
            slots::quiet(|quiet, threads| {
                let ledger = self.ledger.get_mut(quiet);
                let (adopted, adds_up) = ledger.tally(threads.counts(), tallies, since);
                if !adds_up {
                    self.session.record_unreadable(
                        "the counts of all sites did not add up; please report this",
                    );
                }
                adopted
            })
        })
    }

    /// The counts of each kind and of the adopted ones, and how many sites there are.
    pub(crate) fn sums(&self) -> Result<(PerKind<Tally>, PerKind<Tally>, usize), OutOfMemory> {
        let kinds = self.session.kinds()?;
        let kind = |site: SiteId| kinds.get(site.0 as usize).copied();
        let (sums, adopted) =
            slots::quiet(|quiet, threads| self.ledger.get_mut(quiet).sums(threads.counts(), kind));
        Ok((sums, adopted, kinds.len()))
    }

    /// The oldest live instances of each of these sites, `most` of them at most.
    pub(crate) fn oldest(&self, stable_ids: &[u64], most: usize) -> Vec<(u64, Vec<InstanceId>)> {
        let sites = self.session.find(stable_ids);
        let ids = sites.iter().map(|(_, site)| *site);
        let mut found = slots::quiet(|quiet, _| self.ledger.get_mut(quiet).oldest(ids, most));
        sites.into_iter().filter_map(|(id, site)| Some((id, found.remove(&site)?))).collect()
    }

    /// Whether any instance is live.
    pub(crate) fn has_live(&self) -> bool {
        slots::quiet(|quiet, _| self.ledger.get_mut(quiet).has_live())
    }

    /// The live instances of the sites that are `wanted` that were created before this moment, each
    /// with the millisecond of its creation. Not from inside.
    pub(crate) fn live_before(
        &self,
        moment: Nanos,
        wanted: impl Fn(SiteId) -> bool,
    ) -> Result<Vec<(InstanceId, Nanos)>, OutOfMemory> {
        slots::quiet(|quiet, _| self.ledger.get_mut(quiet).live_before(moment, wanted))
    }

    /// Counts as collected those of these instances that are still live, and leaves only them. Not
    /// from inside.
    pub(crate) fn record_collected(&self, gone: &mut Vec<(InstanceId, Nanos)>, now: Nanos) {
        slots::quiet(|quiet, _| {
            let ledger = self.ledger.get_mut(quiet);
            gone.retain(|(id, created)| ledger.is_live(*id, *created) && ledger.freed(*id, now));
        });
    }

    /// An instance was collected: marks that know of it learn that.
    pub(crate) fn tell_marks_collected(&self, id: InstanceId) {
        if self.marks.are_held() && self.marks.lost(id, Outcome::Collected, None).is_err() {
            self.session
                .record_dropped("the process had no memory left for what was made since a mark");
        }
    }

    /// How instances are known.
    #[inline]
    pub(crate) fn identity(&self) -> Identity {
        if self.by_tag.load(Ordering::Relaxed) { Identity::Tag } else { Identity::Address }
    }

    /// The id of an Inflater in the ledger. None if it is not open, or has no tag.
    pub(crate) fn id_of(
        &self,
        jni: Jni,
        classes: &Classes,
        inflater: jobject,
    ) -> jvmti::Result<Option<InstanceId>> {
        match self.identity() {
            Identity::Tag => self.jvmti.tag(inflater).map(tags::instance),
            Identity::Address => {
                let address = classes.native_address(jni, Kind::Inflater, inflater);
                Ok(address.filter(|address| *address != 0).map(InstanceId::of_address))
            }
        }
    }

    /// Whether it is decided how instances are known.
    pub(crate) fn identity_is_certain(&self) -> bool {
        self.identity_certain.load(Ordering::Relaxed)
    }

    /// It is decided how instances are known.
    pub(crate) fn decide_identity(&self) {
        self.identity_certain.store(true, Ordering::Relaxed);
    }

    /// All hooks are in place: they count from now on.
    pub(crate) fn begin_counting(&self) {
        self.counting.store(true, Ordering::SeqCst);
    }

    /// Whether all hooks are in place. A thread that finds them in place also finds what was
    /// decided before, such as [`identity`](Audit::identity).
    #[inline]
    pub(crate) fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Acquire)
    }

    /// Goes on by tag, from the beginning.
    pub(crate) fn know_by_tag(&self) {
        self.by_tag.store(true, Ordering::Relaxed);
        slots::quiet(|quiet, threads| {
            threads.counts().for_each(ThreadCounts::clear);
            *self.ledger.get_mut(quiet) = Ledger::default();
        });
    }

    /// Remembers which hooks are in place in a class. False if the class must have none of them:
    /// with only one of the hooks for entry streams, closed streams would look open.
    pub(crate) fn set_placed(&self, class: &'static str, mut callbacks: Vec<Callback>) -> bool {
        let lends = |wanted| callbacks.contains(&wanted);
        let is_whole = lends(Callback::Lent) == lends(Callback::GivenBack);
        if !is_whole {
            callbacks.clear();
        }
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.insert(class, callbacks);
        is_whole
    }

    /// Whether the entry streams to which this class lends are followed.
    pub(crate) fn follows_loans(&self, class: &str) -> bool {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.get(class).is_some_and(|callbacks| callbacks.contains(&Callback::Lent))
    }

    /// Whether the hooks are in place that an audit by address needs, each once.
    pub(crate) fn has_all_by_address(&self) -> bool {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = |wanted| placed.values().flatten().filter(|placed| **placed == wanted).count();
        Callback::NEEDED_BY_ADDRESS.into_iter().all(|callback| times(callback) == 1)
    }

    /// Takes the lock on the instances that were ended during adoption.
    pub(crate) fn lock_ended(&self) -> MutexGuard<'_, HashSet<InstanceId>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an instance or a loan while adoption is under way, which must not take it for open
    /// afterwards: adoption holds the lock on such instances where it enters one.
    #[cold]
    pub(crate) fn end_during_adoption<T>(
        &self,
        id: InstanceId,
        end: impl FnOnce(&Ledger, &ThreadCounts) -> T,
    ) -> Option<T> {
        let mut ended = self.lock_ended();
        let done = self.with_ledger(end);
        if ended.try_reserve(1).is_ok() {
            ended.insert(id);
        }
        done
    }

    /// Restarts the counts.
    pub(crate) fn reset(&self, now: Nanos) -> Result<(), OutOfMemory> {
        slots::quiet(|quiet, threads| {
            let kind = |site| self.session.kind(site);
            self.ledger.get_mut(quiet).reset(threads.counts(), kind)
        })?;
        self.session.reset();
        *self.history() = Arc::default();
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) =
            Epoch { started: SystemTime::now(), since: now, from_start: false };
        Ok(())
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
        *self.lock_ended() = HashSet::new();
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
        let failed = |function: &str, error: jvmtiError| {
            // A JVM that has ended meanwhile has nothing left to dispose.
            if error != jvmtiError::WRONG_PHASE {
                posix::say(&format!(
                    "could not dispose the JVMTI environment of the finished audit: JVMTI \
                     {function} failed: {error}"
                ));
            }
        };
        // By address no instance has a tag, and ObjectFree is off.
        if self.identity() == Identity::Tag
            && let Err(error) = object_free::untag_before_dispose(self.jvmti)
        {
            // To dispose it now might deadlock the JVM; its tags stay, and have no effect.
            return failed("IterateThroughHeap", error);
        }
        // SAFETY: every user of the environment held this audit, and no reference to it is left.
        if let Err(error) = unsafe { self.jvmti.dispose() } {
            failed("DisposeEnvironment", error);
        }
    }
}
