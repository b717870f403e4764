//! Redefinitions of classes by other agents and debuggers: when a new version of a class replaces
//! the old one.
//!
//! A new version keeps the method ids of the old one, but not the lines, so that data cached by
//! method id becomes wrong. Therefore the number of versions so far is part of every key
//! of a stack (`observe::stack`).
//!
//! ClassFileLoadHook comes first; the new version is installed later, at a safepoint, or never if
//! it is invalid. No event reports when. But in the same safepoint HotSpot increments
//! `java.lang.Class.classRedefinedCount` (JDK 8 to 28): from the hook until then the agent reads
//! this field with every stack. Hence a stack whose version is read first and captured afterwards
//! never finds the site of an older version: either the number had changed, or the frames, which
//! were there before the new version was, are of the old one.
//!
//! Roles by method id (`frame_roles::FrameRoles`) stay: they depend on names, which an id keeps.
//!
//! Invariants: the version never decreases. No lock is held around JNI: a debugger may suspend a
//! thread there, and then redefine a class.

use crate::sys::jni::{Jni, jfieldID, jweak};
use crate::sys::jvmti::{jclass, jint};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// A version that is not installed within this time counts as failed.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How many classes are watched at once.
const MAX_WATCHED: usize = 64;

/// How many classes of one thread are watched at once: the last ones. All classes of one call are
/// installed in the same safepoint, and a call may name every class there is; the last of them
/// stand for the others.
const MAX_WATCHED_PER_THREAD: usize = 8;

/// The redefinitions of one audit.
#[derive(Default)]
pub(crate) struct Redefinitions {
    table: ArcSwap<Table<Arc<Watched>>>,
    /// What hooks read: the number of versions if none is pending, else [`PENDING`].
    settled: AtomicU64,
    /// Held where `settled` is written.
    publishing: Mutex<()>,
}

/// A version is pending.
const PENDING: u64 = u64::MAX;

/// A weak reference, so that a failed redefinition keeps no class alive.
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

    /// What this class is to another one.
    fn relation(&self, jni: Jni, class: jclass) -> Relation {
        let Some(own) = jni.local(self.0) else { return Relation::None };
        let relation = match () {
            () if jni.same(own, class) => Relation::Same,
            () if jni.is_assignable(own, class) => Relation::Subclass,
            () if jni.is_assignable(class, own) => Relation::Superclass,
            () => Relation::None,
        };
        jni.delete_local(own);
        relation
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Runs on the thread that used it last: a hook's, or the one that disarms.
        if let Some(jni) = Jni::of_this_thread() {
            jni.delete_weak(self.0);
        }
    }
}

impl Redefinitions {
    /// The number of versions installed so far.
    #[inline]
    pub(crate) fn version(&self, jni: Jni, field: Option<jfieldID>) -> u64 {
        let table = self.table.load();
        match field {
            Some(field) if !table.pending.is_empty() => self.poll(&table, jni, field),
            _ => table.installed,
        }
    }

    /// The same without a call into the JVM. None while a version is being installed.
    #[inline]
    pub(crate) fn settled(&self) -> Option<u64> {
        let settled = self.settled.load(Ordering::Acquire);
        (settled != PENDING).then_some(settled)
    }

    /// Replaces the table, and tells hooks.
    fn update(&self, table: impl Fn(&Table<Arc<Watched>>) -> Table<Arc<Watched>>) {
        self.table.rcu(|before| table(before));
        // The last one to come here sees the last table.
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        let settled = if table.pending.is_empty() { table.installed } else { PENDING };
        self.settled.store(settled, Ordering::Release);
    }

    #[cold]
    fn poll(&self, table: &Table<Arc<Watched>>, jni: Jni, field: jfieldID) -> u64 {
        let now = Instant::now();
        let count = |class: &Arc<Watched>| class.count(jni, field);
        let (version, any_done) = table.version(now, count);
        if any_done {
            self.update(|table| table.without_done(now, count));
        }
        version
    }

    /// A new version of `class` will be installed.
    pub(crate) fn begins(&self, jni: Jni, field: Option<jfieldID>, class: jclass) {
        let watched = field.zip(jni.weak(class).map(|weak| Arc::new(Watched(weak))));
        let Some((field, watched)) = watched else {
            // The moment of the installation cannot be detected: drop everything cached so far.
            self.update(|table| Table {
                installed: table.installed + 1,
                pending: table.pending.clone(),
            });
            return;
        };
        let (now, caller) = (Instant::now(), std::thread::current().id());
        let relation = |known: &Arc<Watched>| known.relation(jni, class);
        self.update(|table| {
            table.expect((now, caller), &watched, relation, |it| it.count(jni, field))
        });
    }
}

/// What a class in the table is to the class that gets a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Same,
    Subclass,
    Superclass,
    None,
}

/// The pending redefinitions. `C` identifies a class.
struct Table<C> {
    /// Versions of classes that are no longer in the table.
    installed: u64,
    pending: Vec<Pending<C>>,
}

#[derive(Clone)]
struct Pending<C> {
    class: C,
    /// The class's count when it was added to the table.
    begun: jint,
    /// How many installations were seen since, so far.
    installed: Arc<AtomicI32>,
    /// How many installations are expected: its own, and those of its superclasses, which increment
    /// the count as well.
    expected: jint,
    /// The thread that made the last request.
    caller: ThreadId,
    /// The time of the last hook.
    since: Instant,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Table { installed: 0, pending: Vec::new() }
    }
}

impl<C: Clone> Table<C> {
    /// The version, and whether one of the classes need not be watched any more.
    fn version(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> (u64, bool) {
        self.pending.iter().fold((self.installed, false), |(version, any_done), pending| {
            let (installed, done) = pending.poll(now, &count);
            (version + installed, any_done || done.is_some())
        })
    }

    /// The table with one more pending version of a class.
    fn expect(
        &self,
        (now, caller): (Instant, ThreadId),
        class: &C,
        relation: impl Fn(&C) -> Relation,
        count: impl Fn(&C) -> Option<jint>,
    ) -> Self {
        let mut table = Table { installed: self.installed, pending: self.pending.clone() };
        let (mut known, mut expected) = (false, 1);
        for pending in &mut table.pending {
            pending.poll(now, &count);
            let installed = pending.installed.load(Ordering::Relaxed);
            match relation(&pending.class) {
                Relation::Same => (known, pending.caller) = (true, caller),
                Relation::Subclass => {}
                // Its outstanding installations will increment this class's count as well.
                Relation::Superclass => {
                    expected += (pending.expected - installed).max(0);
                    continue;
                }
                Relation::None => continue,
            }
            pending.expected = pending.expected.max(installed).saturating_add(1);
            pending.since = now;
        }
        let Some(begun) = count(class).filter(|_| !known) else { return table };
        let of_caller = |pending: &Pending<C>| pending.caller == caller;
        let full =
            table.pending.iter().filter(|it| of_caller(it)).count() >= MAX_WATCHED_PER_THREAD;
        let oldest = match full {
            true => table.pending.iter().position(of_caller),
            false => (table.pending.len() >= MAX_WATCHED).then_some(0),
        };
        if let Some(oldest) = oldest {
            let oldest = table.pending.remove(oldest);
            table.installed += oldest.poll(now, &count).0 + 1;
        }
        let (class, installed) = (class.clone(), Arc::default());
        table.pending.push(Pending { class, begun, installed, expected, caller, since: now });
        table
    }

    /// The table without the redefinitions that are done.
    fn without_done(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> Self {
        let mut table = Table { installed: self.installed, pending: Vec::new() };
        for pending in &self.pending {
            match pending.poll(now, &count) {
                (_, None) => table.pending.push(pending.clone()),
                (installed, Some(more)) => table.installed += installed + more,
            }
        }
        table
    }
}

impl<C> Pending<C> {
    /// Versions installed so far; and, if there is nothing more to watch, how many to add for
    /// installations that cannot be observed.
    fn poll(&self, now: Instant, count: impl Fn(&C) -> Option<jint>) -> (u64, Option<u64>) {
        let counted = count(&self.class).map(|count| count.wrapping_sub(self.begun).max(0));
        let known = counted.unwrap_or(0);
        let installed = self.installed.fetch_max(known, Ordering::Relaxed).max(known);
        let done = match counted {
            Some(_) if installed >= self.expected => Some(0),
            Some(_) if now.saturating_duration_since(self.since) < INSTALL_TIMEOUT => None,
            _ => Some(1),
        };
        (u64::from(installed.unsigned_abs()), done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of classes by number; a negative one is of a class that was unloaded.
    fn count(counts: &[jint]) -> impl Fn(&usize) -> Option<jint> + Copy {
        move |class| Some(counts[*class]).filter(|count| *count >= 0)
    }

    /// Classes 8 and 9 are the superclass of 0 and of nothing.
    fn expect(table: Table<usize>, class: usize, counts: &[jint]) -> Table<usize> {
        let relation = |known: &usize| match (*known, class) {
            (known, class) if known == class => Relation::Same,
            (0, 8) => Relation::Subclass,
            (8, 0) => Relation::Superclass,
            _ => Relation::None,
        };
        table.expect((Instant::now(), std::thread::current().id()), &class, relation, count(counts))
    }

    #[test]
    fn what_a_superclass_adds_is_not_taken_for_the_class_s_own() {
        let counts = |sub, base| [sub, 0, 0, 0, 0, 0, 0, 0, base, 0];
        // Whichever is first on its way, and whichever is installed first.
        for (first, second) in [(0, 8), (8, 0)] {
            let table =
                || expect(expect(Table::default(), first, &counts(3, 0)), second, &counts(3, 0));
            let mut table_of_base_first = table();
            assert_eq!(look(&mut table_of_base_first, NOW, &counts(4, 1)).1, [0], "{first}");
            assert_eq!(look(&mut table_of_base_first, NOW, &counts(5, 1)).1, [0; 0], "{first}");
            let mut table_of_sub_first = table();
            assert_eq!(look(&mut table_of_sub_first, NOW, &counts(4, 0)).1.len(), 2, "{first}");
            assert_eq!(look(&mut table_of_sub_first, NOW, &counts(5, 1)).1, [0; 0], "{first}");
        }
    }

    /// The version, and the classes that are watched then.
    fn look(table: &mut Table<usize>, after: Duration, counts: &[jint]) -> (u64, Vec<usize>) {
        let now = Instant::now() + after;
        let (version, any_done) = table.version(now, count(counts));
        if any_done {
            *table = table.without_done(now, count(counts));
        }
        (version, table.pending.iter().map(|pending| pending.class).collect())
    }

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_version_begins_when_it_is_installed() {
        let mut table = expect(Table::default(), 0, &[7, 0]);
        table = expect(table, 1, &[7, 0]);
        assert_eq!(look(&mut table, NOW, &[7, 0]), (0, vec![0, 1]));
        assert_eq!(look(&mut table, NOW, &[8, 0]), (1, vec![1]));
        assert_eq!(look(&mut table, NOW, &[9, 0]), (1, vec![1]), "it is no longer watched");
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
    fn what_fails_or_is_unloaded_is_no_longer_watched() {
        let mut table = expect(expect(Table::default(), 0, &[0, 0]), 1, &[0, 0]);
        assert_eq!(look(&mut table, NOW, &[0, 1]), (1, vec![0]));
        table = expect(table, 1, &[0, 1]);
        assert_eq!(look(&mut table, NOW, &[0, -1]), (1, vec![0]));
        assert_eq!(look(&mut table, NOW, &[0, -1]), (2, vec![0]), "never an earlier version");
        assert_eq!(look(&mut table, INSTALL_TIMEOUT, &[0, -1]), (2, vec![]));
        assert_eq!(look(&mut table, INSTALL_TIMEOUT, &[1, -1]), (3, vec![]));
    }

    #[test]
    fn the_last_classes_of_a_thread_stand_for_all_of_its_call() {
        let counts = [0; 20];
        let mut table =
            (10..20).fold(Table::default(), |table, class| expect(table, class, &counts));
        let (version, watched) = look(&mut table, NOW, &counts);
        assert_eq!((version, watched), (2, (12..20).collect()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn a_full_table_drops_the_oldest_and_goes_on() {
        let counts = [0; MAX_WATCHED + 30];
        let by_itself = |table: Table<usize>, class: usize| {
            std::thread::scope(|scope| {
                scope.spawn(|| expect(table, class, &counts)).join().unwrap()
            })
        };
        let mut table = (10..=10 + MAX_WATCHED).fold(Table::default(), by_itself);
        let (version, watched) = look(&mut table, NOW, &counts);
        assert_eq!((version, watched.len(), watched[0]), (1, MAX_WATCHED, 11));
    }
}
