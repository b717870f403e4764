//! Marks: points in the order in which instances are made, and who has made what since the first
//! one that is held.
//!
//! The ledger knows neither the order nor the thread exactly, and hooks should not pay for it. So
//! they look at one flag, and only while a mark is held they record more, here, under a lock.
//! Invariant: no thread calls the JVM, or enters, while it holds that lock.

use super::cache::Cache;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zaudit_core::model::{InstanceId, OutOfMemory, Outcome, SiteId, ThreadId, push};

/// The number of the instance that was made last while a mark was held. It goes on in the next
/// audit, so that no mark is taken for one of an earlier audit.
static LAST: AtomicU64 = AtomicU64::new(0);

/// An instance that was made while a mark was held.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Its place in the order.
    pub(crate) number: u64,
    pub(crate) site: SiteId,
    /// `Thread.getId()` of its thread; 0 if it is unknown.
    pub(crate) java_thread: u64,
    /// The thread's name; empty if it has none.
    pub(crate) name: Arc<str>,
    /// What became of it, apart from `Ended`.
    pub(crate) outcome: Outcome,
    /// Whether it was lent to an entry stream when it was lost.
    pub(crate) lent: bool,
    thread: ThreadId,
}

#[derive(Debug, Default)]
struct Table {
    /// How often each mark is held.
    held: BTreeMap<u64, u64>,
    open: HashMap<InstanceId, Made>,
    /// What the program did not end and is gone.
    lost: Vec<Made>,
    /// The names of threads that have one, by their Java ids: so that few are read twice.
    names: Cache<u64, Arc<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Marks {
    are_held: AtomicBool,
    table: Mutex<Table>,
}

impl Marks {
    /// Whether any mark is held: what every hook looks at.
    #[inline]
    pub(crate) fn are_held(&self) -> bool {
        self.are_held.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a mark.
    pub(crate) fn take(&self) -> u64 {
        let mut table = self.table();
        let mark = LAST.load(Ordering::Relaxed);
        *table.held.entry(mark).or_default() += 1;
        self.are_held.store(true, Ordering::Relaxed);
        mark
    }

    /// Gives a mark back, and forgets what only it needed.
    pub(crate) fn release(&self, mark: u64) {
        let mut table = self.table();
        match table.held.get_mut(&mark) {
            Some(1) => _ = table.held.remove(&mark),
            Some(times) => *times -= 1,
            None => return,
        }
        match table.held.keys().next().copied() {
            None => {
                self.are_held.store(false, Ordering::Relaxed);
                *table = Table::default();
            }
            Some(first) if first > mark => {
                table.open.retain(|_, made| made.number > first);
                table.lost.retain(|made| made.number > first);
            }
            Some(_) => {}
        }
    }

    /// The name of a thread that has made an instance already, if it is still known.
    pub(crate) fn name(&self, java_thread: u64) -> Option<Arc<str>> {
        self.table().names.get(&java_thread)
    }

    /// An instance was made by this thread.
    pub(crate) fn made(
        &self,
        id: InstanceId,
        site: SiteId,
        thread: ThreadId,
        (java_thread, name): (u64, Arc<str>),
    ) -> Result<(), OutOfMemory> {
        let mut table = self.table();
        // All marks may have been given back meanwhile.
        if table.held.is_empty() {
            return Ok(());
        }
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        table.open.try_reserve(1)?;
        // Of virtual threads there may be millions, and few have a name.
        if java_thread != 0 && !name.is_empty() {
            table.names.insert(java_thread, Arc::clone(&name));
        }
        let outcome = Outcome::Live;
        let made = Made { number, site, java_thread, name, outcome, lent: false, thread };
        table.open.insert(id, made);
        Ok(())
    }

    /// The program has ended an instance. An entry stream that it was lent to ends with it.
    pub(crate) fn ended(&self, id: InstanceId) {
        let mut table = self.table();
        table.open.remove(&id);
        table.open.remove(&id.loan());
    }

    /// An instance is gone without the program. It counts as ended if `by` has made it: a finalizer
    /// or Cleaner that cleans up after itself is a program like any other.
    pub(crate) fn lost(
        &self,
        id: InstanceId,
        outcome: Outcome,
        by: Option<ThreadId>,
    ) -> Result<(), OutOfMemory> {
        let mut table = self.table();
        let loan = table.open.remove(&id.loan());
        let lent = loan.is_some();
        let instance = table.open.remove(&id).map(|made| Made { lent, ..made });
        for made in [loan, instance].into_iter().flatten() {
            if by.is_none_or(|by| by != made.thread) {
                push(&mut table.lost, Made { outcome, ..made })?;
            }
        }
        Ok(())
    }

    /// What was made since a mark that is held, in order. None if it is not held.
    pub(crate) fn since(&self, mark: u64) -> Option<Result<Vec<Made>, OutOfMemory>> {
        let table = self.table();
        table.held.contains_key(&mark).then(|| {
            let mut found = Vec::new();
            for made in table.open.values().chain(&table.lost).filter(|made| made.number > mark) {
                push(&mut found, made.clone())?;
            }
            drop(table);
            found.sort_unstable_by_key(|made: &Made| made.number);
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: SiteId = SiteId(3);

    /// One test at a time: all audits number what is made in one order.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(marks: &Marks, id: u64, thread: u64) {
        let name = (thread, Arc::from("main"));
        marks.made(InstanceId(id << 4), SITE, ThreadId(thread), name).unwrap();
    }

    fn since(marks: &Marks, mark: u64) -> Vec<Outcome> {
        marks.since(mark).unwrap().unwrap().iter().map(|made| made.outcome).collect()
    }

    #[test]
    fn marks_nest_and_overlap() {
        let _alone = alone();
        let marks = Marks::default();
        make(&marks, 1, 1);
        assert!(!marks.are_held() && marks.since(0).is_none());
        let first = marks.take();
        make(&marks, 2, 1);
        let second = marks.take();
        assert_eq!(marks.take(), second);
        make(&marks, 3, 1);
        assert_eq!((since(&marks, first).len(), since(&marks, second).len()), (2, 1));
        marks.release(first);
        assert!(marks.since(first).is_none() && marks.are_held());
        marks.release(first);
        marks.release(second);
        assert_eq!(since(&marks, second).len(), 1);
        marks.release(second);
        assert!(marks.since(second).is_none() && !marks.are_held());
        assert!(marks.table().open.is_empty());
    }

    #[test]
    fn threads_that_come_and_go_leave_nothing() {
        let _alone = alone();
        let marks = Marks::default();
        let mark = marks.take();
        for thread in 1..=20_000 {
            make(&marks, thread, thread);
            if thread > 1 {
                marks.ended(InstanceId(thread << 4));
            }
        }
        assert!(marks.name(1).is_none() && marks.name(20_000).is_some());
        assert_eq!(marks.table().open.len(), 1);
        assert_eq!(&*marks.since(mark).unwrap().unwrap()[0].name, "main");
    }

    #[test]
    fn only_the_program_takes_an_instance_out() {
        let _alone = alone();
        let marks = Marks::default();
        let mark = marks.take();
        (1..=4).for_each(|id| make(&marks, id, 1));
        let id = |n: u64| InstanceId(n << 4);
        marks.ended(id(1));
        marks.lost(id(2), Outcome::Collected, Some(ThreadId(9))).unwrap();
        marks.lost(id(3), Outcome::Late, Some(ThreadId(1))).unwrap();
        assert_eq!(since(&marks, mark), [Outcome::Collected, Outcome::Live]);
        // The address is used again.
        make(&marks, 2, 1);
        marks.ended(id(2));
        assert_eq!(since(&marks, mark), [Outcome::Collected, Outcome::Live]);
    }

    #[test]
    fn an_entry_stream_goes_with_its_inflater() {
        let _alone = alone();
        let marks = Marks::default();
        let mark = marks.take();
        let id = InstanceId(1 << 4);
        for lost in [false, true] {
            make(&marks, 1, 1);
            let name = (1, Arc::from("main"));
            marks.made(id.loan(), SITE, ThreadId(1), name).unwrap();
            if lost {
                marks.lost(id, Outcome::Collected, None).unwrap();
            } else {
                marks.ended(id);
                assert_eq!(since(&marks, mark), []);
            }
        }
        let found = marks.since(mark).unwrap().unwrap();
        assert_eq!(found.iter().map(|made| made.lent).collect::<Vec<_>>(), [true, false]);
    }
}
