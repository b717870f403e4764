//! How often each site's instances came to which end: first on the threads themselves, then for all
//! of them.
//!
//! A thread counts in cache lines of its own. It adds to the shared counts only when another site
//! needs the line, so that a known site costs no atomic operation, and the memory of a thread does
//! not grow with the number of sites. Invariant: what a thread counted is in its own lines or in
//! the shared counts, never in both.

use super::Counts;
use super::table::MAX_SITES;
use crate::chunks::Chunks;
use crate::model::OutOfMemory;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Sites that a thread counts by itself, a power of two.
const LINES: usize = 64;

/// No site has this number.
const NO_SITE: u32 = u32::MAX;

#[derive(Debug)]
struct Line {
    site: AtomicU32,
    ended: AtomicU32,
    /// Of `ended`: made by another thread.
    elsewhere: AtomicU32,
}

/// What one thread has counted. Only that thread writes it, unless all hooks are held up.
#[derive(Debug)]
pub struct ThreadCounts {
    /// Instances that the thread entered, for a check of the sums.
    entered: AtomicU64,
    /// Empty entries of the table that the thread may still claim.
    reserved: AtomicU32,
    lines: [Line; LINES],
}

impl Default for ThreadCounts {
    fn default() -> Self {
        ThreadCounts {
            entered: AtomicU64::new(0),
            reserved: AtomicU32::new(0),
            lines: std::array::from_fn(|_| Line {
                site: AtomicU32::new(NO_SITE),
                ended: AtomicU32::new(0),
                elsewhere: AtomicU32::new(0),
            }),
        }
    }
}

impl ThreadCounts {
    /// Adds one to a counter that only this thread writes: a load and a store, no locked
    /// instruction.
    #[inline]
    fn bump(counter: &AtomicU32) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn entered(&self) {
        self.entered.store(self.entered.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_reserved(&self, entries: u32) {
        self.reserved.store(entries, Ordering::Relaxed);
    }

    /// Whether this thread counts for `site` already.
    #[inline]
    pub(super) fn has(&self, site: u32) -> bool {
        self.line(site).is_some_and(|line| line.site.load(Ordering::Relaxed) == site)
    }

    /// Counts a first `end()` by the program.
    #[inline]
    pub(super) fn ended(&self, site: u32, elsewhere: bool, shared: &SiteCounts) {
        let Some(line) = self.line(site) else { return };
        if line.site.load(Ordering::Relaxed) != site || line.is_nearly_full() {
            self.take(site, shared);
        }
        Self::bump(&line.ended);
        if elsewhere {
            Self::bump(&line.elsewhere);
        }
    }

    /// Makes this thread count for `site` from now on.
    #[cold]
    #[inline(never)]
    pub(super) fn take(&self, site: u32, shared: &SiteCounts) {
        if let Some(line) = self.line(site) {
            line.flush(shared);
            line.site.store(site, Ordering::Relaxed);
        }
    }

    /// Moves everything to the shared counts. Returns the instances entered since the last time.
    pub(super) fn flush(&self, shared: &SiteCounts) -> u64 {
        self.lines.iter().for_each(|line| line.flush(shared));
        self.reserved.store(0, Ordering::Relaxed);
        self.entered.swap(0, Ordering::Relaxed)
    }

    /// Forgets everything. All hooks must be held up.
    pub fn clear(&self) {
        self.entered.store(0, Ordering::Relaxed);
        self.reserved.store(0, Ordering::Relaxed);
        for line in &self.lines {
            line.site.store(NO_SITE, Ordering::Relaxed);
            line.ended.store(0, Ordering::Relaxed);
            line.elsewhere.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    fn line(&self, site: u32) -> Option<&Line> {
        self.lines.get(site as usize % LINES)
    }
}

impl Line {
    #[inline]
    fn is_nearly_full(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == u32::MAX
    }

    fn flush(&self, shared: &SiteCounts) {
        let site = self.site.swap(NO_SITE, Ordering::Relaxed);
        let ended = u64::from(self.ended.swap(0, Ordering::Relaxed));
        let elsewhere = u64::from(self.elsewhere.swap(0, Ordering::Relaxed));
        if ended > 0
            && let Some(counts) = shared.get(site)
        {
            counts.ended.fetch_add(ended, Ordering::Relaxed);
            counts.elsewhere.fetch_add(elsewhere, Ordering::Relaxed);
        }
    }
}

/// The counts of one site, of all threads.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) ended: AtomicU64,
    pub(super) elsewhere: AtomicU64,
    /// Of `ended`: entry streams whose `ZipFile` was closed.
    pub(super) with_file: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) collected: AtomicU64,
    pub(super) late_millis: AtomicU64,
    /// Of `late` and `collected`: lent to an entry stream until then.
    pub(super) lent: AtomicU64,
    /// How many names of threads were requested.
    pub(super) name_requests: AtomicU8,
}

impl Shared {
    /// The instances that are not live any more.
    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (ended, late, collected) = (read(&self.ended), read(&self.late), read(&self.collected));
        Counts {
            created: ended + late + collected,
            ended,
            late,
            collected,
            ended_elsewhere: read(&self.elsewhere),
            ended_with_file: read(&self.with_file),
            lost_lent: read(&self.lent),
            late_nanos: u128::from(read(&self.late_millis)) * 1_000_000,
        }
    }
}

/// The counts of all sites.
#[derive(Debug)]
pub(super) struct SiteCounts(Chunks<Shared, 1_024>);

impl Default for SiteCounts {
    fn default() -> Self {
        SiteCounts(Chunks::with_most(MAX_SITES as usize))
    }
}

impl SiteCounts {
    /// The counts of a site that there is room for.
    #[inline]
    pub(super) fn get(&self, site: u32) -> Option<&Shared> {
        self.0.get(site)
    }

    /// The counts of a site; makes room for it.
    pub(super) fn get_or_add(&self, site: u32) -> Result<&Shared, OutOfMemory> {
        self.0.get_or_add(site)
    }

    /// Sets all counts to zero. Names of threads are not requested again.
    pub(super) fn clear(&mut self) {
        for counts in self.0.iter_mut() {
            let name_requests = std::mem::take(&mut counts.name_requests);
            *counts = Shared { name_requests, ..Shared::default() };
        }
    }

    /// All counts that there is room for, with their sites.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Shared)> {
        self.0.iter()
    }
}
