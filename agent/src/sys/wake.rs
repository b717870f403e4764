//! What wakes the agent's thread: a word of bits in memory, and a futex on it.
//!
//! No file descriptor: a program may close one that it did not open, and children would inherit it.
//! Invariant: a wake-up is an atomic operation and one system call, so that a signal handler may do
//! it, and it never blocks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Why the thread is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WakeReason(u32);

impl WakeReason {
    /// The GC has freed instances.
    pub(crate) const FREED: WakeReason = WakeReason(1);
    /// The signal of the `signal` option.
    pub(crate) const SIGNAL: WakeReason = WakeReason(2);
    /// DataDumpRequest.
    pub(crate) const DATA_DUMP: WakeReason = WakeReason(4);
    /// The agent's state has changed: an audit has ended, or has another time.
    pub(crate) const STATE: WakeReason = WakeReason(8);
}

/// All reasons since the last wait. Repeated wake-ups for one reason count once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WakeReasons(u32);

impl WakeReasons {
    pub(crate) fn has(self, wake: WakeReason) -> bool {
        self.0 & wake.0 != 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Waker(AtomicU32);

impl Waker {
    pub(crate) const fn new() -> Waker {
        Waker(AtomicU32::new(0))
    }

    pub(crate) fn wake(&self, wake: WakeReason) {
        if self.0.fetch_or(wake.0, Ordering::AcqRel) & wake.0 == 0 {
            // SAFETY: the word outlives the call; FUTEX_WAKE reads nothing and is async-signal-safe
            // like any system call.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                );
            }
        }
    }

    /// Waits for a wake-up, or until `until`. Returns no reason if the time ran out.
    pub(crate) fn wait(&self, until: Option<Instant>) -> WakeReasons {
        loop {
            let reasons = self.0.swap(0, Ordering::AcqRel);
            if reasons != 0 {
                return WakeReasons(reasons);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return WakeReasons(0);
            }
            self.sleep(left);
        }
    }

    /// Discards wake-ups that came while no thread waited.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Returns after a wake-up, after the time, or spuriously.
    fn sleep(&self, left: Option<Duration>) {
        let time = left.map(|left| libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(left.subsec_nanos()),
        });
        let time = time.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
        // SAFETY: word and time outlive the call; FUTEX_WAIT takes a relative time of the monotonic
        // clock.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                0,
                time,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wake_up_is_received_once_and_none_is_lost() {
        let waker = Waker::new();
        waker.wake(WakeReason::SIGNAL);
        waker.wake(WakeReason::SIGNAL);
        waker.wake(WakeReason::FREED);
        let reasons = waker.wait(None);
        assert!(
            reasons.has(WakeReason::SIGNAL)
                && reasons.has(WakeReason::FREED)
                && !reasons.has(WakeReason::DATA_DUMP)
        );
        assert_eq!(waker.wait(Some(Instant::now())), WakeReasons(0));
        waker.wake(WakeReason::STATE);
        waker.clear();
        let began = Instant::now();
        assert_eq!(waker.wait(Some(began + Duration::from_millis(20))), WakeReasons(0));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_sleeper_is_woken() {
        let waker = Waker::new();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| waker.wait(None));
            waker.wake(WakeReason::DATA_DUMP);
            assert!(sleeper.join().unwrap().has(WakeReason::DATA_DUMP));
        });
    }
}
