//! The state that all entry points share: the one agent of this process, and the running audit, if
//! any.
//!
//! Owns what lives as long as the process; what an audit has recorded belongs to its [`Audit`].
//! Invariant: hooks find a complete audit or none, and what they found stays valid until they
//! release it.

use super::frame_roles::FrameRoles;
use super::free_queue::FreeQueue;
use super::report_slot::ReportSlot;
use super::slots::{self, Inside, Quiescent};
use super::worker_handle::WorkerHandle;
use crate::state::audit::Audit;
use crate::state::classes::Classes;
use crate::sys::allocator;
use crate::sys::jni;
use crate::sys::jvmti::Jvmti;
use crate::sys::posix::{self, WAKER};
use crate::sys::wake::{WakeReason, Waker};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use zaudit_core::ledger::ThreadCounts;
use zaudit_core::model::{InstanceId, Nanos};
use zaudit_core::options::{Arm, Options};

/// The agent of this process; empty until it is loaded.
static AGENT: OnceLock<Agent> = OnceLock::new();

/// The running audit. Hooks read it while they are inside, and take a reference where they call the
/// JVM, so that an audit can be ended meanwhile.
static AUDIT: Quiescent<Option<Arc<Audit>>> = Quiescent::new(None);

/// The last release that discards all compiled code at the first retransformation, unless some
/// agent took a capability before the JVM was in its live phase (JDK-8324241).
const LAST_DISCARDING: u32 = 22;

pub(crate) struct Agent {
    /// The agent's own JVMTI environment, for calls that do not belong to one audit. Never
    /// disposed.
    pub(crate) jvmti: Jvmti,
    /// The options of the command line and the environment.
    pub(crate) started_with: Options,
    /// Whether the next first retransformation makes the JVM discard its compiled code.
    discards_code: AtomicBool,
    freed: FreeQueue,
    pub(crate) reports: ReportSlot,
    pub(crate) worker: WorkerHandle,
    /// Empty until the first audit begins.
    pub(crate) classes: OnceLock<Classes>,
    pub(crate) frame_roles: FrameRoles,
    /// Held while arming, disarming, resetting.
    control: Mutex<()>,
    /// Whether another agent has changed classes, or may be about to.
    others_change_classes: Mutex<bool>,
    /// The zero of [`Nanos`].
    clock: u64,
    /// Whether the program may have run already.
    begun: AtomicBool,
    /// Set once, by [`shut_down`](Agent::shut_down).
    shut_down: AtomicBool,
    /// Events that hooks could not record because memory was exhausted, since the last report.
    uncounted: AtomicU64,
    /// The number of [`jni::shortages`] at the last report.
    shortages: AtomicU64,
}

impl Agent {
    /// `live` says whether the JVM was in its live phase before.
    pub(crate) fn new(jvmti: Jvmti, started_with: Options, live: bool) -> Agent {
        Agent {
            jvmti,
            started_with,
            discards_code: AtomicBool::new(live && jvmti.release() <= LAST_DISCARDING),
            freed: FreeQueue::default(),
            reports: ReportSlot::default(),
            worker: WorkerHandle::default(),
            classes: OnceLock::new(),
            frame_roles: FrameRoles::default(),
            control: Mutex::default(),
            others_change_classes: Mutex::default(),
            clock: posix::coarse_nanos(),
            begun: AtomicBool::new(false),
            shut_down: AtomicBool::new(false),
            uncounted: AtomicU64::new(0),
            shortages: AtomicU64::new(0),
        }
    }

    /// The agent, once it is loaded.
    #[inline]
    pub(crate) fn get() -> Option<&'static Agent> {
        AGENT.get()
    }

    /// Whether the audit begins with the JVM.
    pub(crate) fn is_armed_at_start(&self) -> bool {
        self.started_with.arm == Arm::AtStart && self.started_with.delay.is_none()
    }

    /// Makes this the agent of the process. None if there is one already.
    pub(crate) fn install(self) -> Option<&'static Agent> {
        AGENT.set(self).ok()?;
        AGENT.get()
    }

    /// Whether the audit that was just begun made the JVM discard its compiled code. Answers once.
    pub(crate) fn has_discarded_code(&self) -> bool {
        self.discards_code.swap(false, Ordering::Relaxed)
    }

    /// Creates a JVMTI environment.
    pub(crate) fn new_environment(&self) -> Result<Jvmti, String> {
        let vm = jni::vm().ok_or("the agent was not loaded by a JVM")?;
        // SAFETY: it is the table that the JVM passed when it loaded the agent.
        unsafe { Jvmti::of(vm) }
            .map_err(|code| format!("JNI GetEnv returned no JVMTI environment (error {code})"))
    }

    pub(crate) fn waker(&self) -> &'static Waker {
        &WAKER
    }

    /// The time.
    pub(crate) fn now(&self) -> Nanos {
        Nanos(posix::nanos().saturating_sub(self.clock))
    }

    /// The time as hooks read it, which is a few milliseconds ago at most: at a quarter of the
    /// cost.
    #[inline]
    pub(crate) fn recent(&self) -> Nanos {
        Nanos(posix::coarse_nanos().saturating_sub(self.clock))
    }

    /// Takes the lock for arming, disarming and resetting.
    pub(crate) fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another agent has changed classes since the agent was loaded.
    pub(crate) fn others_change_classes(&self) -> MutexGuard<'_, bool> {
        self.others_change_classes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`control`](Agent::control), but returns None instead of blocking.
    pub(crate) fn try_control(&self) -> Option<MutexGuard<'_, ()>> {
        match self.control.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The running audit, for as long as the thread is inside.
    #[inline]
    pub(crate) fn audit<'a>(&self, inside: &'a Inside) -> Option<&'a Arc<Audit>> {
        AUDIT.get(inside).as_ref()
    }

    /// The running audit, for a longer time, or to end it. None also without memory for this
    /// thread's slot.
    pub(crate) fn hold_audit(&self) -> Option<Arc<Audit>> {
        let inside = Inside::enter(slots::here()?);
        self.audit(&inside).map(Arc::clone)
    }

    /// Publishes an audit: from now on hooks record events in it.
    pub(crate) fn begin_audit(&self, audit: Arc<Audit>) {
        self.freed.open();
        self.uncounted.store(0, Ordering::Relaxed);
        self.shortages.store(jni::shortages(), Ordering::Relaxed);
        slots::quiet(|quiet, threads| {
            // What was counted after the last sum of an earlier audit.
            threads.counts().for_each(ThreadCounts::clear);
            *AUDIT.get_mut(quiet) = Some(audit);
        });
    }

    /// Unpublishes the audit: no hook that begins from now on records anything. Returns that audit.
    pub(crate) fn end_audit(&self) -> Option<Arc<Audit>> {
        self.freed.close();
        slots::quiet(|quiet, _| AUDIT.get_mut(quiet).take())
    }

    /// The program may run from now on.
    pub(crate) fn program_begins(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether the program may have created instances already.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the JVM has exited or the agent has failed: nothing new may begin.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// Stops recording for good. Returns true to the first caller only.
    pub(crate) fn shut_down(&self) -> bool {
        let first = !self.shut_down.swap(true, Ordering::AcqRel);
        // The audit's memory goes with the process: freeing it would touch a JVM that exits, or
        // what a defect has left behind.
        std::mem::forget(self.end_audit());
        // The agent's thread returns: a JVM that exits waits for each Java thread in native code
        // (`VM_Exit::wait_for_threads_in_native_to_block`, up to 300 ms).
        self.waker().wake(WakeReason::STATE);
        first
    }

    /// Records in the ledger all instances that the GC has freed so far.
    pub(crate) fn drain(&self, audit: &Audit) {
        let now = self.now();
        let freed = |id| {
            audit.with_ledger(|ledger, _| ledger.freed(id, now));
            audit.tell_marks_collected(id);
        };
        if self.freed.take(freed) {
            audit.shrink();
        }
    }

    /// Discards what the GC freed for an audit that has ended.
    pub(crate) fn forget_freed(&self) {
        self.freed.take(|_| {});
    }

    /// Counts an event that cannot be recorded because memory is exhausted.
    #[cold]
    pub(crate) fn uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the events that were not recorded since the last call to the audit's health, and calls
    /// that the JVM had no memory for.
    pub(crate) fn report_uncounted(&self, audit: &Audit) {
        let events = self.uncounted.swap(0, Ordering::Relaxed);
        audit.session.record_dropped_many("the process had no memory left for it", events);
        let shortages = jni::shortages();
        if self.shortages.swap(shortages, Ordering::Relaxed) != shortages {
            audit.session.record_unreadable("the JVM had no memory for a call of the agent");
        }
    }

    /// ObjectFree: one push, and a wake-up if the agent's thread has not been woken already.
    pub(crate) fn push_freed(&self, id: InstanceId) {
        if allocator::is_exhausted() {
            return self.uncounted();
        }
        if self.freed.push(id) {
            self.waker().wake(WakeReason::FREED);
        }
    }
}
