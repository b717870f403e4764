//! What the JVM's entries share: the one agent of this process, and the audit that is under way, if any.
//!
//! Owns what lives as long as the process; what an audit has learnt is its [`Audit`]'s. Invariant: hooks find an audit
//! or nothing, and what they found stays valid until they let go of it.

use super::frame_roles::Parts;
use super::free_queue::FreeQueue;
use super::report_slot::ReportSlot;
use super::worker_handle::WorkerHandle;
use crate::state::audit::Audit;
use crate::state::classes::Classes;
use crate::sys::allocator;
use crate::sys::jni;
use crate::sys::jvmti::Jvmti;
use crate::sys::posix::WAKER;
use crate::sys::wake::{WakeReason, Waker};
use arc_swap::{ArcSwapOption, Guard};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Instant;
use zaudit_core::model::{InstanceId, Nanos};
use zaudit_core::options::Options;

/// The agent of this process; empty until it is loaded.
static AGENT: OnceLock<Agent> = OnceLock::new();

/// The audit under way. Hooks read it without a lock that threads share, and keep what they read alive: that is what
/// lets an audit be taken down while they run.
static AUDIT: ArcSwapOption<Audit> = ArcSwapOption::const_empty();

pub(crate) struct Agent {
    /// For events and questions that are not of one audit; it lives as long as the process.
    pub(crate) jvmti: Jvmti,
    /// The options of the command line and the environment.
    pub(crate) started_with: Options,
    freed: FreeQueue,
    pub(crate) reports: ReportSlot,
    pub(crate) worker: WorkerHandle,
    /// Set when first armed.
    pub(crate) classes: OnceLock<Classes>,
    pub(crate) parts: Parts,
    /// Held while arming, disarming, resetting.
    control: Mutex<()>,
    clock: Instant,
    begun: AtomicBool,
    over: AtomicBool,
    /// Events that hooks could not enter because memory was exhausted, and that no report has yet.
    uncounted: AtomicU64,
}

impl Agent {
    pub(crate) fn new(jvmti: Jvmti, started_with: Options) -> Agent {
        Agent {
            jvmti,
            started_with,
            freed: FreeQueue::default(),
            reports: ReportSlot::default(),
            worker: WorkerHandle::default(),
            classes: OnceLock::new(),
            parts: Parts::default(),
            control: Mutex::default(),
            clock: Instant::now(),
            begun: AtomicBool::new(false),
            over: AtomicBool::new(false),
            uncounted: AtomicU64::new(0),
        }
    }

    /// The agent, once it is loaded.
    #[inline]
    pub(crate) fn get() -> Option<&'static Agent> {
        AGENT.get()
    }

    /// Makes this the agent of the process. None if there is one already.
    pub(crate) fn install(self) -> Option<&'static Agent> {
        AGENT.set(self).ok()?;
        AGENT.get()
    }

    /// A JVMTI environment of its own for one audit.
    pub(crate) fn new_environment(&self) -> Result<Jvmti, String> {
        let vm = jni::vm().ok_or("the agent was not loaded by a JVM")?;
        // SAFETY: it is the table that the JVM handed when it loaded the agent.
        unsafe { Jvmti::of(vm) }.map_err(|code| format!("this JVM has no JVMTI for agents (JNI code {code})"))
    }

    pub(crate) fn waker(&self) -> &'static Waker {
        &WAKER
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The right to arm, disarm or reset.
    pub(crate) fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if nobody has it.
    pub(crate) fn try_control(&self) -> Option<MutexGuard<'_, ()>> {
        match self.control.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The audit under way, for as long as the guard lives.
    #[inline]
    pub(crate) fn audit(&self) -> Guard<Option<Arc<Audit>>> {
        AUDIT.load()
    }

    /// The audit under way, for those who keep it for longer, or have it end: while a guard lives it is not given back.
    pub(crate) fn hold_audit(&self) -> Option<Arc<Audit>> {
        AUDIT.load_full()
    }

    /// From here on hooks count, for this audit.
    pub(crate) fn begin(&self, audit: Arc<Audit>) {
        self.freed.open();
        self.uncounted.store(0, Ordering::Relaxed);
        AUDIT.store(Some(audit));
    }

    /// From here on no hook begins to count. The audit that was under way.
    pub(crate) fn end_audit(&self) -> Option<Arc<Audit>> {
        self.freed.close();
        AUDIT.swap(None)
    }

    /// The program may be at work from here on.
    pub(crate) fn program_begins(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether the program may have made streams by now.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the JVM has ended or the agent has failed: nothing begins any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// From here on nothing is counted. True for the one caller that ended it.
    pub(crate) fn over(&self) -> bool {
        let first = !self.over.swap(true, Ordering::AcqRel);
        // Its memory goes with the process: taking it down would touch a JVM that ends, or what a defect has left.
        std::mem::forget(self.end_audit());
        // The agent's thread leaves: a JVM that ends waits a while for each Java thread that is in native code
        // (`VM_Exit::wait_for_threads_in_native_to_block`, up to 300 ms).
        self.waker().wake(WakeReason::STATE);
        first
    }

    /// Enters all that the collector freed so far into the ledger.
    pub(crate) fn drain(&self, audit: &Audit) {
        let now = self.now();
        if self.freed.take(|id| audit.session.freed(id, now)) {
            audit.session.settle();
        }
    }

    /// Forgets what the collector freed for an audit that is over.
    pub(crate) fn forget_freed(&self) {
        self.freed.take(|_| {});
    }

    /// An event cannot be entered because memory is exhausted. It can only be counted.
    #[cold]
    pub(crate) fn uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the audit's health say how many events were not entered since the last time.
    pub(crate) fn report_uncounted(&self, audit: &Audit) {
        let events = self.uncounted.swap(0, Ordering::Relaxed);
        audit.session.dropped_many("the process had no memory left for it", events);
    }

    /// ObjectFree: one push, and a ring if nobody is on the way.
    pub(crate) fn push_freed(&self, id: InstanceId) {
        if allocator::is_exhausted() {
            return self.uncounted();
        }
        if self.freed.push(id) {
            self.waker().wake(WakeReason::FREED);
        }
    }
}
