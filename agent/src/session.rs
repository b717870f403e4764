//! One audit: the sites, the ledger, and what could not be counted.
//!
//! The only owner of state; rooms above read it through [`Snapshot`]. Time is an argument and there is no I/O.
//! Invariant: no lock is held when a method returns, and none calls back.

use crate::event::{Actor, InstanceId, Kind, Nanos, PerKind, SiteId, Stack, StackKey, ThreadId};
use crate::ledger::{Ledger, Tally};
use crate::stacks::{Site, Stacks};
use dashmap::DashMap;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Session {
    stacks: Stacks,
    ledger: Ledger,
    /// Stacks of further calls of `end()`, and how often each came.
    enders: Stacks,
    ended_again: DashMap<SiteId, u64>,
    ended_unknown: PerKind<AtomicU64>,
    gaps: Mutex<Gaps>,
}

/// What could not be seen, with the reason: silence is never success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Hooks that found no place, and classes that could not be rewritten.
    pub missing_hooks: BTreeSet<String>,
    /// Events that were not counted, by reason.
    pub dropped: BTreeMap<Cow<'static, str>, u64>,
    /// Stacks or names that could not be read, by reason; their instances are counted all the same.
    pub unreadable: BTreeMap<Cow<'static, str>, u64>,
    /// What the last report's preparation could not do (a collection, say).
    pub unsettled: Option<String>,
}

/// One site and its numbers at the moment of a snapshot.
#[derive(Clone, Debug)]
pub struct SiteTally {
    /// Who.
    pub site: Arc<Site>,
    /// How many.
    pub tally: Tally,
}

/// A copy of all that is known, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When.
    pub taken: Nanos,
    /// Every site, in the order of first sight.
    pub sites: Vec<SiteTally>,
    /// Further calls of `end()` by the program on instances that were ended already: their stacks, and how often each came.
    pub ended_again: Vec<(Arc<Site>, u64)>,
    /// First calls of `end()` on open instances that were made before the agent was armed, and not adopted.
    pub ended_unknown: PerKind<u64>,
    /// Open instances that were there when counting began, and what became of them.
    pub adopted: PerKind<Tally>,
    /// Stacks that came after the site table was full.
    pub overflowed: u64,
    /// What could not be seen.
    pub gaps: Gaps,
}

impl Session {
    /// The site of a stack seen before.
    pub fn site(&self, kind: Kind, key: StackKey) -> Option<SiteId> {
        self.stacks.site(kind, key)
    }

    /// Takes a stack that was not seen before under this key.
    pub fn learn(&self, kind: Kind, key: StackKey, stack: Stack) -> SiteId {
        self.stacks.learn(kind, key, stack)
    }

    /// An id for a new instance: its tag, before it is entered.
    pub fn id(&self, thread: ThreadId) -> InstanceId {
        self.ledger.id(thread)
    }

    /// A constructor returned. True if the site would like to know this thread's name.
    pub fn created(&self, id: InstanceId, site: SiteId, thread: ThreadId, now: Nanos) -> bool {
        self.ledger.created(id, site, thread, now)
    }

    /// A thread that made an instance at `site` has this name.
    pub fn name_thread(&self, site: SiteId, name: String) {
        self.stacks.name_thread(site, name);
    }

    /// An open instance was found that was made before counting began.
    pub fn adopted(&self, id: InstanceId, kind: Kind, now: Nanos) {
        self.ledger.adopted(id, kind, now);
    }

    /// What was adopted turned out to be no stranger, or no longer open.
    pub fn disowned(&self, id: InstanceId) {
        self.ledger.disowned(id);
    }

    /// Begins to count anew: what is live is adopted, sites and gaps in the hooks stay known.
    pub fn reset(&self) {
        // A site is in the table before its first instance is in the ledger.
        self.ledger.reset(|site| self.stacks.kind(site));
        self.ended_again.clear();
        Kind::ALL.iter().for_each(|kind| self.ended_unknown.get(*kind).store(0, Ordering::Relaxed));
        self.note(|gaps| {
            *gaps = Gaps { missing_hooks: std::mem::take(&mut gaps.missing_hooks), ..Gaps::default() }
        });
    }

    /// `end()` of a followed instance. False if another thread ended it just before.
    pub fn ended(&self, id: InstanceId, by: Actor, now: Nanos) -> bool {
        self.ledger.ended(id, by, now)
    }

    /// Who ends again, by a stack that did so before.
    pub fn ender(&self, kind: Kind, key: StackKey) -> Option<SiteId> {
        self.enders.site(kind, key)
    }

    /// Takes the stack of one who ends again, not seen before under this key.
    pub fn learn_ender(&self, kind: Kind, key: StackKey, stack: Stack) -> SiteId {
        self.enders.learn(kind, key, stack)
    }

    /// `end()` by the program of an instance that was ended before.
    pub fn ended_again(&self, ender: SiteId) {
        *self.ended_again.entry(ender).or_default() += 1;
    }

    /// `end()` of an open instance that was made before the agent was armed.
    pub fn ended_unknown(&self, kind: Kind) {
        self.ended_unknown.get(kind).fetch_add(1, Ordering::Relaxed);
    }

    /// The collector freed a followed instance.
    pub fn freed(&self, id: InstanceId, now: Nanos) {
        self.ledger.freed(id, now);
    }

    /// A batch of `freed` is through.
    pub fn settle(&self) {
        self.ledger.shrink();
    }

    /// The oldest live instances of each of these sites, so many at most.
    pub fn oldest(&self, stable_ids: &[u64], most: usize) -> Vec<(u64, Vec<InstanceId>)> {
        let sites: Vec<_> = stable_ids.iter().filter_map(|id| Some((*id, self.stacks.find(*id)?))).collect();
        let mut found = self.ledger.oldest(sites.iter().map(|(_, site)| *site), most);
        sites.into_iter().filter_map(|(id, site)| Some((id, found.remove(&site)?))).collect()
    }

    /// An event was not counted.
    pub fn dropped(&self, reason: &'static str) {
        self.note(|gaps| *gaps.dropped.entry(reason.into()).or_default() += 1);
    }

    /// A stack or a name could not be read.
    pub fn unreadable(&self, reason: &'static str) {
        self.note(|gaps| *gaps.unreadable.entry(reason.into()).or_default() += 1);
    }

    /// Which hooks of one class are not in place; replaces what was known of that class (text begins with it).
    pub fn hooks_missing(&self, class: &str, missing: Vec<String>) {
        self.note(|gaps| {
            gaps.missing_hooks.retain(|known| !known.starts_with(class));
            gaps.missing_hooks.extend(missing);
        });
    }

    /// What the preparation of the next report could not do.
    pub fn unsettled(&self, reason: Option<String>) {
        self.note(|gaps| gaps.unsettled = reason);
    }

    fn note(&self, change: impl FnOnce(&mut Gaps)) {
        change(&mut self.gaps.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Copies out everything. Live instances younger than `min_age` are told apart.
    pub fn snapshot(&self, taken: Nanos, min_age: Duration) -> Snapshot {
        // The table first: a site always comes before its first instance.
        let (sites, overflowed) = self.stacks.all();
        let min_age = u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX);
        let young_since = (min_age > 0).then(|| Nanos(taken.0.saturating_sub(min_age)));
        let (tallies, adopted) = self.ledger.tally(sites.len(), young_since);
        let unknown = |kind| self.ended_unknown.get(kind).load(Ordering::Relaxed);
        let (enders, _) = self.enders.all();
        let again = |at: usize| {
            let id = SiteId(u32::try_from(at).unwrap_or(u32::MAX));
            self.ended_again.get(&id).map(|times| *times)
        };
        Snapshot {
            taken,
            sites: sites
                .into_iter()
                .zip(tallies)
                .filter(|(_, tally)| tally.counts.created > 0 || !tally.adds_up())
                .map(|(site, tally)| SiteTally { site, tally })
                .collect(),
            ended_again: enders
                .into_iter()
                .enumerate()
                .filter_map(|(at, site)| Some((site, again(at)?)))
                .collect(),
            ended_unknown: PerKind { inflater: unknown(Kind::Inflater), deflater: unknown(Kind::Deflater) },
            adopted,
            overflowed,
            gaps: self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Frame, Role};

    #[test]
    fn a_life_is_told_whole() {
        let session = Session::default();
        let frame = Frame { class: "a.B".into(), method: "c".into(), file: None, line: None };
        let stack = Stack { frames: vec![frame], truncated: false, subclass: None };
        assert_eq!(session.site(Kind::Inflater, StackKey(5)), None);
        let site = session.learn(Kind::Inflater, StackKey(5), stack.clone());
        let main = Actor { thread: ThreadId(1), role: Role::Program };
        let (first, second) = (session.id(main.thread), session.id(main.thread));
        assert!(session.created(first, site, main.thread, Nanos(1)));
        assert!(!session.created(second, site, main.thread, Nanos(2)));
        session.dropped("no tag");
        assert!(session.ended(first, main, Nanos(3)));
        assert!(!session.ended(first, main, Nanos(4)));
        assert_eq!(session.ender(Kind::Inflater, StackKey(5)), None, "who ends is not who made it");
        session.ended_again(session.learn_ender(Kind::Inflater, StackKey(5), stack));
        session.ended_again(session.ender(Kind::Inflater, StackKey(5)).unwrap());
        let id = session.snapshot(Nanos(4), Duration::ZERO).sites[0].site.stable_id;
        assert_eq!(session.oldest(&[!id, id], 9), [(id, vec![second])]);
        session.freed(second, Nanos(5));
        let snapshot = session.snapshot(Nanos(6), Duration::ZERO);
        let counts = snapshot.sites[0].tally.counts;
        assert_eq!((counts.created, counts.ended, counts.collected), (2, 1, 1));
        assert_eq!(snapshot.ended_again.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [2]);
        assert_eq!(snapshot.gaps.dropped, BTreeMap::from([("no tag".into(), 1)]));
        assert!(snapshot.sites[0].tally.adds_up());
        session.reset();
        assert!(session.snapshot(Nanos(7), Duration::ZERO).ended_again.is_empty());
    }

    #[test]
    fn hooks_found_later_are_no_longer_missing() {
        let session = Session::default();
        session.hooks_missing("java.util.zip.Inflater", vec!["java.util.zip.Inflater.end()".into()]);
        session.hooks_missing("java.util.zip.Deflater", vec!["java.util.zip.Deflater.end()".into()]);
        session.hooks_missing("java.util.zip.Inflater", vec![]);
        let missing = session.snapshot(Nanos(0), Duration::ZERO).gaps.missing_hooks;
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["java.util.zip.Deflater.end()"]);
    }
}
