//! One record per open instance, and what became of the others, counted per site.
//!
//! ```text
//!                      ┌─ end() by the program ──────────▶ ended
//!   created ─▶ live ───┼─ end() by finalizer or Cleaner ─▶ late
//!                      └─ freed by the collector ────────▶ collected
//! ```
//!
//! A record lives from the constructor's return to the first of the three arrows, no longer: an instance that
//! was ended costs nothing but its site's counters.
//! Leaves stacks and names to others. Invariant: within a shard, each site's
//! `created = ended + late + collected + live` at every moment that its lock is free; an instance lives in one
//! shard, so the sum over shards taken one after the other is exact too, while other threads go on.

use crate::event::{Actor, InstanceId, Nanos, Role, SiteId, ThreadId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards, a power of two: far more than threads that make streams at the same moment.
const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// How often one site of one shard asks for the name of a thread that it has not seen last.
const NAMINGS: u8 = 4;

/// What happened to the instances of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Constructors that returned.
    pub created: u64,
    /// First `end()` by the program.
    pub ended: u64,
    /// First `end()` by a finalizer or Cleaner.
    pub late: u64,
    /// Freed by the collector, never ended.
    pub collected: u64,
    /// Of `ended`: by another thread than the creator's.
    pub ended_elsewhere: u64,
    /// Creation to release, summed over `late` and `collected`.
    pub late_nanos: u128,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.created += other.created;
        self.ended += other.ended;
        self.late += other.late;
        self.collected += other.collected;
        self.ended_elsewhere += other.ended_elsewhere;
        self.late_nanos += other.late_nanos;
    }
}

/// A site's numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What became of its instances.
    pub counts: Counts,
    /// Records found, not derived: so that the sum can be checked.
    pub live: u64,
    /// When the oldest live one was made.
    pub oldest: Option<Nanos>,
    /// When the youngest live one was made: a pool that filled once has an old one.
    pub youngest: Option<Nanos>,
}

impl Tally {
    /// Takes another site's numbers in.
    pub fn add(&mut self, other: &Tally) {
        self.counts.add(&other.counts);
        self.live += other.live;
        other.oldest.into_iter().chain(other.youngest).for_each(|made| self.saw(made));
    }

    fn saw(&mut self, made: Nanos) {
        self.oldest = Some(self.oldest.map_or(made, |oldest| oldest.min(made)));
        self.youngest = self.youngest.max(Some(made));
    }

    /// Whether `created = ended + late + collected + live`.
    pub fn adds_up(&self) -> bool {
        let c = &self.counts;
        c.created == c.ended + c.late + c.collected + self.live
    }
}

/// The open instances and the counts, in shards.
#[derive(Debug)]
pub struct Ledger {
    made: AtomicU64,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    live: HashMap<InstanceId, Record, BuildHasherDefault<IdHasher>>,
    sites: Vec<SiteEntry>,
}

#[derive(Debug)]
struct Record {
    site: SiteId,
    created: Nanos,
    thread: ThreadId,
}

#[derive(Clone, Debug, Default)]
struct SiteEntry {
    counts: Counts,
    named: Option<ThreadId>,
    namings: u8,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { made: AtomicU64::new(1), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Ledger {
    /// An id for a new instance, in the shard of the thread that makes it. The instance is tagged with it before
    /// it is entered: one that cannot be tagged is never in the ledger.
    pub fn id(&self, thread: ThreadId) -> InstanceId {
        InstanceId((self.made.fetch_add(1, Ordering::Relaxed) << SHARD_BITS) | (thread.0 % SHARDS as u64))
    }

    /// A constructor returned. True if the site would like to know this thread's name.
    pub fn created(&self, id: InstanceId, site: SiteId, thread: ThreadId, now: Nanos) -> bool {
        let mut shard = self.shard_of(id);
        shard.live.insert(id, Record { site, created: now, thread });
        let entry = shard.entry(site);
        entry.counts.created += 1;
        let wants_name = entry.namings < NAMINGS && entry.named != Some(thread);
        if wants_name {
            entry.namings += 1;
            entry.named = Some(thread);
        }
        wants_name
    }

    /// `end()` was called. False if it was not the first call (two threads may end one instance at once).
    pub fn ended(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        let mut shard = self.shard_of(id);
        let Some(record) = shard.live.remove(&id) else { return false };
        let counts = &mut shard.entry(record.site).counts;
        match by.role {
            Role::Program => {
                counts.ended += 1;
                counts.ended_elsewhere += u64::from(by.thread != record.thread);
            }
            // A finalizer or Cleaner that cleans up after itself is a program like any other.
            Role::Reclaimer if by.thread == record.thread => counts.ended += 1,
            Role::Reclaimer | Role::StreamFinalizer => {
                counts.late += 1;
                counts.late_nanos += now.since(record.created).as_nanos();
            }
        }
        true
    }

    /// The collector freed an instance that still had its tag.
    pub fn freed(&self, id: InstanceId, now: Nanos) {
        self.shard_of(id).freed(id, now);
    }

    /// Gives memory back after a burst of live instances.
    pub fn shrink(&self) {
        for number in 0..SHARDS {
            let mut shard = self.shard(number);
            if shard.live.capacity() > 1_024 && shard.live.len() < shard.live.capacity() / 8 {
                shard.live.shrink_to_fit();
            }
        }
    }

    /// The numbers of each of the first `sites` sites, one short lock a shard.
    /// A site that was born after the caller looked at the site table is left for the next report.
    pub fn tally(&self, sites: usize) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); sites];
        for number in 0..SHARDS {
            let shard = self.shard(number);
            for (entry, tally) in shard.sites.iter().zip(&mut tallies) {
                tally.counts.add(&entry.counts);
            }
            for record in shard.live.values() {
                if let Some(tally) = tallies.get_mut(record.site.0 as usize) {
                    tally.live += 1;
                    tally.saw(record.created);
                }
            }
        }
        tallies
    }

    fn shard_of(&self, id: InstanceId) -> MutexGuard<'_, Shard> {
        self.shard(id.0 as usize % SHARDS)
    }

    #[expect(clippy::indexing_slicing, reason = "every caller takes the number modulo SHARDS")]
    fn shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn freed(&mut self, id: InstanceId, now: Nanos) {
        if let Some(record) = self.live.remove(&id) {
            let counts = &mut self.entry(record.site).counts;
            counts.collected += 1;
            counts.late_nanos += now.since(record.created).as_nanos();
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the line before makes room for the index")]
    fn entry(&mut self, site: SiteId) -> &mut SiteEntry {
        let index = site.0 as usize;
        if index >= self.sites.len() {
            self.sites.resize(index + 1, SiteEntry::default());
        }
        &mut self.sites[index]
    }
}

/// Ids are a counter: one multiplication spreads them (Fibonacci hashing), where SipHash would cost as much as
/// everything else in here.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: SiteId = SiteId(3);
    const MAIN: ThreadId = ThreadId(1);

    impl Ledger {
        fn make(&self, site: SiteId, thread: ThreadId, now: Nanos) -> InstanceId {
            let id = self.id(thread);
            self.created(id, site, thread, now);
            id
        }
    }

    fn by(thread: u64, role: Role) -> Actor {
        Actor { thread: ThreadId(thread), role }
    }

    #[test]
    fn each_arrow_of_the_diagram_is_taken_once() {
        let ledger = Ledger::default();
        let ids: Vec<_> = (0..5).map(|n| ledger.make(SITE, MAIN, Nanos(n))).collect();
        assert!(ledger.ended(ids[0], by(1, Role::Program), Nanos(10)));
        assert!(!ledger.ended(ids[0], by(1, Role::Program), Nanos(11)), "the second end() counts nowhere");
        assert!(ledger.ended(ids[1], by(2, Role::Program), Nanos(10)));
        assert!(ledger.ended(ids[2], by(9, Role::Reclaimer), Nanos(102)));
        ledger.freed(ids[3], Nanos(1_003));
        ledger.freed(ids[3], Nanos(2_000));
        ledger.freed(ids[1], Nanos(2_000));
        let tally = ledger.tally(4)[3];
        assert_eq!(
            tally,
            Tally {
                counts: Counts {
                    created: 5,
                    ended: 2,
                    late: 1,
                    collected: 1,
                    ended_elsewhere: 1,
                    late_nanos: 1_100
                },
                live: 1,
                oldest: Some(Nanos(4)),
                youngest: Some(Nanos(4)),
            }
        );
        assert!(tally.adds_up());
    }

    #[test]
    fn what_a_finalizer_makes_and_ends_itself_is_ended() {
        let ledger = Ledger::default();
        let finalizer = |role| by(5, role);
        for (role, expected) in [(Role::Reclaimer, (1, 0)), (Role::StreamFinalizer, (1, 1))] {
            let id = ledger.make(SITE, ThreadId(5), Nanos(0));
            ledger.ended(id, finalizer(role), Nanos(1));
            let counts = ledger.tally(4)[3].counts;
            assert_eq!((counts.ended, counts.late), expected);
        }
    }

    #[test]
    fn ids_are_never_zero_and_never_the_same() {
        let ledger = Ledger::default();
        let mut seen = std::collections::HashSet::new();
        for thread in 0..200 {
            for _ in 0..10 {
                let id = ledger.make(SITE, ThreadId(thread), Nanos(0));
                assert!(id.0 > 0 && seen.insert(id));
            }
        }
    }

    #[test]
    fn names_are_asked_for_a_few_times_only() {
        let ledger = Ledger::default();
        let created = |thread| ledger.created(ledger.id(thread), SITE, thread, Nanos(0));
        let asked = (0..1_000).filter(|_| created(MAIN)).count();
        assert_eq!(asked, 1, "one thread is named once");
        let asked = (0..1_000).filter(|n| created(ThreadId(n * 64))).count();
        assert_eq!(asked, usize::from(NAMINGS), "many threads of one shard are named a few times");
    }

    #[test]
    fn tallies_add_up_while_others_work() {
        let ledger = Ledger::default();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let (ledger, done) = (&ledger, &done);
                scope.spawn(move || {
                    let mut n = 0u64;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) || n < 1_000 {
                        n += 1;
                        let id = ledger.make(SiteId(n as u32 % 7), ThreadId(thread), Nanos(n));
                        match n % 3 {
                            0 => _ = ledger.ended(id, by(thread + 1, Role::Program), Nanos(n)),
                            1 => ledger.freed(id, Nanos(n)),
                            _ => {}
                        }
                    }
                });
            }
            for _ in 0..50 {
                assert!(ledger.tally(7).iter().all(Tally::adds_up));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let ledger = Ledger::default();
        let ids: Vec<_> = (0..100_000).map(|_| ledger.make(SITE, MAIN, Nanos(0))).collect();
        for id in ids {
            ledger.freed(id, Nanos(1));
        }
        ledger.shrink();
        assert!(ledger.shard(1).live.capacity() < 1_024);
    }
}
