//! What the methods on a thread's stack say of the thread.

use dashmap::DashMap;

/// What a method tells about the thread that it is found on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The loop of a finalizer, of the Reference Handler, or of a Cleaner.
    ReclaimingLoop,
    /// `finalize()` of a stream, or of what stands for it on JDK 9 to 11.
    StreamFinalizer,
    /// Waits for references to reclaim, or takes them.
    ReferenceQueue,
    /// The Reference Handler waits inside the VM (JDK 9 and later).
    PendingList,
    /// What stands above anything that waits.
    Waiting,
    /// Nothing.
    Other,
}

/// Parts by method id: names are read once.
pub(crate) type Parts = DashMap<usize, Part>;

/// Enough for the outermost and innermost frames of all threads of a program.
pub(crate) const MAX_PARTS: usize = 8_192;

/// `Finalizer$FinalizerThread`, the secondary finalizer of `System.runFinalization` (`Finalizer$2`, by version), the
/// Reference Handler, and the loop of every Cleaner; not `Cleaner.Cleanable.clean()`, which the program calls, nor
/// `Finalizer.register`, through which every thread goes that makes an object with a finalizer.
pub(crate) fn part_of(signature: &str, method: &str) -> Part {
    let class = signature.strip_prefix('L').and_then(|name| name.strip_suffix(';')).unwrap_or(signature);
    match (class, method) {
        ("java/lang/ref/Reference$ReferenceHandler", _) | ("jdk/internal/ref/CleanerImpl", "run") => {
            Part::ReclaimingLoop
        }
        ("java/lang/ref/Reference", "waitForReferencePendingList") => Part::PendingList,
        ("java/lang/ref/Reference" | "java/lang/ref/NativeReferenceQueue", _) => Part::ReferenceQueue,
        ("java/lang/Object" | "sun/misc/Unsafe", _) => Part::Waiting,
        (class, "finalize") if class.starts_with("java/util/zip/") => Part::StreamFinalizer,
        (class, _) if class.starts_with("java/lang/ref/Finalizer$") => Part::ReclaimingLoop,
        (class, _) if class.starts_with("java/lang/ref/ReferenceQueue") => Part::ReferenceQueue,
        (class, _)
            if class.starts_with("java/util/concurrent/") || class.starts_with("jdk/internal/misc/") =>
        {
            Part::Waiting
        }
        _ => Part::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        for (class, method, part) in [
            ("Ljava/lang/ref/Finalizer$FinalizerThread;", "run", Part::ReclaimingLoop),
            ("Ljava/lang/ref/Finalizer$2;", "run", Part::ReclaimingLoop),
            ("Ljava/lang/ref/Finalizer;", "register", Part::Other),
            ("Ljava/lang/ref/Finalizer;", "<init>", Part::Other),
            ("Ljava/lang/ref/Reference$ReferenceHandler;", "run", Part::ReclaimingLoop),
            ("Ljdk/internal/ref/CleanerImpl;", "run", Part::ReclaimingLoop),
            ("Ljdk/internal/ref/CleanerImpl$PhantomCleanableRef;", "performCleanup", Part::Other),
            ("Ljava/util/zip/Inflater;", "finalize", Part::StreamFinalizer),
            ("Ljava/util/zip/Deflater$FinalizableZStreamRef;", "finalize", Part::StreamFinalizer),
            ("Ljava/util/zip/Inflater;", "end", Part::Other),
            ("Ljava/lang/ref/ReferenceQueue;", "remove", Part::ReferenceQueue),
            ("Ljava/lang/ref/Reference;", "waitForReferencePendingList", Part::PendingList),
            ("Ljava/lang/Object;", "wait", Part::Waiting),
            ("Lorg/acme/Finalizer;", "run", Part::Other),
        ] {
            assert_eq!(part_of(class, method), part, "{class} {method}");
        }
    }
}
