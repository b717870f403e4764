//! What the JVM's entries share: the one agent of this process.
//!
//! Owns the session, the options, the state and the queue of freed instances. Invariant: the state only moves
//! forward, Loaded → Armed → Over.

use super::env::{Jni, Jvmti, jclass, jfieldID, jobject};
use super::os::Bell;
use crate::event::{InstanceId, Kind, Nanos, PerKind};
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
    pub(super) streams: OnceLock<Streams>,
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
            streams: OnceLock::new(),
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
        self.state.swap(OVER, Ordering::AcqRel) != OVER
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

/// The byte that ObjectFree rings with.
pub(super) const FREED_BYTE: u8 = b'f';

/// Instances freed by the collector and not yet in the ledger.
#[derive(Default)]
pub(super) struct Freed {
    queue: SegQueue<InstanceId>,
    rung: AtomicBool,
}

/// The two audited classes: global references, and the way to a stream's native address.
pub(super) struct Streams {
    deflater: jclass,
    address: PerKind<Option<(jfieldID, jfieldID)>>,
}

// SAFETY: global references and field ids are valid on every thread (JNI, "Referencing Java Objects").
unsafe impl Send for Streams {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Streams {}

impl Streams {
    /// `inflater` and `deflater` are global references.
    pub(super) fn new(jni: Jni, inflater: jclass, deflater: jclass) -> Streams {
        let address = |class, own| {
            // JDK 8 has one ZStreamRef for both classes, JDK 9 and later one nested class each (JDK-8185582).
            [c"Ljava/util/zip/ZStreamRef;", own].into_iter().find_map(|signature| {
                let zs_ref = jni.field(class, c"zsRef", signature)?;
                let name = signature.to_str().ok()?.trim_start_matches('L').trim_end_matches(';');
                let holder = jni.find_class(&std::ffi::CString::new(name).ok()?)?;
                let address = jni.field(holder, c"address", c"J");
                jni.delete_local(holder);
                Some((zs_ref, address?))
            })
        };
        Streams {
            deflater,
            address: PerKind {
                inflater: address(inflater, c"Ljava/util/zip/Inflater$InflaterZStreamRef;"),
                deflater: address(deflater, c"Ljava/util/zip/Deflater$DeflaterZStreamRef;"),
            },
        }
    }

    #[inline]
    pub(super) fn kind(&self, jni: Jni, object: jobject) -> Kind {
        if jni.is_instance(object, self.deflater) { Kind::Deflater } else { Kind::Inflater }
    }

    /// Whether a stream holds native memory. None where this JDK's layout is not known.
    pub(super) fn open(&self, jni: Jni, kind: Kind, object: jobject) -> Option<bool> {
        let (zs_ref, address) = (*self.address.get(kind))?;
        let holder = jni.object_field(object, zs_ref);
        if holder.is_null() {
            return Some(false);
        }
        let open = jni.long_field(holder, address) != 0;
        jni.delete_local(holder);
        Some(open)
    }
}
