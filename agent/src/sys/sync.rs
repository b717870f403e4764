//! The atomics, the lock and the waits of the code that threads share without locks.
//!
//! They are the standard library's, except in tests that are built with `--cfg loom`. There they
//! are loom's, which runs a model in every order of its steps, and lets each load return every
//! value that Rust's memory model permits (`scripts/sanitizers loom`).

#[cfg(not(all(loom, test)))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize},
    sync::{Mutex, MutexGuard},
    thread::{sleep, yield_now},
};

#[cfg(all(loom, test))]
pub(crate) use modelled::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Mutex, sleep};
#[cfg(all(loom, test))]
pub(crate) use {loom::sync::MutexGuard, loom::thread::yield_now};

/// Loom's types with the interface of the standard library's.
///
/// Loom has no constants, so its objects are made when they are first used. A model uses each once
/// before it starts threads.
#[cfg(all(loom, test))]
mod modelled {
    use loom::sync::MutexGuard;
    use loom::sync::atomic::fence;
    use std::sync::atomic::Ordering;
    use std::sync::{LockResult, OnceLock};
    use std::time::Duration;

    /// A write. Loom orders accesses with SeqCst as those with AcqRel, so a fence follows: with it,
    /// of two threads that write one thing and read the other, one sees what the other has written.
    fn written<T>(order: Ordering, write: impl FnOnce() -> T) -> T {
        let value = write();
        if order == Ordering::SeqCst {
            fence(order);
        }
        value
    }

    macro_rules! atomic {
        ($name:ident, $type:ty, $($method:ident)*) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name {
                first: $type,
                made: OnceLock<loom::sync::atomic::$name>,
            }

            impl $name {
                pub(crate) const fn new(first: $type) -> Self {
                    $name { first, made: OnceLock::new() }
                }

                fn made(&self) -> &loom::sync::atomic::$name {
                    self.made.get_or_init(|| loom::sync::atomic::$name::new(self.first))
                }

                pub(crate) fn load(&self, order: Ordering) -> $type {
                    self.made().load(order)
                }

                pub(crate) fn store(&self, value: $type, order: Ordering) {
                    written(order, || self.made().store(value, order));
                }

                $(pub(crate) fn $method(&self, value: $type, order: Ordering) -> $type {
                    written(order, || self.made().$method(value, order))
                })*
            }
        };
    }

    atomic!(AtomicBool, bool, swap);
    atomic!(AtomicU8, u8, swap);
    atomic!(AtomicU64, u64,);
    atomic!(AtomicUsize, usize, fetch_add fetch_sub);

    impl AtomicUsize {
        pub(crate) fn compare_exchange(
            &self,
            expected: usize,
            value: usize,
            order: Ordering,
            failed: Ordering,
        ) -> Result<usize, usize> {
            written(order, || self.made().compare_exchange(expected, value, order, failed))
        }
    }

    pub(crate) struct Mutex<T> {
        first: T,
        made: OnceLock<loom::sync::Mutex<T>>,
    }

    impl<T: Copy> Mutex<T> {
        pub(crate) const fn new(first: T) -> Self {
            Mutex { first, made: OnceLock::new() }
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            self.made.get_or_init(|| loom::sync::Mutex::new(self.first)).lock()
        }
    }

    pub(crate) fn sleep(_: Duration) {
        loom::thread::yield_now();
    }
}
