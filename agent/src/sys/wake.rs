//! What wakes the agent's thread: a word of bits in memory, and a futex on it.
//!
//! No descriptor: a program may close what it did not open, and its children inherit nothing. Invariant: ringing is
//! an atomic and one system call, so that a signal handler may do it, and it never blocks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a ring means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring(u32);

impl Ring {
    /// The collector freed instances.
    pub(crate) const FREED: Ring = Ring(1);
    /// The signal of the `signal` option.
    pub(crate) const SIGNAL: Ring = Ring(2);
    /// DataDumpRequest.
    pub(crate) const DATA_DUMP: Ring = Ring(4);
    /// Look at the state: something is over, or has another time.
    pub(crate) const STATE: Ring = Ring(8);
}

/// All that was rung since the last look. A storm of rings of one kind is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung(u32);

impl Rung {
    pub(crate) fn has(self, ring: Ring) -> bool {
        self.0 & ring.0 != 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicU32);

impl Bell {
    pub(crate) const fn new() -> Bell {
        Bell(AtomicU32::new(0))
    }

    pub(crate) fn ring(&self, ring: Ring) {
        if self.0.fetch_or(ring.0, Ordering::AcqRel) & ring.0 == 0 {
            // SAFETY: the word outlives the call; FUTEX_WAKE reads nothing and is async-signal-safe as any system call.
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

    /// Waits until somebody rings, or `until`; nothing was rung then.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Rung {
        loop {
            let rung = self.0.swap(0, Ordering::AcqRel);
            if rung != 0 {
                return Rung(rung);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Rung(0);
            }
            self.sleep(left);
        }
    }

    /// Forgets what was rung while nobody listened.
    pub(crate) fn hush(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Returns at a ring, after the time, or for no reason.
    fn sleep(&self, left: Option<Duration>) {
        let time = left.map(|left| libc::timespec {
            tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(left.subsec_nanos()),
        });
        let time = time.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
        // SAFETY: word and time outlive the call; FUTEX_WAIT takes a relative time of the monotonic clock.
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
    fn rings_are_heard_once_and_none_is_lost() {
        let bell = Bell::new();
        bell.ring(Ring::SIGNAL);
        bell.ring(Ring::SIGNAL);
        bell.ring(Ring::FREED);
        let rung = bell.wait(None);
        assert!(rung.has(Ring::SIGNAL) && rung.has(Ring::FREED) && !rung.has(Ring::DATA_DUMP));
        assert_eq!(bell.wait(Some(Instant::now())), Rung(0));
        bell.ring(Ring::STATE);
        bell.hush();
        let began = Instant::now();
        assert_eq!(bell.wait(Some(began + Duration::from_millis(20))), Rung(0));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_sleeper_is_woken() {
        let bell = Bell::new();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| bell.wait(None));
            bell.ring(Ring::DATA_DUMP);
            assert!(sleeper.join().unwrap().has(Ring::DATA_DUMP));
        });
    }
}
