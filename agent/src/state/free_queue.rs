//! Instances that the GC has freed and that are not recorded in the ledger yet.
//!
//! Invariant: pushing takes no lock and calls nothing; it may happen during a GC.

use crate::sys::sync::AtomicBool;
#[cfg(not(all(loom, test)))]
use crossbeam_queue::SegQueue;
#[cfg(all(loom, test))]
use models::SegQueue;
use std::sync::atomic::Ordering;
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
        // First, so that a push from here on wakes the thread again. By this swap, and not a store,
        // those that do not wake it happen before, and are found below.
        self.woken.swap(false, Ordering::AcqRel);
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

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread::spawn;
    use std::marker::PhantomData;
    use std::rc::Rc;

    /// What a queue without locks has to promise: a push that happened before is found. Only the
    /// number of ids is kept.
    pub(super) struct SegQueue<T>(AtomicUsize, PhantomData<T>);

    impl<T> Default for SegQueue<T> {
        fn default() -> Self {
            SegQueue(AtomicUsize::new(0), PhantomData)
        }
    }

    impl SegQueue<InstanceId> {
        pub(super) fn push(&self, _: InstanceId) {
            self.0.fetch_add(1, Ordering::Release);
        }

        pub(super) fn pop(&self) -> Option<InstanceId> {
            let mut left = self.0.load(Ordering::Acquire);
            while left > 0 {
                let less = left - 1;
                match self.0.compare_exchange(left, less, Ordering::Acquire, Ordering::Acquire) {
                    Ok(_) => return Some(InstanceId(1)),
                    Err(now) => left = now,
                }
            }
            None
        }
    }

    /// Whether two pushes wake a thread that takes what is there.
    #[test]
    fn what_is_left_in_the_queue_has_woken_the_thread() {
        loom::model(|| {
            let freed = Rc::new(FreeQueue::default());
            freed.open();
            assert!(freed.push(InstanceId(1)));
            let other = Rc::clone(&freed);
            let pushes = spawn(move || [(); 2].map(|()| u32::from(other.push(InstanceId(1)))));
            let mut taken = 0;
            freed.take(|_| taken += 1);
            let woken: u32 = pushes.join().unwrap().iter().sum();
            let mut left = 0;
            freed.take(|_| left += 1);
            assert_eq!(taken + left, 3);
            assert!(woken <= 1 && (left == 0 || woken == 1), "{left} left, {woken} wake-ups");
        });
    }
}
