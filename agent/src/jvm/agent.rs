//! What the JVM's entries share: the one agent of this process.
//!
//! Owns the session, the options, the state and the queue of freed instances. Invariant: the state only moves
//! forward, Loaded → Armed → Over.

use super::classes::Classes;
use super::env::Jvmti;
use super::os::Bell;
use crate::event::{InstanceId, Nanos};
use crate::options::Options;
use crate::session::Session;
use crossbeam_queue::SegQueue;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Instant, SystemTime};

/// The agent of this process; empty until it is loaded.
static AGENT: OnceLock<Agent> = OnceLock::new();

pub(super) struct Agent {
    pub(super) jvmti: Jvmti,
    pub(super) options: Options,
    pub(super) session: Session,
    pub(super) started: SystemTime,
    pub(super) bell: Bell,
    pub(super) freed: Freed,
    pub(super) publishing: super::publish::Turn,
    /// Set once while arming.
    pub(super) classes: OnceLock<Classes>,
    pub(super) parts: super::thread::Parts,
    clock: Instant,
    state: AtomicU8,
}

const LOADED: u8 = 0;
const ARMED: u8 = 1;
const OVER: u8 = 2;

impl Agent {
    pub(super) fn new(jvmti: Jvmti, options: Options, bell: Bell) -> Agent {
        Agent {
            jvmti,
            options,
            session: Session::default(),
            started: SystemTime::now(),
            bell,
            freed: Freed::default(),
            publishing: super::publish::Turn::default(),
            classes: OnceLock::new(),
            parts: super::thread::Parts::default(),
            clock: Instant::now(),
            state: AtomicU8::new(LOADED),
        }
    }

    /// The agent, once it is loaded.
    #[inline]
    pub(super) fn get() -> Option<&'static Agent> {
        AGENT.get()
    }

    /// Makes this the agent of the process. False if there is one already.
    pub(super) fn install(self) -> bool {
        AGENT.set(self).is_ok()
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether hooks count.
    #[inline]
    pub(super) fn armed(&self) -> bool {
        self.state.load(Ordering::Acquire) == ARMED
    }

    pub(super) fn arm(&self) {
        // It fails only where it is over already, and over it stays.
        let _ = self.state.compare_exchange(LOADED, ARMED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// From here on nothing is counted. True for the one caller that ended it.
    pub(super) fn over(&self) -> bool {
        let first = self.state.swap(OVER, Ordering::AcqRel) != OVER;
        // The agent's thread leaves: a JVM that ends waits a while for each Java thread that is in native code
        // (`VM_Exit::wait_for_threads_in_native_to_block`, up to 300 ms).
        self.bell.ring(OVER_BYTE);
        first
    }

    /// Enters all that the collector freed so far into the ledger.
    pub(super) fn drain(&self) {
        self.freed.rung.store(false, Ordering::Release);
        let now = self.now();
        let mut any = false;
        while let Some(id) = self.freed.queue.pop() {
            self.session.freed(id, now);
            any = true;
        }
        if any {
            self.session.settle();
        }
    }

    /// ObjectFree: one push, and a ring if nobody is on the way.
    pub(super) fn push_freed(&self, id: InstanceId) {
        self.freed.queue.push(id);
        if !self.freed.rung.swap(true, Ordering::AcqRel) {
            self.bell.ring(FREED_BYTE);
        }
    }
}

/// The byte that means: look at the state.
const OVER_BYTE: u8 = b'o';

/// The byte that ObjectFree rings with.
pub(super) const FREED_BYTE: u8 = b'f';

/// Instances freed by the collector and not yet in the ledger.
#[derive(Default)]
pub(super) struct Freed {
    queue: SegQueue<InstanceId>,
    rung: AtomicBool,
}
