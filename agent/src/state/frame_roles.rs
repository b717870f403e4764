//! The role of a method on a thread's stack.

use super::cache::Cache;
use std::sync::{PoisonError, RwLock};

/// What a method on a thread's stack shows about the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameRole {
    /// The loop of a finalizer, of the Reference Handler, or of a Cleaner.
    ReclaimingLoop,
    /// `finalize()` of an instance, or of the object that JDK 9 to 11 finalize in its place.
    InstanceFinalizer,
    /// `end()` of an instance.
    End,
    /// Waits for references to reclaim, or takes them.
    ReferenceQueue,
    /// The Reference Handler waits inside the VM (JDK 9 and later).
    PendingList,
    /// A method that a waiting thread calls further in.
    Waiting,
    /// Nothing.
    Other,
}

/// Roles by method id, so that names are read once.
#[derive(Default)]
pub(crate) struct FrameRoles(RwLock<Cache<usize, FrameRole>>);

impl FrameRoles {
    pub(crate) fn get(&self, method: usize) -> Option<FrameRole> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&method)
    }

    pub(crate) fn enter(&self, method: usize, role: FrameRole) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(method, role);
    }
}

/// Covers `Finalizer$FinalizerThread`, the secondary finalizer of `System.runFinalization`
/// (`Finalizer$2`, depending on the version), the Reference Handler, and the loop of every Cleaner.
/// Does not cover `Cleaner.Cleanable.clean()`, which the program calls, nor `Finalizer.register`,
/// which every thread calls that creates an object with a finalizer.
pub(crate) fn frame_role(signature: &str, method: &str) -> FrameRole {
    let class =
        signature.strip_prefix('L').and_then(|name| name.strip_suffix(';')).unwrap_or(signature);
    match (class, method) {
        ("java/lang/ref/Reference$ReferenceHandler", _)
        | ("jdk/internal/ref/CleanerImpl", "run") => FrameRole::ReclaimingLoop,
        ("java/lang/ref/Reference", "waitForReferencePendingList") => FrameRole::PendingList,
        ("java/lang/ref/Reference" | "java/lang/ref/NativeReferenceQueue", _) => {
            FrameRole::ReferenceQueue
        }
        ("java/lang/Object" | "sun/misc/Unsafe", _) => FrameRole::Waiting,
        (class, "finalize") if class.starts_with("java/util/zip/") => FrameRole::InstanceFinalizer,
        ("java/util/zip/Inflater" | "java/util/zip/Deflater", "end") => FrameRole::End,
        (class, _) if class.starts_with("java/lang/ref/Finalizer$") => FrameRole::ReclaimingLoop,
        (class, _) if class.starts_with("java/lang/ref/ReferenceQueue") => {
            FrameRole::ReferenceQueue
        }
        (class, _)
            if class.starts_with("java/util/concurrent/")
                || class.starts_with("jdk/internal/misc/") =>
        {
            FrameRole::Waiting
        }
        _ => FrameRole::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles() {
        for (class, method, role) in [
            ("Ljava/lang/ref/Finalizer$FinalizerThread;", "run", FrameRole::ReclaimingLoop),
            ("Ljava/lang/ref/Finalizer$2;", "run", FrameRole::ReclaimingLoop),
            ("Ljava/lang/ref/Finalizer;", "register", FrameRole::Other),
            ("Ljava/lang/ref/Finalizer;", "<init>", FrameRole::Other),
            ("Ljava/lang/ref/Reference$ReferenceHandler;", "run", FrameRole::ReclaimingLoop),
            ("Ljdk/internal/ref/CleanerImpl;", "run", FrameRole::ReclaimingLoop),
            (
                "Ljdk/internal/ref/CleanerImpl$PhantomCleanableRef;",
                "performCleanup",
                FrameRole::Other,
            ),
            ("Ljava/util/zip/Inflater;", "finalize", FrameRole::InstanceFinalizer),
            (
                "Ljava/util/zip/Deflater$FinalizableZStreamRef;",
                "finalize",
                FrameRole::InstanceFinalizer,
            ),
            ("Ljava/util/zip/Inflater;", "end", FrameRole::End),
            ("Ljava/lang/ref/ReferenceQueue;", "remove", FrameRole::ReferenceQueue),
            ("Ljava/lang/ref/Reference;", "waitForReferencePendingList", FrameRole::PendingList),
            ("Ljava/lang/Object;", "wait", FrameRole::Waiting),
            ("Lorg/acme/Finalizer;", "run", FrameRole::Other),
        ] {
            assert_eq!(frame_role(class, method), role, "{class} {method}");
        }
    }
}
