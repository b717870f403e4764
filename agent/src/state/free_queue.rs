//! Instances that the collector freed and that are not in the ledger yet.
//!
//! Invariant: pushing takes no lock and calls nothing; it happens while the collector works.

use crossbeam_queue::SegQueue;
use std::sync::atomic::{AtomicBool, Ordering};
use zaudit_core::model::InstanceId;

/// Instances freed by the collector and not yet in the ledger. What is left of an audit that is over is nobody's: ids
/// are given once in a process.
#[derive(Default)]
pub(crate) struct FreeQueue {
    queue: SegQueue<InstanceId>,
    /// Whether there is somebody to take what is pushed: an audit that is over may be told of frees for a while.
    open: AtomicBool,
    /// Somebody was told since the last [`take`](FreeQueue::take): whoever takes note of a ring has to take what is there, or
    /// nobody will ever be told again.
    reasons: AtomicBool,
}

impl FreeQueue {
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// True if somebody has to be told.
    pub(crate) fn push(&self, id: InstanceId) -> bool {
        if !self.open.load(Ordering::Acquire) {
            return false;
        }
        self.queue.push(id);
        !self.reasons.swap(true, Ordering::AcqRel)
    }

    /// Takes all that is there. Whether there was any.
    pub(crate) fn take(&self, mut each: impl FnMut(InstanceId)) -> bool {
        // First: what is pushed from here on rings, or is taken below.
        self.reasons.store(false, Ordering::Release);
        let mut any = false;
        while let Some(id) = self.queue.pop() {
            each(id);
            any = true;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_frees_rings_once_until_it_is_taken() {
        let freed = FreeQueue::default();
        assert!(!freed.push(InstanceId(9)), "nobody is there to take it");
        freed.open();
        assert!(freed.push(InstanceId(1)) && !freed.push(InstanceId(2)));
        let mut taken = Vec::new();
        assert!(freed.take(|id| taken.push(id.0)) && taken == [1, 2]);
        assert!(freed.push(InstanceId(3)), "the next one rings again");
        assert!(freed.take(|_| {}) && !freed.take(|_| {}));
    }
}
