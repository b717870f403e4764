//! Changes of classes, one after the other: ours, and those of other agents.
//!
//! From JDK 20 on (JDK-7124710), two threads that retransform one class at the same time may read
//! class files that the JVM has freed: ClassFormatError, or worse. Other agents may change classes
//! beside each other as they would without us. Invariant: while a change of ours is under way,
//! there is no other, unless somebody had to wait for too long.

use super::sync::{AtomicUsize, sleep};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(super) struct Turns {
    /// How many changes of ours are under way, or wait for those of others. More than one of them
    /// only if one had to wait for too long.
    ours: AtomicUsize,
    /// How many changes of others are under way.
    others: AtomicUsize,
    /// The longest wait: a debugger may have suspended the thread that is waited for.
    longest: Duration,
}

impl Turns {
    pub(super) const fn new(longest: Duration) -> Turns {
        Turns { ours: AtomicUsize::new(0), others: AtomicUsize::new(0), longest }
    }

    /// Makes our own change when no other one is under way.
    pub(super) fn alone<T>(&self, change: impl FnOnce() -> T) -> T {
        let first = || self.ours.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if !self.wait_until(first) {
            self.ours.fetch_add(1, Ordering::SeqCst);
        }
        let _under_way = UnderWay(&self.ours);
        self.wait_until(|| self.others.load(Ordering::SeqCst) == 0);
        change()
    }

    /// Makes the change of another agent when none of ours is under way.
    pub(super) fn among_others<T>(&self, change: impl FnOnce() -> T) -> T {
        if !self.wait_until(|| self.begins_of_another()) {
            self.others.fetch_add(1, Ordering::SeqCst);
        }
        let _under_way = UnderWay(&self.others);
        change()
    }

    /// Whether the change of another agent may begin. If it may, it counts as under way.
    fn begins_of_another(&self) -> bool {
        // If ours begins at the same moment, one of both sees the other one.
        self.others.fetch_add(1, Ordering::SeqCst);
        let may = self.ours.load(Ordering::SeqCst) == 0;
        if !may {
            self.others.fetch_sub(1, Ordering::SeqCst);
        }
        may
    }

    /// Waits until it is so, but not too long. Returns whether it is.
    fn wait_until(&self, mut is_so: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        loop {
            if is_so() {
                return true;
            }
            if began.elapsed() > self.longest {
                return false;
            }
            sleep(Duration::from_millis(1));
        }
    }
}

/// A change that was counted, until it is dropped: also after a panic, for others must not wait for
/// a change that is over.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_changes_are_alone_and_those_of_others_are_not() {
        const TIMES: usize = if cfg!(miri) { 5 } else { 300 };
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let turns = Turns::new(Duration::MAX);
        let change = |own: usize| {
            let before = INSIDE.fetch_add(own, Ordering::SeqCst);
            std::thread::yield_now();
            INSIDE.fetch_sub(own, Ordering::SeqCst);
            before
        };
        let ours = |_| turns.alone(|| change(100));
        let others = |_| turns.among_others(|| change(1));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!((0..TIMES).map(others).all(|before| before < 100)));
                scope.spawn(|| assert!((0..TIMES).map(ours).all(|before| before == 0)));
            }
        });
    }

    #[test]
    fn no_wait_is_too_long() {
        let turns = Turns::new(Duration::from_millis(2));
        let in_one_of_ours = || {
            turns.among_others(|| ());
            turns.alone(|| ());
        };
        turns.alone(in_one_of_ours);
        turns.among_others(|| turns.alone(|| ()));
        let panics = std::panic::catch_unwind(|| turns.alone(|| panic!("a defect")));
        assert!(panics.is_err());
        let counts = [&turns.ours, &turns.others].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(counts, [0, 0]);
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::thread::spawn;
    use std::rc::Rc;

    /// Turns, and what is changed: loom finds each access to it that is not ordered.
    fn shared() -> Rc<(Turns, Cell<u32>)> {
        let shared = Rc::new((Turns::new(Duration::MAX), Cell::new(0)));
        shared.0.ours.load(Ordering::SeqCst);
        shared.0.others.load(Ordering::SeqCst);
        shared
    }

    fn change((turns, classes): &(Turns, Cell<u32>)) {
        turns.alone(|| classes.set(classes.get() + 1));
    }

    /// The other one gives up if it may not begin: loom knows no time, so two that wait for each
    /// other would do so for ever.
    #[test]
    fn one_of_ours_and_one_of_another() {
        loom::model(|| {
            let shared = shared();
            let ours = Rc::clone(&shared);
            spawn(move || change(&ours));
            let (turns, classes) = &*shared;
            if turns.begins_of_another() {
                let _under_way = UnderWay(&turns.others);
                classes.get();
            }
        });
    }

    #[test]
    fn two_of_ours() {
        loom::model(|| {
            let shared = shared();
            let ours = Rc::clone(&shared);
            spawn(move || change(&ours));
            change(&shared);
        });
    }
}
