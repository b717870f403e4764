//! Classes, fields and objects of the JDK that the agent needs, found once while arming.
//!
//! Later look-ups could run code of the program (its class loader) at a bad time. Invariant:
//! everything in here is a global reference or an id, valid on every thread until the process ends.

use crate::sys::jni::{Jni, jfieldID};
use crate::sys::jvmti::{jclass, jint, jobject};
use std::ffi::CStr;
use zaudit_core::model::{Kind, PerKind};
use zaudit_instrument as instrument;

/// The state of an instance, from its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its constructor has not reached its native part, and may never do so.
    Unborn,
    /// It holds native memory.
    Open,
    /// It has freed its native memory.
    Ended,
}

pub(crate) struct Classes {
    pub(crate) inflater: jclass,
    pub(crate) deflater: jclass,
    /// `java.lang.Thread`.
    pub(crate) thread: jclass,
    /// `java.lang.Shutdown`.
    pub(crate) shutdown: jclass,
    /// `jdk.internal.misc.CarrierThread`: JDK 21 to 28 have it.
    carrier: Option<jclass>,
    /// `java.lang.Class.classRedefinedCount`: JDK 8 to 28 have it.
    pub(crate) redefined: Option<jfieldID>,
    /// From an instance to its native address: `zsRef` and `address`.
    address: PerKind<Option<(jfieldID, jfieldID)>>,
    /// `java.lang.Thread.threadStatus`: JDK 8 to 18 have it there.
    thread_status: Option<jfieldID>,
    /// `java.lang.ref.Finalizer.queue` and `queueLength`: JDK 8 to 28 have them.
    finalizer_queue: Option<(jobject, jfieldID)>,
}

// SAFETY: global references and ids are valid on every thread (JNI, "Referencing Java Objects").
unsafe impl Send for Classes {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Classes {}

impl Classes {
    /// `any` is any class. The error message names what is missing.
    pub(crate) fn find(jni: Jni, any: jclass) -> Result<Classes, String> {
        let class = |name: &CStr| {
            let local = jni
                .boot_class(any, name)
                .ok_or_else(|| format!("this JVM has no class {}", name.to_string_lossy()))?;
            let global =
                jni.global(local).ok_or("JNI NewGlobalRef failed: the JVM is out of memory");
            jni.delete_local(local);
            global.map_err(str::to_owned)
        };
        let (inflater, deflater) =
            (class(c"java.util.zip.Inflater")?, class(c"java.util.zip.Deflater")?);
        // JDK 8 has one ZStreamRef for both classes, JDK 9 and later one nested class each
        // (JDK-8185582).
        let shared = (c"java.util.zip.ZStreamRef", c"Ljava/util/zip/ZStreamRef;");
        let address = |instance, (name, signature): (&CStr, &CStr)| {
            let zs_ref = jni.field(instance, c"zsRef", signature)?;
            let holder = jni.boot_class(any, name)?;
            let address = jni.field(holder, c"address", c"J");
            jni.delete_local(holder);
            Some((zs_ref, address?))
        };
        let own = PerKind {
            inflater: (
                c"java.util.zip.Inflater$InflaterZStreamRef",
                c"Ljava/util/zip/Inflater$InflaterZStreamRef;",
            ),
            deflater: (
                c"java.util.zip.Deflater$DeflaterZStreamRef",
                c"Ljava/util/zip/Deflater$DeflaterZStreamRef;",
            ),
        };
        let thread = class(c"java.lang.Thread")?;
        let class_class = jni.class_of(any);
        let redefined = jni.field(class_class, c"classRedefinedCount", c"I");
        jni.delete_local(class_class);
        Ok(Classes {
            redefined,
            inflater,
            deflater,
            thread,
            shutdown: class(c"java.lang.Shutdown")?,
            carrier: jni
                .has_virtual_threads()
                .then(|| class(c"jdk.internal.misc.CarrierThread").ok())
                .flatten(),
            address: PerKind {
                inflater: address(inflater, own.inflater).or_else(|| address(inflater, shared)),
                deflater: address(deflater, own.deflater).or_else(|| address(deflater, shared)),
            },
            thread_status: jni.field(thread, c"threadStatus", c"I"),
            finalizer_queue: finalizer_queue(jni, any),
        })
    }

    /// The class of a target in the table of hooks. None if there is no such target.
    pub(crate) fn of_target(&self, target: &str) -> Option<jclass> {
        match target {
            instrument::INFLATER => Some(self.inflater),
            instrument::DEFLATER => Some(self.deflater),
            instrument::SHUTDOWN => Some(self.shutdown),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn kind(&self, jni: Jni, instance: jobject) -> Kind {
        if jni.is_instance(instance, self.deflater) { Kind::Deflater } else { Kind::Inflater }
    }

    /// The state of an instance. None if this JDK's layout is unknown.
    pub(crate) fn life(&self, jni: Jni, kind: Kind, instance: jobject) -> Option<Life> {
        let (zs_ref, address) = (*self.address.get(kind))?;
        let holder = jni.object_field(instance, zs_ref);
        if holder.is_null() {
            return Some(Life::Unborn);
        }
        let open = jni.long_field(holder, address) != 0;
        jni.delete_local(holder);
        Some(if open { Life::Open } else { Life::Ended })
    }

    /// Whether the JDK's own scheduler runs virtual threads on this thread.
    pub(crate) fn is_carrier(&self, jni: Jni, thread: jobject) -> bool {
        self.carrier.is_some_and(|class| jni.is_instance(thread, class))
    }

    /// A platform thread's state from its own field, in bits of `JVMTI_THREAD_STATE_*`. None on JDK
    /// 19 and later.
    pub(crate) fn thread_status(&self, jni: Jni, thread: jobject) -> Option<jint> {
        self.thread_status.map(|status| jni.int_field(thread, status))
    }

    /// Whether finalizers are known to be queued.
    pub(crate) fn finalizers_queued(&self, jni: Jni) -> bool {
        self.finalizer_queue.is_some_and(|(queue, length)| jni.long_field(queue, length) != 0)
    }
}

fn finalizer_queue(jni: Jni, any: jclass) -> Option<(jobject, jfieldID)> {
    let finalizer = jni.boot_class(any, c"java.lang.ref.Finalizer")?;
    let class = jni.boot_class(any, c"java.lang.ref.ReferenceQueue")?;
    let field = jni.static_field(finalizer, c"queue", c"Ljava/lang/ref/ReferenceQueue;")?;
    let length = jni.field(class, c"queueLength", c"J")?;
    let local = jni.static_object_field(finalizer, field);
    let queue = jni.global(local);
    for local in [local, class, finalizer] {
        jni.delete_local(local);
    }
    Some((queue?, length))
}
