//! What the JVM's entries share: the one agent of this process, and the audit that is under way, if any.
//!
//! Owns what lives as long as the process; what an audit has learnt is its [`Audit`]'s. Invariant: hooks find an audit
//! or nothing, and what they found stays valid until they let go of it.

use super::audit::Audit;
use super::bell::{Bell, Ring};
use super::classes::Classes;
use super::env::Jvmti;
use super::freed::Freed;
use super::os::BELL;
use super::reserve;
use zaudit_core::model::{InstanceId, Nanos};
use zaudit_core::options::Options;
use arc_swap::{ArcSwapOption, Guard};
use jvmti_bindings::sys::jni::JavaVM;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

/// The agent of this process; empty until it is loaded.
static AGENT: OnceLock<Agent> = OnceLock::new();

/// The audit under way. Hooks read it without a lock that threads share, and keep what they read alive: that is what
/// lets an audit be taken down while they run.
static AUDIT: ArcSwapOption<Audit> = ArcSwapOption::const_empty();

pub(super) struct Agent {
    vm: *mut JavaVM,
    /// For events and questions that are not of one audit; it lives as long as the process.
    pub(super) jvmti: Jvmti,
    /// The options of the command line and the environment.
    pub(super) started_with: Options,
    freed: Freed,
    pub(super) publishing: super::publish::Turn,
    pub(super) worker: super::worker::Worker,
    /// Set when first armed.
    pub(super) classes: OnceLock<Classes>,
    pub(super) parts: super::thread::Parts,
    /// Held while arming, disarming, resetting.
    control: Mutex<()>,
    clock: Instant,
    begun: AtomicBool,
    over: AtomicBool,
    /// Events that hooks could not enter because memory was exhausted, and that no report has yet.
    uncounted: AtomicU64,
}

// SAFETY: the invocation table may be used from any thread (JNI, "The Invocation API"); all else is thread-safe itself.
unsafe impl Send for Agent {}
// SAFETY: as above.
unsafe impl Sync for Agent {}

impl Agent {
    pub(super) fn new(vm: *mut JavaVM, jvmti: Jvmti, started_with: Options) -> Agent {
        Agent {
            vm,
            jvmti,
            started_with,
            freed: Freed::default(),
            publishing: super::publish::Turn::default(),
            worker: super::worker::Worker::default(),
            classes: OnceLock::new(),
            parts: super::thread::Parts::default(),
            control: Mutex::default(),
            clock: Instant::now(),
            begun: AtomicBool::new(false),
            over: AtomicBool::new(false),
            uncounted: AtomicU64::new(0),
        }
    }

    /// The agent, once it is loaded.
    #[inline]
    pub(super) fn get() -> Option<&'static Agent> {
        AGENT.get()
    }

    /// Makes this the agent of the process. None if there is one already.
    pub(super) fn install(self) -> Option<&'static Agent> {
        AGENT.set(self).ok()?;
        AGENT.get()
    }

    /// A JVMTI environment of its own for one audit.
    pub(super) fn new_environment(&self) -> Result<Jvmti, String> {
        // SAFETY: it is the table that the JVM handed when it loaded the agent.
        unsafe { Jvmti::of(self.vm) }
            .map_err(|code| format!("this JVM has no JVMTI for agents (JNI code {code})"))
    }

    /// JNI on the current thread, where that is a Java thread.
    pub(super) fn jni(&self) -> Option<super::jni::Jni> {
        // SAFETY: as above.
        unsafe { super::jni::Jni::of(self.vm) }
    }

    pub(super) fn bell(&self) -> &'static Bell {
        &BELL
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The right to arm, disarm or reset.
    pub(super) fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if nobody has it.
    pub(super) fn try_control(&self) -> Option<MutexGuard<'_, ()>> {
        match self.control.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The audit under way, for as long as the guard lives.
    #[inline]
    pub(super) fn audit(&self) -> Guard<Option<Arc<Audit>>> {
        AUDIT.load()
    }

    /// The audit under way, for those who keep it for longer, or have it end: while a guard lives it is not given back.
    pub(super) fn hold_audit(&self) -> Option<Arc<Audit>> {
        AUDIT.load_full()
    }

    /// From here on hooks count, for this audit.
    pub(super) fn begin(&self, audit: Arc<Audit>) {
        self.freed.open();
        self.uncounted.store(0, Ordering::Relaxed);
        AUDIT.store(Some(audit));
    }

    /// From here on no hook begins to count. The audit that was under way.
    pub(super) fn end_audit(&self) -> Option<Arc<Audit>> {
        self.freed.close();
        AUDIT.swap(None)
    }

    /// The program may be at work from here on.
    pub(super) fn program_begins(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether the program may have made streams by now.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the JVM has ended or the agent has failed: nothing begins any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// From here on nothing is counted. True for the one caller that ended it.
    pub(super) fn over(&self) -> bool {
        let first = !self.over.swap(true, Ordering::AcqRel);
        // Its memory goes with the process: taking it down would touch a JVM that ends, or what a defect has left.
        std::mem::forget(self.end_audit());
        // The agent's thread leaves: a JVM that ends waits a while for each Java thread that is in native code
        // (`VM_Exit::wait_for_threads_in_native_to_block`, up to 300 ms).
        self.bell().ring(Ring::STATE);
        first
    }

    /// Enters all that the collector freed so far into the ledger.
    pub(super) fn drain(&self, audit: &Audit) {
        let now = self.now();
        if self.freed.take(|id| audit.session.freed(id, now)) {
            audit.session.settle();
        }
    }

    /// Forgets what the collector freed for an audit that is over.
    pub(super) fn forget_freed(&self) {
        self.freed.take(|_| {});
    }

    /// An event cannot be entered because memory is exhausted. It can only be counted.
    #[cold]
    pub(super) fn uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the audit's health say how many events were not entered since the last time.
    pub(super) fn report_uncounted(&self, audit: &Audit) {
        let events = self.uncounted.swap(0, Ordering::Relaxed);
        audit.session.dropped_many("the process had no memory left for it", events);
    }

    /// ObjectFree: one push, and a ring if nobody is on the way.
    pub(super) fn push_freed(&self, id: InstanceId) {
        if reserve::is_exhausted() {
            return self.uncounted();
        }
        if self.freed.push(id) {
            self.bell().ring(Ring::FREED);
        }
    }
}
