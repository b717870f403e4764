//! One audit: its sites, its ledger, and what could not be counted.
//!
//! The only owner of state; modules above read it through [`Snapshot`]. Time is an argument, and
//! there is no I/O. Invariant: no lock is held when a method returns, and no method calls back.

use crate::chunks::Chunks;
use crate::ledger::Tally;
use crate::model::{
    Frame, FrameId, Kind, Nanos, OutOfMemory, PerKind, Purpose, SiteId, Stack, push,
};
use crate::stacks::{MAX_SITES, Site, Stacks};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state of an audit.
#[derive(Debug)]
pub struct Session {
    stacks: Stacks,
    /// How often each stack of a further call of `end()` came.
    ended_again: Chunks<AtomicU64, 256>,
    ended_unknown: PerKind<AtomicU64>,
    gaps: Mutex<Gaps>,
}

/// What could not be seen, with the reason: a gap in the data is always reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Hooks that could not be installed, and classes that could not be rewritten.
    pub missing_hooks: BTreeSet<String>,
    /// Events that were not counted, by reason.
    pub dropped: BTreeMap<Cow<'static, str>, u64>,
    /// Stacks or names that could not be read, by reason; their instances are counted all the same.
    pub unreadable: BTreeMap<Cow<'static, str>, u64>,
    /// What the last report could not prepare, such as a GC.
    pub unsettled: Option<String>,
}

/// One site and its numbers at the moment of a snapshot.
#[derive(Clone, Debug)]
pub struct SiteTally {
    /// Kind and stack.
    pub site: Arc<Site>,
    /// The outcomes of its instances.
    pub tally: Tally,
}

/// Sites that a report leaves out because nothing is wrong with them: numbers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Number of these sites.
    pub sites: u64,
    /// Of them: with a stack that was cut.
    pub truncated: u64,
    /// Their counts, added up.
    pub tally: Tally,
}

/// Clean sites that a report has in full, the busiest ones, and the frames of all of them together:
/// the size of a report depends on what is wrong, not on how many stacks the program has.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    sites: usize,
    frames: usize,
}

impl Room {
    /// Room for the clean sites of one report.
    pub const CLEAN: Room = Room { sites: 1_000, frames: 65_536 };

    /// Reserves room for a site. False if there is not enough left.
    pub fn take(&mut self, site: &Site) -> bool {
        let left = (self.sites.checked_sub(1), self.frames.checked_sub(site.frames().len()));
        let (Some(sites), Some(frames)) = left else { return false };
        *self = Room { sites, frames };
        true
    }
}

/// A copy of all that is known, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Time of the snapshot.
    pub taken: Nanos,
    /// The sites in the order of first sight: all where something is not ended, and the busiest
    /// others.
    pub sites: Vec<SiteTally>,
    /// The rest, where every instance was ended.
    pub others: PerKind<Others>,
    /// Further calls of `end()` by the program on instances that were ended already: their stacks,
    /// and how often each came.
    pub ended_again: Vec<(Arc<Site>, u64)>,
    /// First calls of `end()` on open instances without a record: most were made before the agent
    /// was armed, and not adopted.
    pub ended_unknown: PerKind<u64>,
    /// Open instances that were there when counting began, and what became of them.
    pub adopted: PerKind<Tally>,
    /// Stacks that came when there was no room for more.
    pub overflowed: u64,
    /// What could not be seen.
    pub gaps: Gaps,
}

impl Session {
    /// A session whose stacks take about this number of bytes at most.
    pub fn with_room(bytes: usize) -> Session {
        Session {
            stacks: Stacks::with_room(bytes),
            ended_again: Chunks::with_most(MAX_SITES),
            ended_unknown: PerKind::default(),
            gaps: Mutex::default(),
        }
    }

    /// The frame that equals `frame`. [`FrameId::UNKNOWN`] if it is new and there is no room.
    pub fn frame(&self, frame: Frame) -> Result<FrameId, OutOfMemory> {
        self.stacks.frame(frame)
    }

    /// The site of a stack, new or not.
    pub fn site(
        &self,
        purpose: Purpose,
        kind: Kind,
        stack: &Stack<FrameId>,
    ) -> Result<SiteId, OutOfMemory> {
        self.stacks.site(purpose, kind, stack)
    }

    /// The site of a stack that there is no memory for.
    pub fn unlearned(&self, purpose: Purpose, kind: Kind) -> Result<SiteId, OutOfMemory> {
        let site = self.stacks.unlearned(purpose, kind)?;
        self.record_unreadable("the process had no memory left to keep a stack");
        Ok(site)
    }

    /// A thread that made an instance at `site` has this name.
    pub fn name_thread(&self, site: SiteId, name: String) {
        self.stacks.name_thread(site, name);
    }

    /// Begins to count anew, as the ledger does: sites and gaps in the hooks stay known.
    pub fn reset(&self) {
        self.ended_again.iter().for_each(|(_, times)| times.store(0, Ordering::Relaxed));
        Kind::ALL.iter().for_each(|kind| self.ended_unknown.get(*kind).store(0, Ordering::Relaxed));
        self.note(|gaps| {
            *gaps =
                Gaps { missing_hooks: std::mem::take(&mut gaps.missing_hooks), ..Gaps::default() }
        });
    }

    /// `end()` by the program of an instance that was ended before.
    pub fn record_double_end(&self, site: SiteId) -> Result<(), OutOfMemory> {
        self.ended_again.get_or_add(site.0)?.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// `end()` of an open instance that has no record.
    pub fn record_unknown_end(&self, kind: Kind) {
        self.ended_unknown.get(kind).fetch_add(1, Ordering::Relaxed);
    }

    /// The sites with these stable ids, as far as they are known.
    pub fn find(&self, stable_ids: &[u64]) -> Vec<(u64, SiteId)> {
        stable_ids.iter().filter_map(|id| Some((*id, self.stacks.find(*id)?))).collect()
    }

    /// A known site.
    pub fn known(&self, site: SiteId) -> Option<Arc<Site>> {
        self.stacks.get(site)
    }

    /// The sites whose instances are of a subclass.
    pub fn of_subclasses(&self) -> HashSet<SiteId> {
        let mut found = HashSet::new();
        self.stacks.for_each(|id, site| {
            if site.subclass.is_some() {
                found.insert(id);
            }
            true
        });
        found
    }

    /// The kind of a known site.
    pub fn kind(&self, site: SiteId) -> Kind {
        self.stacks.kind(site)
    }

    /// An event was not counted.
    pub fn record_dropped(&self, reason: &'static str) {
        self.record_dropped_many(reason, 1);
    }

    /// This number of events was not counted.
    pub fn record_dropped_many(&self, reason: &'static str, events: u64) {
        if events > 0 {
            self.note(|gaps| *gaps.dropped.entry(reason.into()).or_default() += events);
        }
    }

    /// A stack or a name could not be read.
    pub fn record_unreadable(&self, reason: &'static str) {
        self.note(|gaps| *gaps.unreadable.entry(reason.into()).or_default() += 1);
    }

    /// Replaces the missing hooks of one class; each text begins with the name of the class.
    pub fn set_missing_hooks(&self, class: &str, missing: Vec<String>) {
        self.note(|gaps| {
            // A nested class's name begins with that of the outer one.
            let of_class = |text: &str| {
                text.strip_prefix(class).is_some_and(|rest| rest.starts_with(['.', ':', ' ']))
            };
            gaps.missing_hooks.retain(|known| !of_class(known));
            gaps.missing_hooks.extend(missing);
        });
    }

    /// What the preparation of the next report could not do.
    pub fn set_unsettled(&self, reason: Option<String>) {
        self.note(|gaps| gaps.unsettled = reason);
    }

    /// What could not be seen so far.
    pub fn gaps(&self) -> Gaps {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Gaps)) {
        change(&mut self.gaps.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The kinds of all known sites, by their ids.
    pub fn kinds(&self) -> Result<Vec<Kind>, OutOfMemory> {
        self.stacks.kinds()
    }

    /// Copies out all that a report needs. Live instances younger than `min_age` are counted apart.
    /// `tally` adds the ledger's numbers to those of each site, given the moment since which live
    /// instances are young, and returns those of the adopted ones (see `Ledger::tally`).
    pub fn snapshot(
        &self,
        taken: Nanos,
        min_age: Duration,
        tally: impl FnOnce(&mut [Tally], Option<Nanos>) -> PerKind<Tally>,
    ) -> Result<Snapshot, OutOfMemory> {
        // The table first: a site always comes before its first instance.
        let mut tallies = Vec::new();
        tallies.try_reserve_exact(self.stacks.count())?;
        tallies.resize(tallies.capacity(), Tally::default());
        let min_age = u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX);
        let young_since = (min_age > 0).then(|| Nanos(taken.0.saturating_sub(min_age)));
        let adopted = tally(&mut tallies, young_since);
        let (sites, others) = self.worth_telling(&tallies)?;
        drop(tallies);
        let unknown = |kind| self.ended_unknown.get(kind).load(Ordering::Relaxed);
        Ok(Snapshot {
            taken,
            sites,
            others,
            ended_again: self.all_double_ends()?,
            ended_unknown: PerKind::from_fn(unknown),
            adopted,
            overflowed: self.stacks.overflowed(),
            gaps: self.gaps(),
        })
    }

    /// The sites where something is not ended and the busiest of the others, and the sums of the
    /// rest.
    fn worth_telling(
        &self,
        tallies: &[Tally],
    ) -> Result<(Vec<SiteTally>, PerKind<Others>), OutOfMemory> {
        let busiest = self.busiest_ended(tallies)?;
        let open = tallies.iter().filter(|tally| !is_empty(tally) && !all_ended(tally)).count();
        let mut sites = Vec::new();
        sites.try_reserve_exact(open + busiest.len())?;
        let mut others = PerKind::<Others>::default();
        self.stacks.for_each(|id, site| {
            let Some(tally) = tallies.get(id.0 as usize) else { return false };
            if is_empty(tally) {
                return true;
            }
            if all_ended(tally) && busiest.binary_search(&id).is_err() {
                let others = others.get_mut(site.kind);
                others.sites += 1;
                others.truncated += u64::from(site.truncated);
                others.tally.add(tally);
            } else {
                sites.push(SiteTally { site: Arc::clone(site), tally: *tally });
            }
            true
        });
        Ok((sites, others))
    }

    /// The busiest sites where every instance was ended, as many as there is room for, by their
    /// ids.
    fn busiest_ended(&self, tallies: &[Tally]) -> Result<Vec<SiteId>, OutOfMemory> {
        let mut busiest: Vec<(Reverse<u64>, SiteId)> = Vec::new();
        for (at, tally) in tallies.iter().enumerate().filter(|(_, t)| !is_empty(t) && all_ended(t))
        {
            let id = SiteId(u32::try_from(at).unwrap_or(u32::MAX));
            push(&mut busiest, (Reverse(tally.counts.created), id))?;
        }
        busiest.sort_unstable();
        let mut room = Room::CLEAN;
        let mut fits = |id: SiteId| self.stacks.get(id).is_some_and(|site| room.take(&site));
        let number = busiest.iter().take_while(|(_, id)| fits(*id)).count();
        busiest.truncate(number);
        let mut ids: Vec<SiteId> = busiest.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The stacks of further calls of `end()`, and how often each came.
    fn all_double_ends(&self) -> Result<Vec<(Arc<Site>, u64)>, OutOfMemory> {
        let read = |times: &AtomicU64| times.load(Ordering::Relaxed);
        let times = self.ended_again.iter().map(|(site, times)| (SiteId(site), read(times)));
        let mut double_ends = Vec::new();
        for (site, times) in times.filter(|(_, times)| *times > 0) {
            if let Some(site) = self.stacks.get(site) {
                push(&mut double_ends, (site, times))?;
            }
        }
        Ok(double_ends)
    }
}

/// Whether nothing was made at this site since counting began.
fn is_empty(tally: &Tally) -> bool {
    tally.counts.created == 0 && tally.is_balanced()
}

fn all_ended(tally: &Tally) -> bool {
    tally.counts.created == tally.counts.ended && tally.is_balanced()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Frame;

    fn stack(method: &str) -> Stack {
        Stack { frames: vec![Frame::named("a.B", method)], truncated: false, subclass: None }
    }

    #[test]
    fn every_event_is_counted() {
        let session = Session::default();
        let site = session.learn(Kind::Inflater, stack("c")).unwrap();
        session.record_dropped("no tag");
        let double_end = session.learn_double_end(Kind::Inflater, stack("c")).unwrap();
        assert_ne!(double_end, site, "who ends is not who made it");
        session.record_double_end(double_end).unwrap();
        session.record_double_end(double_end).unwrap();
        let snapshot = |session: &Session| {
            let tally = |tallies: &mut [Tally], _: Option<Nanos>| {
                tallies[site.0 as usize].counts.created = 1;
                tallies[site.0 as usize].live = 1;
                PerKind::default()
            };
            session.snapshot(Nanos(6), Duration::ZERO, tally).unwrap()
        };
        let snapshot_before = snapshot(&session);
        let id = snapshot_before.sites[0].site.stable_id;
        assert_eq!(session.find(&[!id, id]), [(id, site)]);
        let snapshot_after = snapshot(&session);
        let snapshot = &snapshot_after;
        assert_eq!(snapshot.ended_again.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [2]);
        assert_eq!(snapshot.gaps.dropped, BTreeMap::from([("no tag".into(), 1)]));
        assert_eq!(snapshot.sites.len(), 1, "the double end is no site of instances");
        assert!(snapshot.sites[0].tally.is_balanced());
        session.reset();
        let nothing = |_: &mut [Tally], _: Option<Nanos>| PerKind::default();
        let snapshot = session.snapshot(Nanos(7), Duration::ZERO, nothing).unwrap();
        assert!(snapshot.ended_again.is_empty() && snapshot.sites.is_empty());
    }

    #[test]
    fn stacks_that_do_not_fit_are_counted() {
        let session = Session::with_room(0);
        let nothing = |_: &mut [Tally], _: Option<Nanos>| PerKind::default();
        let overflowed = || session.snapshot(Nanos(0), Duration::ZERO, nothing).unwrap().overflowed;
        for method in ["a", "b"] {
            session.learn(Kind::Inflater, stack(method)).unwrap();
        }
        assert_eq!(overflowed(), 2);
        for method in ["a", "b", "c"] {
            let double_end = session.learn_double_end(Kind::Inflater, stack(method)).unwrap();
            session.record_double_end(double_end).unwrap();
        }
        assert_eq!(overflowed(), 5);
        // The calls are counted all the same.
        let ended_again = session.snapshot(Nanos(0), Duration::ZERO, nothing).unwrap().ended_again;
        assert_eq!(ended_again.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn hooks_found_later_are_no_longer_missing() {
        let session = Session::default();
        session.set_missing_hooks(
            "java.util.zip.Inflater",
            vec!["java.util.zip.Inflater.end()".into()],
        );
        session.set_missing_hooks(
            "java.util.zip.Deflater",
            vec!["java.util.zip.Deflater.end()".into()],
        );
        session.set_missing_hooks("java.util.zip.Inflater", vec![]);
        let missing = session.gaps().missing_hooks;
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["java.util.zip.Deflater.end()"]);
    }
}
