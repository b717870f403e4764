//! Where each open instance is recorded: a table of 16-byte entries, found by the instance's id.
//!
//! One open-addressed array with linear probing. An entry is claimed by one compare-and-swap and
//! given back by one store, so that threads share no cache line unless they work on neighbouring
//! entries. Invariant: an id has at most one entry, and its record changes only between two calls
//! by the threads that made and end that instance, which the JDK orders.
//!
//! Nothing but the entry itself orders an instance and the next one in the same entry, of another
//! thread. So it is given back with Release and claimed with Acquire: what the first did with the
//! value happens before the second writes it. x86-64 does that anyway, other processors do not.

use crate::model::{InstanceId, Nanos, OutOfMemory, ThreadId};
#[cfg(all(loom, test))]
use loom::sync::atomic::AtomicU64;
#[cfg(all(loom, test))]
use models::Owned;
use std::sync::atomic::Ordering;
#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicU64, AtomicU64 as Owned};

/// What is known of an open instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// A site, or one of the numbers that stand for adopted instances of a kind.
    pub(super) site: u32,
    /// The creator, as [`thread_mark`] has it.
    pub(super) thread: u32,
    /// Creation, on the agent's clock.
    pub(super) millis: u64,
    /// Whether it is lent to an entry stream, which has a record of its own.
    pub(super) lent: bool,
}

/// Bits of an id that an entry holds: an address without the three lowest bits, which are always
/// zero. The fourth one is set for a loan. Addresses have 47 bits on x86-64, and 48 on arm64, where
/// all of the heap is in the upper half.
const ID_BITS: u32 = 45;
const ID_SHIFT: u32 = 3;
const ID_MASK: u64 = (1 << ID_BITS) - 1;
/// An entry that nothing was ever in: the end of a probe.
const EMPTY: u64 = 0;
/// An entry that was given back. No id is zero.
const REMOVED: u64 = 1 << ID_BITS;

const SITE_BITS: u32 = 20;
const SITE_MASK: u64 = (1 << SITE_BITS) - 1;
const MILLIS_BITS: u32 = 36;
const MILLIS_MASK: u64 = (1 << MILLIS_BITS) - 1;
/// Bits of a thread beside the id, and beside site and time.
const THREAD_LOW_BITS: u32 = 64 - ID_BITS;
const THREAD_HIGH_BITS: u32 = 63 - SITE_BITS - MILLIS_BITS;
const LENT: u64 = 1 << 63;
const THREAD_MASK: u64 = (1 << (THREAD_LOW_BITS + THREAD_HIGH_BITS)) - 1;

/// How many sites a record can tell apart.
pub(super) const MAX_SITES: u32 = SITE_MASK as u32 + 1;

/// The largest number of entries that one look-up passes. Beyond it the table is made anew.
const MAX_PROBE: usize = 256;

/// A new table has this number of entries: 64 KiB.
const FIRST_CAPACITY: usize = 4_096;

/// The part of a thread's id that a record keeps: the same for two threads only if their ids differ
/// by a multiple of 2^26.
pub(super) fn thread_mark(thread: ThreadId) -> u32 {
    (thread.0 & THREAD_MASK) as u32
}

/// Whole milliseconds, of 2.1 years at most.
pub(super) fn millis(time: Nanos) -> u64 {
    (time.0 / 1_000_000).min(MILLIS_MASK)
}

impl Record {
    pub(super) fn of(site: u32, thread: ThreadId, created: Nanos) -> Record {
        Record { site, thread: thread_mark(thread), millis: millis(created), lent: false }
    }

    pub(super) fn created(self) -> Nanos {
        Nanos(self.millis * 1_000_000)
    }

    /// The two words of an entry.
    fn words(self, id: u64) -> (u64, u64) {
        let thread = u64::from(self.thread);
        let low = thread & ((1 << THREAD_LOW_BITS) - 1);
        let high = thread >> THREAD_LOW_BITS;
        let value = u64::from(self.site) & SITE_MASK
            | self.millis << SITE_BITS
            | high << (SITE_BITS + MILLIS_BITS)
            | if self.lent { LENT } else { 0 };
        (id | low << ID_BITS, value)
    }

    fn from_words(key: u64, value: u64) -> Record {
        let high = (value & !LENT) >> (SITE_BITS + MILLIS_BITS);
        let thread = key >> ID_BITS | high << THREAD_LOW_BITS;
        Record {
            site: (value & SITE_MASK) as u32,
            thread: thread as u32,
            millis: (value >> SITE_BITS) & MILLIS_MASK,
            lent: value & LENT != 0,
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    key: AtomicU64,
    /// Belongs to the threads that made and end the instance whose id the key has.
    value: Owned,
}

/// There is no entry left, or a look-up would take too long: [`Table::rebuild`] helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Box<[Entry]>,
    /// Entries that were empty when they were claimed, in lots (see [`Table::insert`]).
    claimed: AtomicU64,
}

/// How many empty entries a thread reserves at once, so that it seldom writes the shared counter.
const LOT: u32 = 16;

/// Whether a table can hold this id.
pub(super) fn fits(id: InstanceId) -> bool {
    id.0 & ((1 << ID_SHIFT) - 1) == 0 && id.0 >> (ID_BITS + ID_SHIFT) == 0 && id.0 != 0
}

impl Table {
    /// Enters an instance. `reserved` is the calling thread's own count of empty entries that it
    /// may still claim. Returns the record that had this id before: its end was missed.
    #[inline]
    pub(super) fn insert(
        &self,
        id: InstanceId,
        record: Record,
        reserved: &mut u32,
    ) -> Result<Option<Record>, Full> {
        let id = id.0 >> ID_SHIFT;
        let (key, value) = record.words(id);
        let mut free = None;
        let mut at = self.home(id);
        let mut probes = 0;
        while probes < MAX_PROBE {
            let entry = self.entries.get(at).ok_or(Full)?;
            let found = entry.key.load(Ordering::Relaxed);
            if found & ID_MASK == id {
                let previous = Record::from_words(found, entry.value.load(Ordering::Relaxed));
                entry.value.store(value, Ordering::Relaxed);
                entry.key.store(key, Ordering::Relaxed);
                return Ok(Some(previous));
            }
            if found == EMPTY {
                let (entry, expected) = match free {
                    Some(entry) => (entry, REMOVED),
                    None => {
                        self.reserve(reserved)?;
                        (entry, EMPTY)
                    }
                };
                if entry
                    .key
                    .compare_exchange(expected, key, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    entry.value.store(value, Ordering::Relaxed);
                    *reserved -= u32::from(expected == EMPTY);
                    return Ok(None);
                }
                // Another thread was faster: from the beginning.
                (free, at, probes) = (None, self.home(id), 0);
                continue;
            }
            if found == REMOVED && free.is_none() {
                free = Some(entry);
            }
            at = self.next(at);
            probes += 1;
        }
        Err(Full)
    }

    /// Takes an instance out.
    #[inline]
    pub(super) fn remove(&self, id: InstanceId) -> Option<Record> {
        let entry = self.find(id)?;
        let key = entry.key.load(Ordering::Relaxed);
        let record = Record::from_words(key, entry.value.load(Ordering::Relaxed));
        entry.key.store(REMOVED, Ordering::Release);
        Some(record)
    }

    /// As [`remove`](Table::remove), where other threads may remove it at the same time: exactly
    /// one of them gets it.
    pub(super) fn remove_once(&self, id: InstanceId) -> Option<Record> {
        let entry = self.find(id)?;
        let key = entry.key.load(Ordering::Relaxed);
        // Before another thread can use the entry.
        let record = Record::from_words(key, entry.value.load(Ordering::Relaxed));
        let is_it = key & ID_MASK == id.0 >> ID_SHIFT;
        let take = || {
            entry.key.compare_exchange(key, REMOVED, Ordering::Release, Ordering::Relaxed).is_ok()
        };
        (is_it && take()).then_some(record)
    }

    /// Records whether an instance is lent. False if it is not there.
    pub(super) fn set_lent(&self, id: InstanceId, lent: bool) -> bool {
        let Some(entry) = self.find(id) else { return false };
        let value = entry.value.load(Ordering::Relaxed);
        entry.value.store(if lent { value | LENT } else { value & !LENT }, Ordering::Relaxed);
        true
    }

    /// What is recorded of an instance.
    pub(super) fn get(&self, id: InstanceId) -> Option<Record> {
        let entry = self.find(id)?;
        let key = entry.key.load(Ordering::Relaxed);
        Some(Record::from_words(key, entry.value.load(Ordering::Relaxed)))
    }

    #[inline]
    fn find(&self, id: InstanceId) -> Option<&Entry> {
        let id = id.0 >> ID_SHIFT;
        let mut at = self.home(id);
        for _ in 0..=MAX_PROBE {
            let entry = self.entries.get(at)?;
            match entry.key.load(Ordering::Relaxed) {
                found if found & ID_MASK == id => return Some(entry),
                EMPTY => return None,
                _ => at = self.next(at),
            }
        }
        None
    }

    /// All records. Exact only while no other thread uses the table.
    pub(super) fn records(&self) -> impl Iterator<Item = (InstanceId, Record)> {
        self.entries.iter().filter_map(|entry| {
            let key = entry.key.load(Ordering::Relaxed);
            let value = entry.value.load(Ordering::Relaxed);
            let id = key & ID_MASK;
            (id != 0).then(|| (InstanceId(id << ID_SHIFT), Record::from_words(key, value)))
        })
    }

    /// Gives every record a new site.
    pub(super) fn relabel(&mut self, site_of: impl Fn(u32) -> u32) {
        for entry in &self.entries {
            let key = entry.key.load(Ordering::Relaxed);
            if key & ID_MASK != 0 {
                let record = Record::from_words(key, entry.value.load(Ordering::Relaxed));
                let relabelled = Record { site: site_of(record.site), ..record };
                entry.value.store(relabelled.words(0).1, Ordering::Relaxed);
            }
        }
    }

    /// Makes the table anew, with room for as many instances again as there are and for what this
    /// number of threads reserves. The caller sets what they have reserved to zero. Without memory
    /// for it the table stays as it is.
    pub(super) fn rebuild(&mut self, threads: usize) -> Result<(), OutOfMemory> {
        let live = self.records().count();
        let capacity = Self::capacity_for(live, threads);
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity)?;
        entries.resize_with(capacity, Entry::default);
        let larger = Table { entries: entries.into(), claimed: AtomicU64::new(0) };
        let mut reserved = u32::try_from(live).unwrap_or(u32::MAX);
        for (id, record) in self.records() {
            // A probe that is too long in a table of this load means a defect of the hash.
            if larger.insert(id, record, &mut reserved).is_err() {
                return Err(OutOfMemory);
            }
        }
        larger.claimed.store(live as u64, Ordering::Relaxed);
        *self = larger;
        Ok(())
    }

    fn capacity_for(live: usize, threads: usize) -> usize {
        let wanted = (live + threads * LOT as usize) * 2;
        wanted.next_power_of_two().max(FIRST_CAPACITY)
    }

    /// Whether most of the table's memory is for instances that are gone, and [`Table::rebuild`]
    /// for this number of threads gives some of it back.
    pub(super) fn is_sparse(&self, threads: usize) -> bool {
        let few = self.entries.len() / 16;
        self.records().nth(few).is_none() && Self::capacity_for(few, threads) < self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// At most five eighths of the entries are claimed, so that probes stay short.
    #[inline]
    fn reserve(&self, reserved: &mut u32) -> Result<(), Full> {
        if *reserved == 0 {
            let lot = u64::from(LOT);
            let most = self.entries.len() as u64 / 8 * 5;
            if self.claimed.fetch_add(lot, Ordering::Relaxed) + lot > most {
                self.claimed.fetch_sub(lot, Ordering::Relaxed);
                return Err(Full);
            }
            *reserved = LOT;
        }
        Ok(())
    }

    #[inline]
    fn home(&self, id: u64) -> usize {
        // Fibonacci hashing; the array's length is a power of two, or zero.
        let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        spread as usize & self.entries.len().wrapping_sub(1)
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & self.entries.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn record(site: u32, thread: u64, millis: u64) -> Record {
        Record::of(site, ThreadId(thread), Nanos(millis * 1_000_000))
    }

    fn table() -> Table {
        let mut table = Table::default();
        table.rebuild(1).unwrap();
        table
    }

    #[test]
    fn records_come_back_as_they_were() {
        let table = table();
        for (n, thread) in [(1u64, 0), (2, 1), (3, 0x03ff_ffff), (8, 1 << 21)] {
            let kept = record(n as u32 * 100_000, thread, n * 10_000_000_000);
            let id = InstanceId(n << 44);
            assert!(fits(id));
            assert_eq!(table.insert(id, kept, &mut 9), Ok(None));
            assert!(table.set_lent(id, true));
            assert_eq!(table.get(id), Some(Record { lent: true, ..kept }));
            assert!(table.set_lent(id, false));
            assert_eq!((table.get(id), table.remove(id)), (Some(kept), Some(kept)));
            assert_eq!((table.remove(id), table.set_lent(id, true)), (None, false));
        }
        assert_eq!(thread_mark(ThreadId(1 << 26 | 7)), 7);
        assert_eq!(millis(Nanos(u64::MAX)), MILLIS_MASK.min(u64::MAX / 1_000_000));
    }

    #[test]
    fn odd_ids_do_not_fit() {
        for (id, expected) in
            [(0, false), (16, true), (24, true), (20, false), (1 << 48, false), (1 << 47, true)]
        {
            assert_eq!(fits(InstanceId(id)), expected, "{id:#x}");
        }
    }

    #[test]
    fn an_id_that_is_there_replaces_its_record() {
        let table = table();
        let id = InstanceId(0x7f00_0000_1230);
        let mut reserved = 0;
        assert_eq!(table.insert(id, record(1, 1, 1), &mut reserved), Ok(None));
        assert_eq!(reserved, LOT - 1);
        assert_eq!(table.insert(id, record(2, 2, 2), &mut reserved), Ok(Some(record(1, 1, 1))));
        assert_eq!(table.records().collect::<Vec<_>>(), [(id, record(2, 2, 2))]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn a_full_table_says_so_and_a_new_one_has_room() {
        let mut table = table();
        let mut reserved = 0;
        let mut entered = 0u64;
        let id = |n: u64| InstanceId((n + 1) << 4);
        while table.insert(id(entered), record(0, 0, 0), &mut reserved).is_ok() {
            entered += 1;
        }
        assert_eq!(entered, FIRST_CAPACITY as u64 / 8 * 5);
        table.rebuild(1).unwrap();
        assert!(table.records().count() as u64 == entered && table.capacity() > FIRST_CAPACITY);
        assert_eq!(table.insert(id(entered), record(0, 0, 0), &mut 0), Ok(None));
        (0..=entered).for_each(|n| assert!(table.remove(id(n)).is_some()));
        assert!(table.is_sparse(0));
        // It would be as large again.
        assert!(!table.is_sparse(table.capacity()));
        table.rebuild(1).unwrap();
        assert!(table.capacity() == FIRST_CAPACITY && !table.is_sparse(0));
    }

    #[test]
    fn entries_that_were_given_back_are_used_again() {
        let table = table();
        let mut reserved = 0;
        for n in 0..if cfg!(miri) { 100 } else { 1_000_000u64 } {
            let id = InstanceId((n % 50 + 1) << 4);
            table.insert(id, record(0, 0, n), &mut reserved).unwrap();
            assert!(table.remove(id).is_some());
        }
        assert!(table.claimed.load(Ordering::Relaxed) <= 64);
    }

    #[test]
    fn it_does_what_a_map_does() {
        let mut dice = 0x2545_f491_4f6c_dd1du64;
        let mut roll = move |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let mut table = Table::default();
        let mut model = HashMap::new();
        let mut reserved = 0;
        for step in 0..if cfg!(miri) { 200 } else { 200_000 } {
            let id = InstanceId((roll(20_000) + 1) << 4);
            match roll(5) {
                0..3 => {
                    let new = record(roll(1_000) as u32, roll(9), step);
                    let mut outcome = table.insert(id, new, &mut reserved);
                    if outcome == Err(Full) {
                        table.rebuild(1).unwrap();
                        reserved = 0;
                        outcome = table.insert(id, new, &mut reserved);
                    }
                    assert_eq!(outcome, Ok(model.insert(id, new)));
                }
                _ => assert_eq!(table.remove(id), model.remove(&id)),
            }
        }
        assert_eq!(table.records().collect::<HashMap<_, _>>(), model);
    }

    #[test]
    fn threads_do_not_lose_each_other_s_entries() {
        let table = table();
        std::thread::scope(|scope| {
            for thread in 1..=4u64 {
                let table = &table;
                scope.spawn(move || {
                    let mut reserved = 0;
                    for round in 0..if cfg!(miri) { 3 } else { 20_000u64 } {
                        let ids = (0..8).map(|n| InstanceId((n * 4 + thread) << 4));
                        for id in ids.clone() {
                            let new = record(thread as u32, thread, round);
                            assert_eq!(table.insert(id, new, &mut reserved), Ok(None));
                        }
                        for id in ids {
                            assert_eq!(
                                table.remove(id),
                                Some(record(thread as u32, thread, round))
                            );
                        }
                    }
                });
            }
        });
        assert_eq!(table.records().count(), 0);
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::thread::spawn;
    use std::rc::Rc;
    use std::sync::Mutex;

    /// A value for one thread at a time: loom finds each access that is not ordered. The lock only
    /// makes it `Sync`; loom does not know of it, and switches no thread while it is held.
    #[derive(Debug, Default)]
    pub(super) struct Owned(Mutex<Cell<u64>>);

    impl Owned {
        pub(super) fn load(&self, _: Ordering) -> u64 {
            self.0.lock().unwrap().get()
        }

        pub(super) fn store(&self, value: u64, _: Ordering) {
            self.0.lock().unwrap().set(value);
        }
    }

    fn record(site: u32) -> Record {
        Record::of(site, ThreadId(u64::from(site)), Nanos(u64::from(site) * 1_000_000))
    }

    /// A table of four entries, in which nothing has to be reserved, and ids that belong into the
    /// same entry.
    fn table() -> (Rc<Table>, [InstanceId; 3]) {
        let entries = (0..4).map(|_| Entry::default()).collect();
        let table = Table { entries, claimed: AtomicU64::new(0) };
        let mut ids =
            (1..).map(|n| InstanceId(n << 4)).filter(|id| table.home(id.0 >> ID_SHIFT) == 0);
        let ids = [(); 3].map(|()| ids.next().unwrap());
        (Rc::new(table), ids)
    }

    fn insert(table: &Table, id: InstanceId, site: u32) {
        assert_eq!(table.insert(id, record(site), &mut 9), Ok(None));
    }

    /// Two threads make and end instances, also in the entry of an instance that is gone.
    #[test]
    fn each_thread_finds_its_own_records() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let (table, [a, b, c]) = table();
            insert(&table, c, 3);
            let threads = [(a, 1), (b, 2)].map(|(id, site)| {
                let table = Rc::clone(&table);
                spawn(move || {
                    if site == 1 {
                        assert_eq!(table.remove_once(c), Some(record(3)));
                    }
                    insert(&table, id, site);
                    assert!(table.set_lent(id, true));
                    assert_eq!(table.remove(id), Some(Record { lent: true, ..record(site) }));
                    assert_eq!(table.get(id), None);
                })
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(table.records().count(), 0);
        });
    }

    #[test]
    fn one_of_two_threads_gets_what_both_take() {
        loom::model(|| {
            let (table, [a, ..]) = table();
            insert(&table, a, 1);
            let other = Rc::clone(&table);
            let thread = spawn(move || other.remove_once(a));
            let both = [table.remove_once(a), thread.join().unwrap()];
            assert_eq!(both.iter().flatten().collect::<Vec<_>>(), [&record(1)]);
            insert(&table, a, 2);
            assert_eq!(table.remove(a), Some(record(2)));
        });
    }
}
