//! One record per open instance, and what became of the others, counted per site.
//!
//! ```text
//!                      ┌─ end() by the program ──────────▶ ended
//!   created ─▶ live ───┼─ end() by finalizer or Cleaner ─▶ late
//!   found ───▶         └─ freed by the collector ────────▶ collected
//! ```
//!
//! `found` is for adopted instances: they were open when counting began, so they have no site and
//! are counted apart. A record lives from the creation of the instance to the first of the three
//! arrows: an instance that was ended costs nothing but the counters of its site. Stacks and names
//! are elsewhere. Threads count by themselves ([`ThreadCounts`]) and share no lock: the caller
//! holds up all hooks while it reads the sums. Invariant: then
//! `created = ended + late + collected + live` for each site, and as many instances were entered as
//! all sites have.

mod counts;
mod table;
mod tally;

use self::counts::{Shared, SiteCounts};
use self::table::{Full, MAX_SITES, Record, Table};
use crate::model::{
    Actor, InstanceId, Kind, Nanos, OutOfMemory, PerKind, Role, SiteId, ThreadId, push,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::counts::ThreadCounts;
pub use self::tally::{Counts, Tally};

/// Names of threads that one site requests at most.
const MAX_NAME_REQUESTS: u8 = 16;

/// Ids are given once in a process: an instance that was followed by an earlier ledger is unknown
/// to this one.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The open instances and the counts.
///
/// Hooks call [`created`](Ledger::created) and [`ended`](Ledger::ended) at any time. The functions
/// that take `&mut self`, and those that say so, need all hooks held up.
#[derive(Debug, Default)]
pub struct Ledger {
    table: Table,
    sites: SiteCounts,
    /// Instances whose ids do not fit into the table.
    odd: Mutex<HashMap<InstanceId, Record>>,
    /// Instances that threads have entered and that were taken out of their counts.
    entered: AtomicU64,
    /// Instances whose end was missed: another one came with the same id.
    missed: AtomicU64,
}

/// What a hook has to do after an instance was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// This thread's name should be given to the site.
    pub wants_name: bool,
    /// An instance with the same id was there: its end was missed.
    pub replaced: bool,
}

/// Why an instance was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// [`Ledger::grow`] makes room.
    Full,
    /// There is no memory.
    OutOfMemory,
}

impl From<Full> for NotEntered {
    fn from(Full: Full) -> NotEntered {
        NotEntered::Full
    }
}

impl From<OutOfMemory> for NotEntered {
    fn from(OutOfMemory: OutOfMemory) -> NotEntered {
        NotEntered::OutOfMemory
    }
}

/// The numbers that stand for adopted instances where a record has a site.
const ADOPTED: PerKind<u32> =
    PerKind { inflater: MAX_SITES - 2, deflater: MAX_SITES - 1, zip_entry: MAX_SITES - 3 };

fn adopted_kind(site: u32) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| *ADOPTED.get(*kind) == site)
}

impl Ledger {
    /// An id for an instance whose address is not known. It has the shape of an address.
    pub fn next_id() -> InstanceId {
        InstanceId(NEXT_ID.fetch_add(1, Ordering::Relaxed) << 4)
    }

    /// An instance was created. `own` are the calling thread's counts. An error means that nothing
    /// was entered.
    #[inline]
    pub fn created(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        site: SiteId,
        thread: ThreadId,
        now: Nanos,
    ) -> Result<Created, NotEntered> {
        let counted = own.has(site.0);
        if !counted {
            self.sites.get_or_add(site.0)?;
        }
        let replaced = self.enter(own, id, Record::of(site.0, thread, now))?;
        own.entered();
        let wants_name = !counted && self.count_for(own, site.0);
        Ok(Created { wants_name, replaced })
    }

    /// An open instance was found. Its age is not known, so it counts from now. An error means that
    /// nothing was entered.
    pub fn adopted(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        kind: Kind,
        now: Nanos,
    ) -> Result<(), NotEntered> {
        let site = *ADOPTED.get(kind);
        self.sites.get_or_add(site)?;
        self.enter(own, id, Record::of(site, ThreadId::UNKNOWN, now))?;
        own.entered();
        Ok(())
    }

    /// Whether an instance is open and known.
    pub fn knows(&self, id: InstanceId) -> bool {
        if table::fits(id) { self.table.get(id).is_some() } else { self.odd().contains_key(&id) }
    }

    /// An adopted instance should not have been: as if it had not. Others stay.
    pub fn unadopt(&self, id: InstanceId) {
        let record =
            if table::fits(id) { self.table.get(id) } else { self.odd().get(&id).copied() };
        if record.is_some_and(|record| adopted_kind(record.site).is_some())
            && self.take(id).is_some()
        {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `end()` was called. False if it was not the first call, or the instance is unknown. `now` is
    /// read only where the age counts.
    #[inline]
    pub fn ended(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        by: Actor,
        now: impl Fn() -> Nanos,
    ) -> bool {
        self.end(own, id, self.take(id), by, now)
    }

    /// As [`ended`](Ledger::ended), where several threads may call it for one instance at once: it
    /// is the first call for exactly one of them.
    pub fn ended_once(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        by: Actor,
        now: impl Fn() -> Nanos,
    ) -> bool {
        let record =
            if table::fits(id) { self.table.remove_once(id) } else { self.odd().remove(&id) };
        self.end(own, id, record, by, now)
    }

    #[inline]
    fn end(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        record: Option<Record>,
        by: Actor,
        now: impl Fn() -> Nanos,
    ) -> bool {
        if record.is_none_or(|record| record.lent) {
            self.end_with_file(own, id, by, &now);
        }
        let Some(record) = record else { return false };
        self.count_end(own, record, by, now);
        true
    }

    /// A `ZipFile` has lent an instance to an entry stream. As [`created`](Ledger::created).
    pub fn lent(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        site: SiteId,
        thread: ThreadId,
        now: Nanos,
    ) -> Result<Created, NotEntered> {
        let created = self.created(own, id.loan(), site, thread, now)?;
        self.set_lent(id, true);
        Ok(created)
    }

    /// An entry stream that was open has been found. As [`adopted`](Ledger::adopted).
    pub fn adopted_loan(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        now: Nanos,
    ) -> Result<(), NotEntered> {
        self.adopted(own, id.loan(), Kind::ZipEntry, now)?;
        self.set_lent(id, true);
        Ok(())
    }

    /// An entry stream gives an instance back. False if it is unknown.
    pub fn given_back(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        by: Actor,
        now: impl FnOnce() -> Nanos,
    ) -> bool {
        let Some(record) = self.take(id.loan()) else { return false };
        self.set_lent(id, false);
        self.count_end(own, record, by, now);
        true
    }

    /// Ends the entry stream that has an instance, if there is one: its `ZipFile` was closed, which
    /// has ended the instance.
    #[cold]
    fn end_with_file(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        by: Actor,
        now: impl FnOnce() -> Nanos,
    ) {
        let Some(record) = self.take(id.loan()) else { return };
        self.count_end(own, record, by, now);
        if by.role == Role::Program
            && let Some(counts) = self.sites.get(record.site)
        {
            counts.with_file.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set_lent(&self, id: InstanceId, lent: bool) {
        if table::fits(id) {
            self.table.set_lent(id, lent);
        } else if let Some(record) = self.odd().get_mut(&id) {
            record.lent = lent;
        }
    }

    #[inline]
    fn count_end(
        &self,
        own: &ThreadCounts,
        record: Record,
        by: Actor,
        now: impl FnOnce() -> Nanos,
    ) {
        let elsewhere = record.thread != table::thread_mark(by.thread);
        match by.role {
            Role::Program => own.ended(record.site, elsewhere, &self.sites),
            // A finalizer or Cleaner that cleans up after itself is a program like any other.
            Role::Reclaimer if !elsewhere => own.ended(record.site, false, &self.sites),
            Role::Reclaimer | Role::StreamFinalizer => {
                self.count_late(record, now(), |counts| &counts.late);
            }
        }
    }

    /// The collector freed an instance that was not ended. False if it is unknown.
    pub fn freed(&self, id: InstanceId, now: Nanos) -> bool {
        let record = self.take(id);
        if record.is_none_or(|record| record.lent)
            && let Some(loan) = self.take(id.loan())
        {
            self.count_late(loan, now, |counts| &counts.collected);
        }
        let Some(record) = record else { return false };
        self.count_late(record, now, |counts| &counts.collected);
        true
    }

    /// Makes room. `threads` are the counts of all threads; all hooks must be held up.
    pub fn grow<'a>(
        &mut self,
        threads: impl Iterator<Item = &'a ThreadCounts> + Clone,
    ) -> Result<(), OutOfMemory> {
        self.table.rebuild(threads.clone().count())?;
        threads.for_each(|own| own.set_reserved(0));
        Ok(())
    }

    /// Gives memory back after a burst of live instances. As [`grow`](Ledger::grow).
    pub fn shrink<'a>(&mut self, threads: impl Iterator<Item = &'a ThreadCounts> + Clone) {
        // Where there is no memory for a smaller table the large one stays.
        if self.table.is_sparse(threads.clone().count()) {
            let _ = self.grow(threads);
        }
    }

    /// Counts from zero; what is live stays known, as adopted, with its age. All hooks must be held
    /// up.
    pub fn reset<'a>(
        &mut self,
        threads: impl Iterator<Item = &'a ThreadCounts>,
        kind_of: impl Fn(SiteId) -> Kind,
    ) -> Result<(), OutOfMemory> {
        Kind::ALL
            .into_iter()
            .try_for_each(|kind| self.sites.get_or_add(*ADOPTED.get(kind)).map(|_| ()))?;
        self.flush(threads);
        self.sites.clear();
        let kind = |site| adopted_kind(site).unwrap_or_else(|| kind_of(SiteId(site)));
        let adopted = |site| *ADOPTED.get(kind(site));
        self.table.relabel(adopted);
        let odd = self.odd.get_mut().unwrap_or_else(PoisonError::into_inner);
        odd.values_mut().for_each(|record| record.site = adopted(record.site));
        let live = (self.table.records().count() + odd.len()) as u64;
        self.entered.store(live, Ordering::Relaxed);
        self.missed.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Adds the numbers of each site to its tally, and gives those of the adopted ones, and whether
    /// as many instances were entered as all sites have. Live instances made after `young_since`
    /// are young. A site without a tally came after the caller's look at the site table, and is
    /// left for the next report. `threads` are the counts of all threads; all hooks must be held
    /// up.
    pub fn tally<'a>(
        &mut self,
        threads: impl Iterator<Item = &'a ThreadCounts>,
        tallies: &mut [Tally],
        young_since: Option<Nanos>,
    ) -> (PerKind<Tally>, bool) {
        self.flush(threads);
        let mut adopted = PerKind::<Tally>::default();
        let mut found = self.missed.load(Ordering::Relaxed);
        self.each_record(|record| {
            found += 1;
            if let Some(tally) = tally_of(record.site, tallies, &mut adopted) {
                tally.count(record.created(), young_since);
            }
        });
        for (site, counts) in self.sites.iter() {
            let counts = counts.read();
            found += counts.created;
            if let Some(tally) = tally_of(site, tallies, &mut adopted) {
                tally.counts.add(&counts);
            }
        }
        (adopted, found == self.entered.load(Ordering::Relaxed))
    }

    /// The sums of each kind and of the adopted ones, with no memory for each site and without
    /// ages. A site without a kind came after the caller's look at the site table. As
    /// [`tally`](Ledger::tally).
    pub fn sums<'a>(
        &mut self,
        threads: impl Iterator<Item = &'a ThreadCounts>,
        kind_of: impl Fn(SiteId) -> Option<Kind>,
    ) -> (PerKind<Tally>, PerKind<Tally>) {
        self.flush(threads);
        let (mut sums, mut adopted) = (PerKind::<Tally>::default(), PerKind::<Tally>::default());
        let mut add = |site: u32, change: &mut dyn FnMut(&mut Tally)| {
            let kind = adopted_kind(site);
            match (kind, kind_of(SiteId(site))) {
                (Some(kind), _) => change(adopted.get_mut(kind)),
                (None, Some(kind)) => change(sums.get_mut(kind)),
                (None, None) => {}
            }
        };
        self.each_record(|record| {
            add(record.site, &mut |tally| {
                tally.live += 1;
                tally.counts.created += 1;
            });
        });
        for (site, counts) in self.sites.iter() {
            add(site, &mut |tally| tally.counts.add(&counts.read()));
        }
        (sums, adopted)
    }

    /// The oldest live instances of each of these sites, at most `most` each. All hooks must be
    /// held up.
    pub fn oldest(
        &self,
        sites: impl Iterator<Item = SiteId>,
        most: usize,
    ) -> HashMap<SiteId, Vec<InstanceId>> {
        /// Sorted now and then only, so a list may be a little longer than `most`.
        const SLACK: usize = 64;
        let mut found: HashMap<SiteId, Vec<(u64, u64)>> =
            sites.map(|site| (site, Vec::new())).collect();
        let keep = |oldest: &mut Vec<(u64, u64)>| {
            oldest.sort_unstable();
            oldest.truncate(most);
        };
        let odd = self.odd();
        let odd = odd.iter().map(|(id, record)| (*id, *record));
        for (id, record) in self.table.records().chain(odd) {
            let Some(oldest) = found.get_mut(&SiteId(record.site)) else { continue };
            oldest.push((record.millis, id.0));
            if oldest.len() > most + SLACK {
                keep(oldest);
            }
        }
        found.values_mut().for_each(keep);
        let ids =
            |oldest: Vec<(u64, u64)>| oldest.into_iter().map(|(_, id)| InstanceId(id)).collect();
        found.into_iter().map(|(site, oldest)| (site, ids(oldest))).collect()
    }

    /// Whether any instance is live. All hooks must be held up.
    pub fn has_live(&self) -> bool {
        self.table.records().next().is_some() || !self.odd().is_empty()
    }

    /// The live instances of the sites that are `wanted` that were created before this moment, each
    /// with the millisecond of its creation. All hooks must be held up.
    pub fn live_before(
        &self,
        moment: Nanos,
        wanted: impl Fn(SiteId) -> bool,
    ) -> Result<Vec<(InstanceId, Nanos)>, OutOfMemory> {
        let mut found = Vec::new();
        for (id, record) in self.table.records() {
            if record.millis < table::millis(moment)
                && adopted_kind(record.site).is_none()
                && wanted(SiteId(record.site))
            {
                push(&mut found, (id, record.created()))?;
            }
        }
        Ok(found)
    }

    /// Whether the instance that was created in that millisecond is live. If it has ended, another
    /// one may have its id. Certain only while all hooks are held up.
    pub fn is_live(&self, id: InstanceId, created: Nanos) -> bool {
        self.table.get(id).is_some_and(|record| record.created() == created)
    }

    /// Makes this thread count for a site. True if its name should be given to the site.
    #[cold]
    #[inline(never)]
    fn count_for(&self, own: &ThreadCounts, site: u32) -> bool {
        own.take(site, &self.sites);
        let Some(counts) = self.sites.get(site) else { return false };
        let requests = counts.name_requests.load(Ordering::Relaxed);
        if requests < MAX_NAME_REQUESTS {
            counts.name_requests.store(requests + 1, Ordering::Relaxed);
        }
        requests < MAX_NAME_REQUESTS
    }

    /// True if an instance with this id was there.
    #[inline]
    fn enter(
        &self,
        own: &ThreadCounts,
        id: InstanceId,
        record: Record,
    ) -> Result<bool, NotEntered> {
        let replaced = if table::fits(id) {
            let mut reserved = own.reserved();
            let entered = self.table.insert(id, record, &mut reserved);
            own.set_reserved(reserved);
            entered?.is_some()
        } else {
            let mut odd = self.odd();
            odd.try_reserve(1).map_err(OutOfMemory::from)?;
            odd.insert(id, record).is_some()
        };
        if replaced {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(replaced)
    }

    #[inline]
    fn take(&self, id: InstanceId) -> Option<Record> {
        if table::fits(id) { self.table.remove(id) } else { self.odd().remove(&id) }
    }

    fn count_late(&self, record: Record, now: Nanos, counter: impl Fn(&Shared) -> &AtomicU64) {
        // There is room since the first instance of the site was entered.
        if let Some(counts) = self.sites.get(record.site) {
            counter(counts).fetch_add(1, Ordering::Relaxed);
            counts.lent.fetch_add(u64::from(record.lent), Ordering::Relaxed);
            let age = table::millis(now).saturating_sub(record.millis);
            counts.late_millis.fetch_add(age, Ordering::Relaxed);
        }
    }

    fn flush<'a>(&self, threads: impl Iterator<Item = &'a ThreadCounts>) {
        for own in threads {
            self.entered.fetch_add(own.flush(&self.sites), Ordering::Relaxed);
        }
    }

    fn each_record(&self, mut each: impl FnMut(Record)) {
        self.table.records().for_each(|(_, record)| each(record));
        self.odd().values().for_each(|record| each(*record));
    }

    fn odd(&self) -> MutexGuard<'_, HashMap<InstanceId, Record>> {
        self.odd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tally that a record or count belongs to.
fn tally_of<'a>(
    site: u32,
    tallies: &'a mut [Tally],
    adopted: &'a mut PerKind<Tally>,
) -> Option<&'a mut Tally> {
    match adopted_kind(site) {
        Some(kind) => Some(adopted.get_mut(kind)),
        None => tallies.get_mut(site as usize),
    }
}

#[cfg(test)]
mod tests;
