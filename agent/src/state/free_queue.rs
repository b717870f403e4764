//! Instances that the GC has freed and that are not recorded in the ledger yet.
//!
//! Invariant: pushing takes no lock and calls nothing; it may happen during a GC.

use crossbeam_queue::SegQueue;
use std::sync::atomic::{AtomicBool, Ordering};
use zaudit_core::model::InstanceId;

/// Freed instances. Ids of an audit that has ended are unknown to the next one, because an id is
/// given once in a process.
#[derive(Default)]
pub(crate) struct FreeQueue {
    queue: SegQueue<InstanceId>,
    /// Whether an audit is running. The JVM may report frees for a while after the end of an audit.
    open: AtomicBool,
    /// Whether the agent's thread was woken since the last [`take`](FreeQueue::take). A thread that
    /// handles the wake-up must take the queue, or there will be no further wake-up.
    woken: AtomicBool,
}

impl FreeQueue {
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Returns true if the agent's thread must be woken.
    pub(crate) fn push(&self, id: InstanceId) -> bool {
        if !self.open.load(Ordering::Acquire) {
            return false;
        }
        self.queue.push(id);
        !self.woken.swap(true, Ordering::AcqRel)
    }

    /// Takes everything in the queue. Returns whether there was anything.
    pub(crate) fn take(&self, mut each: impl FnMut(InstanceId)) -> bool {
        // First, so that a push from here on wakes the thread again, or is taken below.
        self.woken.store(false, Ordering::Release);
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
    fn a_push_wakes_once_until_the_queue_is_taken() {
        let freed = FreeQueue::default();
        assert!(!freed.push(InstanceId(9)), "no audit is running");
        freed.open();
        assert!(freed.push(InstanceId(1)) && !freed.push(InstanceId(2)));
        let mut taken = Vec::new();
        assert!(freed.take(|id| taken.push(id.0)) && taken == [1, 2]);
        assert!(freed.push(InstanceId(3)), "the next one wakes again");
        assert!(freed.take(|_| {}) && !freed.take(|_| {}));
    }
}
