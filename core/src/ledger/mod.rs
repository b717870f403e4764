//! One record per open instance, and what became of the others, counted per site.
//!
//! ```text
//!                      ┌─ end() by the program ──────────▶ ended
//!   created ─▶ live ───┼─ end() by finalizer or Cleaner ─▶ late
//!   found ───▶         └─ freed by the collector ────────▶ collected
//! ```
//!
//! `found` is for adopted instances: they were open when counting began, so they have no site and
//! are counted apart. A record lives from the return of the constructor to the first of the three
//! arrows: an instance that was ended costs nothing but the counters of its site. Stacks and names
//! are elsewhere. Invariant: within a shard, `created = ended + late + collected + live` for each
//! site whenever its lock is free. An instance lives in one shard, so the sum over shards is exact,
//! too, while other threads run.

use crate::model::{
    Actor, InstanceId, Kind, Nanos, Origin, OutOfMemory, Outcome, PerKind, Role, SiteId, ThreadId,
};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards, a power of two: far more than threads that create instances at the same time.
const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// Names of threads that one site of one shard requests at most.
const MAX_NAME_REQUESTS: u8 = 4;

/// What happened to the instances of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Constructors that returned; of adopted ones: found open.
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
    /// Records that were counted, not derived, so that the sum can be checked.
    pub live: u64,
    /// Of `live`: those younger than `min_age`.
    pub young: u64,
    /// Creation of the oldest live instance.
    pub oldest: Option<Nanos>,
    /// Creation of the youngest live instance: near the oldest if a pool filled once.
    pub youngest: Option<Nanos>,
}

impl Tally {
    /// Takes another site's numbers in.
    pub fn add(&mut self, other: &Tally) {
        self.counts.add(&other.counts);
        self.live += other.live;
        self.young += other.young;
        other.oldest.into_iter().chain(other.youngest).for_each(|made| self.saw(made));
    }

    fn count(&mut self, record: &Record, young_since: Option<Nanos>) {
        self.live += 1;
        self.young += u64::from(young_since.is_some_and(|since| record.created > since));
        self.saw(record.created);
    }

    fn saw(&mut self, made: Nanos) {
        self.oldest = Some(self.oldest.map_or(made, |oldest| oldest.min(made)));
        self.youngest = self.youngest.max(Some(made));
    }

    /// The instances with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ended => self.counts.ended,
            Outcome::Late => self.counts.late,
            Outcome::Collected => self.counts.collected,
            Outcome::Live => self.live,
        }
    }

    /// Whether `created = ended + late + collected + live`.
    pub fn is_balanced(&self) -> bool {
        self.counts.created == Outcome::ALL.map(|outcome| self.of(outcome)).iter().sum::<u64>()
    }
}

/// Ids are given once in a process: an instance that was followed by an earlier ledger is unknown
/// to this one. They begin far beyond small numbers and addresses, which other agents use for tags:
/// HotSpot reports objects with tags of other agents to a heap walk, too, if they were just freed.
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 44);

/// The open instances and the counts, in shards.
#[derive(Debug)]
pub struct Ledger {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    live: HashMap<InstanceId, Record, BuildHasherDefault<IdHasher>>,
    sites: Vec<SiteEntry>,
    adopted: PerKind<Counts>,
}

#[derive(Debug)]
struct Record {
    origin: Origin,
    created: Nanos,
    thread: ThreadId,
}

#[derive(Clone, Debug, Default)]
struct SiteEntry {
    counts: Counts,
    named: Option<ThreadId>,
    name_requests: u8,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Ledger {
    /// An id for a new instance, in the shard of the thread that makes it. The instance is tagged
    /// with it before it is entered: one that cannot be tagged is never in the ledger.
    pub fn id(&self, thread: ThreadId) -> InstanceId {
        InstanceId(
            (NEXT_ID.fetch_add(1, Ordering::Relaxed) << SHARD_BITS) | (thread.0 % SHARDS as u64),
        )
    }

    /// A constructor returned. True if this thread's name should be given to the site. An error
    /// means that nothing was entered.
    pub fn created(
        &self,
        id: InstanceId,
        site: SiteId,
        thread: ThreadId,
        now: Nanos,
    ) -> Result<bool, OutOfMemory> {
        let mut shard = self.shard_of(id);
        shard.live.try_reserve(1)?;
        let entry = shard.entry(site)?;
        entry.counts.created += 1;
        let wants_name = entry.name_requests < MAX_NAME_REQUESTS && entry.named != Some(thread);
        if wants_name {
            entry.name_requests += 1;
            entry.named = Some(thread);
        }
        shard.live.insert(id, Record { origin: Origin::Site(site), created: now, thread });
        Ok(wants_name)
    }

    /// An open instance was found. Its age is not known, so it counts from now. An error means that
    /// nothing was entered.
    pub fn adopted(&self, id: InstanceId, kind: Kind, now: Nanos) -> Result<(), OutOfMemory> {
        let mut shard = self.shard_of(id);
        shard.live.try_reserve(1)?;
        let record =
            Record { origin: Origin::Adopted(kind), created: now, thread: ThreadId::UNKNOWN };
        shard.live.insert(id, record);
        shard.adopted.get_mut(kind).created += 1;
        Ok(())
    }

    /// An adopted instance should not have been: as if it had not. Others stay.
    pub fn unadopt(&self, id: InstanceId) {
        let mut shard = self.shard_of(id);
        if let Some(Record { origin: Origin::Adopted(kind), .. }) = shard.live.get(&id) {
            let kind = *kind;
            shard.live.remove(&id);
            shard.adopted.get_mut(kind).created -= 1;
        }
    }

    /// Counts from zero; what is live stays known, as adopted, with its age.
    pub fn reset(&self, kind_of: impl Fn(SiteId) -> Kind) {
        for number in 0..SHARDS {
            let mut shard = self.shard(number);
            shard.sites.clear();
            let mut found = PerKind::<Counts>::default();
            for record in shard.live.values_mut() {
                let kind = match record.origin {
                    Origin::Site(site) => kind_of(site),
                    Origin::Adopted(kind) => kind,
                };
                record.origin = Origin::Adopted(kind);
                found.get_mut(kind).created += 1;
            }
            shard.adopted = found;
        }
    }

    /// `end()` was called. False if it was not the first call (two threads may end one instance at
    /// once).
    pub fn ended(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        let mut shard = self.shard_of(id);
        let Some(record) = shard.live.remove(&id) else { return false };
        let Some(counts) = shard.counts(record.origin) else { return true };
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
                let mut smaller = HashMap::default();
                // Where there is no memory for a smaller table the large one stays.
                if smaller.try_reserve(shard.live.len()).is_ok() {
                    smaller.extend(shard.live.drain());
                    shard.live = smaller;
                }
            }
        }
    }

    /// Adds the numbers of each site to its tally, one short lock a shard, and gives those of the
    /// adopted ones. Live instances made after `young_since` are young. A site without a tally came
    /// after the caller's look at the site table, and is left for the next report.
    pub fn tally(&self, tallies: &mut [Tally], young_since: Option<Nanos>) -> PerKind<Tally> {
        let mut adopted = PerKind::<Tally>::default();
        for number in 0..SHARDS {
            let shard = self.shard(number);
            for (entry, tally) in shard.sites.iter().zip(tallies.iter_mut()) {
                tally.counts.add(&entry.counts);
            }
            for kind in Kind::ALL {
                adopted.get_mut(kind).counts.add(shard.adopted.get(kind));
            }
            for record in shard.live.values() {
                let tally = match record.origin {
                    Origin::Site(site) => tallies.get_mut(site.0 as usize),
                    Origin::Adopted(kind) => Some(adopted.get_mut(kind)),
                };
                if let Some(tally) = tally {
                    tally.count(record, young_since);
                }
            }
        }
        adopted
    }

    /// The sums of each kind and of the adopted ones, with no memory for each site and without
    /// ages. A site without a kind came after the caller's look at the site table.
    pub fn sums(
        &self,
        kind_of: impl Fn(SiteId) -> Option<Kind>,
    ) -> (PerKind<Tally>, PerKind<Tally>) {
        let (mut sums, mut adopted) = (PerKind::<Tally>::default(), PerKind::<Tally>::default());
        for number in 0..SHARDS {
            let shard = self.shard(number);
            for (index, entry) in shard.sites.iter().enumerate() {
                let Some(kind) = kind_of(site_id(index)) else { break };
                sums.get_mut(kind).counts.add(&entry.counts);
            }
            for kind in Kind::ALL {
                adopted.get_mut(kind).counts.add(shard.adopted.get(kind));
            }
            for record in shard.live.values() {
                match record.origin {
                    Origin::Site(site) => {
                        kind_of(site).into_iter().for_each(|kind| sums.get_mut(kind).live += 1);
                    }
                    Origin::Adopted(kind) => adopted.get_mut(kind).live += 1,
                }
            }
        }
        (sums, adopted)
    }

    /// The oldest live instances of each of these sites, at most `most` each.
    pub fn oldest(
        &self,
        sites: impl Iterator<Item = SiteId>,
        most: usize,
    ) -> HashMap<SiteId, Vec<InstanceId>> {
        let mut found: HashMap<SiteId, Vec<(Nanos, u64)>> =
            sites.map(|site| (site, Vec::new())).collect();
        let keep = |oldest: &mut Vec<(Nanos, u64)>| {
            oldest.sort_unstable();
            oldest.truncate(most);
        };
        for number in 0..SHARDS {
            for (id, record) in &self.shard(number).live {
                let Origin::Site(site) = record.origin else { continue };
                let Some(oldest) = found.get_mut(&site) else { continue };
                oldest.push((record.created, id.0));
                // Sorted now and then only, so it may be a little longer than `most`.
                if oldest.len() > most + SHARDS {
                    keep(oldest);
                }
            }
        }
        found.values_mut().for_each(keep);
        let ids =
            |oldest: Vec<(Nanos, u64)>| oldest.into_iter().map(|(_, id)| InstanceId(id)).collect();
        found.into_iter().map(|(site, oldest)| (site, ids(oldest))).collect()
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
            let Some(counts) = self.counts(record.origin) else { return };
            counts.collected += 1;
            counts.late_nanos += now.since(record.created).as_nanos();
        }
    }

    /// The counts that a record belongs to: a site's are there since its first instance was
    /// entered.
    fn counts(&mut self, origin: Origin) -> Option<&mut Counts> {
        match origin {
            Origin::Site(site) => Some(&mut self.sites.get_mut(site.0 as usize)?.counts),
            Origin::Adopted(kind) => Some(self.adopted.get_mut(kind)),
        }
    }

    fn entry(&mut self, site: SiteId) -> Result<&mut SiteEntry, OutOfMemory> {
        let index = site.0 as usize;
        if let Some(more) = (index + 1).checked_sub(self.sites.len()) {
            self.sites.try_reserve(more)?;
            self.sites.resize(index + 1, SiteEntry::default());
        }
        self.sites.get_mut(index).ok_or(OutOfMemory)
    }
}

fn site_id(index: usize) -> SiteId {
    SiteId(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Ids are a counter: one multiplication spreads them (Fibonacci hashing), where SipHash would cost
/// as much as everything else in here.
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
mod tests;
