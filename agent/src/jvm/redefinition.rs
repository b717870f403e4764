//! Classes that other agents and debuggers redefine: when a new version of a class replaces an old one.
//!
//! A new version keeps the method ids of the old one, but not the lines: what was cached by method id
//! before is wrong afterwards. So the number of versions so far is part of every key (`capture`).
//!
//! ClassFileLoadHook comes first; the new version is installed later, at a safepoint, or never if
//! something is wrong with it. No event says when. But in the same safepoint HotSpot increments
//! `java.lang.Class.classRedefinedCount` (JDK 8 to 28): from the hook until then this field is read
//! with every stack. Hence a stack whose version is read first and captured afterwards never finds
//! the site of an older version: either the number had changed, or the frames, which were there
//! before the new version was, are of the old one.
//!
//! Roles by method id (`thread::Parts`) stay: they depend on names, which an id keeps.
//!
//! Invariants: the version never goes back. No lock is held around JNI: a debugger may suspend a
//! thread there, and then redefine a class.

use super::agent::Agent;
use super::env::{jclass, jint};
use super::jni::{Jni, jfieldID, jweak};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// What is not installed this long after its hook has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Classes that are watched at once: a tool that retransforms all that it knows stays below.
const MOST: usize = 1_024;

/// The redefinitions of one audit.
#[derive(Default)]
pub(super) struct Redefinitions(ArcSwap<Table<Arc<Watched>>>);

/// A weak reference: a redefinition that fails keeps no class alive.
struct Watched(jweak);

// SAFETY: weak global references are valid on every thread (JNI, "Weak Global References").
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    /// How often this class was redefined. None if it was unloaded.
    fn count(&self, jni: Jni, field: jfieldID) -> Option<jint> {
        let class = jni.local(self.0)?;
        let count = jni.int_field(class, field);
        jni.delete_local(class);
        Some(count)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // On the thread that used it last: a hook's, or the one that disarms.
        if let Some(jni) = Agent::get().and_then(Agent::jni) {
            jni.delete_weak(self.0);
        }
    }
}

impl Redefinitions {
    /// The version of all that is loaded, now.
    #[inline]
    pub(super) fn version(&self, jni: Jni, field: Option<jfieldID>) -> u64 {
        let table = self.0.load();
        match field {
            Some(field) if !table.coming.is_empty() => self.look(&table, jni, field),
            _ => table.settled,
        }
    }

    #[cold]
    fn look(&self, table: &Table<Arc<Watched>>, jni: Jni, field: jfieldID) -> u64 {
        let now = Instant::now();
        let count = |class: &Arc<Watched>| class.count(jni, field);
        let (version, settled) = table.version(now, count);
        if settled {
            self.0.rcu(|table| table.settle(now, count));
        }
        version
    }

    /// A new version of `class` is on its way.
    pub(super) fn begins(&self, jni: Jni, field: Option<jfieldID>, class: jclass) {
        let watched = field.zip(jni.weak(class).map(|weak| Arc::new(Watched(weak))));
        let Some((field, watched)) = watched else {
            // When it is installed cannot be known: what was cached until now goes.
            self.0.rcu(|table| Table { settled: table.settled + 1, coming: table.coming.clone() });
            return;
        };
        let now = Instant::now();
        let is_class = |known: &Arc<Watched>| jni.same(known.0, class);
        self.0.rcu(|table| table.expect(now, &watched, is_class, |known| known.count(jni, field)));
    }
}

/// What is on its way. `C` is how a class is known.
struct Table<C> {
    /// Versions of classes that are not in the table any more.
    settled: u64,
    coming: Vec<Coming<C>>,
}

#[derive(Clone)]
struct Coming<C> {
    class: C,
    /// The class's count when it came into the table.
    begun: jint,
    /// How often it was incremented since, as far as is known.
    installed: Arc<AtomicI32>,
    /// How often it is to be.
    wanted: jint,
    /// The last hook.
    since: Instant,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Table { settled: 0, coming: Vec::new() }
    }
}

impl<C: Clone> Table<C> {
    /// The version, and whether one of the classes need not be watched any more.
    fn version(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> (u64, bool) {
        self.coming.iter().fold((self.settled, false), |(version, settled), coming| {
            let (installed, over) = coming.look(now, &count);
            (version + installed, settled || over.is_some())
        })
    }

    /// With one more version of a class on its way.
    fn expect(
        &self,
        now: Instant,
        class: &C,
        is_class: impl Fn(&C) -> bool,
        count: impl Fn(&C) -> Option<jint>,
    ) -> Self {
        let mut table = Table { settled: self.settled, coming: self.coming.clone() };
        if let Some(coming) = table.coming.iter_mut().find(|coming| is_class(&coming.class)) {
            coming.look(now, &count);
            // A superclass that is redefined increments the count as well.
            let installed = coming.installed.load(Ordering::Relaxed);
            coming.wanted = coming.wanted.max(installed).saturating_add(1);
            coming.since = now;
            return table;
        }
        if table.coming.len() >= MOST {
            let oldest = table.coming.remove(0);
            table.settled += oldest.look(now, &count).0 + 1;
        }
        let Some(begun) = count(class) else { return table };
        let (class, installed) = (class.clone(), Arc::default());
        table.coming.push(Coming { class, begun, installed, wanted: 1, since: now });
        table
    }

    /// Without what is over.
    fn settle(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> Self {
        let mut table = Table { settled: self.settled, coming: Vec::new() };
        for coming in &self.coming {
            match coming.look(now, &count) {
                (_, None) => table.coming.push(coming.clone()),
                (installed, Some(more)) => table.settled += installed + more,
            }
        }
        table
    }
}

impl<C> Coming<C> {
    /// Versions installed so far; and if there is nothing more to watch, how many are to be added for
    /// what cannot be known.
    fn look(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> (u64, Option<u64>) {
        let counted = count(&self.class).map(|count| count.wrapping_sub(self.begun).max(0));
        let known = counted.unwrap_or(0);
        let installed = self.installed.fetch_max(known, Ordering::Relaxed).max(known);
        let over = match counted {
            Some(_) if installed >= self.wanted => Some(0),
            Some(_) if now.saturating_duration_since(self.since) < PATIENCE => None,
            _ => Some(1),
        };
        (u64::from(installed.unsigned_abs()), over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of classes by number; a negative one is of a class that was unloaded.
    fn count(counts: &[jint]) -> impl Fn(&usize) -> Option<jint> + Copy {
        move |class| Some(counts[*class]).filter(|count| *count >= 0)
    }

    fn expect(table: Table<usize>, class: usize, counts: &[jint]) -> Table<usize> {
        table.expect(Instant::now(), &class, |known| *known == class, count(counts))
    }

    /// The version, and the classes that are watched then.
    fn look(table: &mut Table<usize>, after: Duration, counts: &[jint]) -> (u64, Vec<usize>) {
        let now = Instant::now() + after;
        let (version, settled) = table.version(now, count(counts));
        if settled {
            *table = table.settle(now, count(counts));
        }
        (version, table.coming.iter().map(|coming| coming.class).collect())
    }

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_version_begins_when_it_is_installed() {
        let mut table = expect(Table::default(), 0, &[7, 0]);
        table = expect(table, 1, &[7, 0]);
        assert_eq!(look(&mut table, NOW, &[7, 0]), (0, vec![0, 1]));
        assert_eq!(look(&mut table, NOW, &[8, 0]), (1, vec![1]));
        assert_eq!(look(&mut table, NOW, &[9, 0]), (1, vec![1]), "it is watched no more");
        assert_eq!(look(&mut table, NOW, &[9, 1]), (2, vec![]));
        assert_eq!(look(&mut table, NOW, &[9, 1]), (2, vec![]));
    }

    #[test]
    fn two_at_once_are_two_versions() {
        let mut table = expect(Table::default(), 0, &[7]);
        table = expect(table, 0, &[7]);
        assert_eq!(look(&mut table, NOW, &[8]), (1, vec![0]));
        // It was installed, and its superclass redefined beside it, before the next one begins.
        table = expect(table, 0, &[10]);
        assert_eq!(look(&mut table, NOW, &[10]), (3, vec![0]));
        assert_eq!(look(&mut table, NOW, &[11]), (4, vec![]));
    }

    #[test]
    fn what_fails_or_is_unloaded_is_watched_no_more() {
        let mut table = expect(expect(Table::default(), 0, &[0, 0]), 1, &[0, 0]);
        assert_eq!(look(&mut table, NOW, &[0, 1]), (1, vec![0]));
        table = expect(table, 1, &[0, 1]);
        assert_eq!(look(&mut table, NOW, &[0, -1]), (1, vec![0]));
        assert_eq!(look(&mut table, NOW, &[0, -1]), (2, vec![0]), "never a version from before");
        assert_eq!(look(&mut table, PATIENCE, &[0, -1]), (2, vec![]));
        assert_eq!(look(&mut table, PATIENCE, &[1, -1]), (3, vec![]));
    }

    #[test]
    fn a_full_table_drops_the_oldest_and_goes_on() {
        let counts = [0; MOST + 1];
        let mut table = (0..=MOST).fold(Table::default(), |table, class| expect(table, class, &counts));
        let (version, watched) = look(&mut table, NOW, &counts);
        assert_eq!((version, watched.len(), watched[0]), (1, MOST, 1));
    }
}
