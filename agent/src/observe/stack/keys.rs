//! The cache from the keys of stacks to sites: it neither allocates nor locks.
//!
//! The walk's keys die with the code that they are of, so old ones must go: a new key replaces the
//! one in its set that was entered or confirmed longest ago. The cache grows, up to a limit, where
//! that happens often. Invariants: a look-up returns what was entered for that key, or nothing; it
//! writes nothing.

use super::walk::WalkKey;
use crate::sys::sync;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use zaudit_core::model::SiteId;

/// The keys of all audits: 32 MiB, which cost nothing before they are used. All of it is zero at
/// first, or they would be in the library's file.
pub(super) static KEYS: Keys<{ 1 << 19 }> = Keys::new();

/// How many keys a set has: as many as fit into a cache line.
const WAYS: usize = 4;

/// Sets in use at first: 1 MiB.
const FIRST_SETS: usize = 1 << 14;

/// The cache grows if one of this number of its keys is replaced within [`WINDOW_NANOS`]. Keys die
/// with their code more slowly.
const REPLACED: usize = 32;
const WINDOW_NANOS: u64 = 10_000_000_000;

/// A cache of `4 * SETS` keys at most; `SETS` is a power of two.
pub(super) struct Keys<const SETS: usize> {
    sets: [Set; SETS],
    /// How often the number of sets in use has doubled.
    doublings: AtomicU32,
    /// How many sets may be in use; 0 means all.
    limit: AtomicUsize,
    /// The number of entries made so far: their age.
    entered: AtomicU32,
    /// Keys that were replaced since the window began.
    replaced: AtomicUsize,
    /// When that was.
    window: AtomicU64,
    growing: AtomicBool,
}

#[repr(align(64))]
struct Set([Entry; WAYS]);

/// Written without a lock: a reader that finds the halves of two entries takes neither, because
/// they do not give its key.
struct Entry {
    /// Key XOR value.
    check: sync::AtomicU64,
    /// The site, and above it when it was entered. 0 if the entry is free.
    value: sync::AtomicU64,
}

impl<const SETS: usize> Keys<SETS> {
    pub(super) const fn new() -> Self {
        const { assert!(SETS.is_power_of_two()) };
        Keys {
            sets: [const { Set([const { Entry::FREE }; WAYS]) }; SETS],
            doublings: AtomicU32::new(0),
            limit: AtomicUsize::new(0),
            entered: AtomicU32::new(0),
            replaced: AtomicUsize::new(0),
            window: AtomicU64::new(0),
            growing: AtomicBool::new(false),
        }
    }

    /// From now on the cache takes no more than about this number of bytes, if it does not already.
    pub(super) fn limit(&self, bytes: usize) {
        let sets = (bytes / size_of::<Set>()).clamp(1, SETS);
        // The power of two at or below it.
        self.limit.store(1 << sets.ilog2(), Ordering::Relaxed);
    }

    /// How many sets are in use, a power of two.
    fn in_use(&self) -> usize {
        let first = const { if SETS < FIRST_SETS { SETS } else { FIRST_SETS } };
        first << self.doublings.load(Ordering::Relaxed)
    }

    fn set(&self, key: WalkKey) -> &[Entry] {
        let index = key.index(self.in_use());
        self.sets.get(index).map_or(&[], |set| &set.0)
    }

    /// The site of a key.
    #[inline]
    pub(super) fn get(&self, key: WalkKey) -> Option<SiteId> {
        self.set(key).iter().find_map(|entry| entry.get(key))
    }

    /// Enters a key, or makes it young again. `now` is the time in nanoseconds.
    pub(super) fn enter(&self, key: WalkKey, site: SiteId, now: u64) {
        let age_now = self.entered.fetch_add(1, Ordering::Relaxed).max(1);
        let age = |entry: &&Entry| {
            let value = entry.value.load(Ordering::Relaxed);
            let free_or_own = value == 0 || entry.get(key).is_some();
            if free_or_own { u32::MAX } else { age_now.wrapping_sub((value >> 32) as u32) }
        };
        let Some(entry) = self.set(key).iter().max_by_key(age) else { return };
        let replaces = age(&entry) != u32::MAX;
        entry.put(key, u64::from(age_now) << 32 | u64::from(site.0));
        if replaces {
            self.count_replaced(now);
        }
    }

    #[cold]
    fn count_replaced(&self, now: u64) {
        if now.saturating_sub(self.window.load(Ordering::Relaxed)) > WINDOW_NANOS {
            self.window.store(now, Ordering::Relaxed);
            self.replaced.store(0, Ordering::Relaxed);
        }
        let replaced = self.replaced.fetch_add(1, Ordering::Relaxed);
        if replaced >= self.in_use() * WAYS / REPLACED {
            self.grow();
        }
    }

    /// Doubles the sets in use, unless the limit is reached.
    fn grow(&self) {
        let (sets, limit) = (self.in_use(), self.limit.load(Ordering::Relaxed));
        let limit = if limit == 0 { SETS } else { limit };
        if sets >= limit || self.growing.swap(true, Ordering::Acquire) {
            return;
        }
        if self.in_use() == sets
            && let Some((lower, upper)) = self.sets.split_at_checked(sets)
        {
            // A key stays in its set, or moves by the number of old sets.
            for (from, to) in lower.iter().zip(upper) {
                for (from, to) in from.0.iter().zip(&to.0) {
                    let (key, value) = from.read();
                    if value != 0 && key.index(2 * sets) != key.index(sets) {
                        to.put(key, value);
                        from.put(WalkKey(0), 0);
                    }
                }
            }
            self.doublings.fetch_add(1, Ordering::Release);
            self.replaced.store(0, Ordering::Relaxed);
        }
        self.growing.store(false, Ordering::Release);
    }
}

impl WalkKey {
    /// The set of a key, of this number.
    #[inline(always)]
    fn index(self, sets: usize) -> usize {
        (self.0 >> 32) as usize & (sets - 1)
    }
}

impl Entry {
    #[expect(clippy::declare_interior_mutable_const, reason = "the initial value of many entries")]
    const FREE: Entry = Entry { check: sync::AtomicU64::new(0), value: sync::AtomicU64::new(0) };

    /// The key and the value. If another thread is writing, the key is that of no stack.
    #[inline(always)]
    fn read(&self) -> (WalkKey, u64) {
        let value = self.value.load(Ordering::Relaxed);
        (WalkKey(self.check.load(Ordering::Relaxed) ^ value), value)
    }

    #[inline(always)]
    fn get(&self, key: WalkKey) -> Option<SiteId> {
        let (found, value) = self.read();
        (found == key && value != 0).then_some(SiteId(value as u32))
    }

    fn put(&self, key: WalkKey, value: u64) {
        self.value.store(value, Ordering::Relaxed);
        self.check.store(key.0 ^ value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// Keys of one set.
    fn of_set(number: u64) -> WalkKey {
        WalkKey(3 << 32 | number)
    }

    #[test]
    fn the_oldest_key_of_a_set_is_replaced() {
        let keys: Keys<8> = Keys::new();
        assert_eq!(keys.get(WalkKey(0)), None, "a free entry is no key");
        for number in 0..4 {
            keys.enter(of_set(number), SiteId(number as u32), 0);
        }
        keys.enter(WalkKey(4 << 32), SiteId(100), 0);
        // The first key was confirmed, so that the second is the oldest.
        keys.enter(of_set(0), SiteId(0), 0);
        keys.enter(of_set(4), SiteId(4), 0);
        let found: Vec<_> = (0..5).map(|number| keys.get(of_set(number)).map(|it| it.0)).collect();
        assert_eq!(found, [Some(0), None, Some(2), Some(3), Some(4)]);
        assert_eq!(keys.get(WalkKey(4 << 32)), Some(SiteId(100)), "other sets keep theirs");
    }

    #[test]
    fn the_last_site_of_a_key_counts() {
        let keys: Keys<8> = Keys::new();
        keys.enter(of_set(7), SiteId(1), 0);
        keys.enter(of_set(7), SiteId(2), 0);
        assert_eq!(keys.get(of_set(7)), Some(SiteId(2)));
        let of_key = keys.set(of_set(7)).iter().filter(|entry| entry.get(of_set(7)).is_some());
        assert_eq!(of_key.count(), 1);
    }

    /// Mixed as keys are.
    fn mixed(number: usize) -> WalkKey {
        let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        WalkKey((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9))
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn the_cache_grows_where_many_keys_are_in_use() {
        static GROWING: Keys<{ FIRST_SETS * 8 }> = Keys::new();
        let many = FIRST_SETS * WAYS * 2;
        let mut now = 0;
        let mut enter_all = |nanos: u64| {
            now += WINDOW_NANOS;
            for number in 0..many {
                now += nanos;
                if GROWING.get(mixed(number)).is_none() {
                    GROWING.enter(mixed(number), SiteId(number as u32), now);
                }
            }
        };
        let missing = || (0..many).filter(|n| GROWING.get(mixed(*n)).is_none()).count();
        let in_use = || GROWING.in_use();
        GROWING.limit(size_of::<Set>() * FIRST_SETS);
        (0..4).for_each(|_| enter_all(1));
        assert!(in_use() == FIRST_SETS && missing() > many / 4, "the limit holds");
        GROWING.limit(usize::MAX);
        // So slowly that the keys may be those of code that is gone.
        (0..4).for_each(|_| enter_all(WINDOW_NANOS / 1_000));
        assert_eq!(in_use(), FIRST_SETS);
        (0..8).for_each(|_| enter_all(1));
        assert!(in_use() > FIRST_SETS && missing() < many / 100, "{} missing", missing());
        let right = |number| GROWING.get(mixed(number)).is_none_or(|site| site.0 == number as u32);
        assert!((0..many).all(right));
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn a_million_keys_fit() {
        static MANY: Keys<{ 1 << 19 }> = Keys::new();
        for number in 0..1_000_000 {
            MANY.enter(mixed(number), SiteId(number as u32), number as u64 * 25_000);
        }
        let missing = (0..1_000_000).filter(|n| MANY.get(mixed(*n)).is_none()).count();
        assert!(missing < 150_000, "{missing} missing");
    }

    /// The site that belongs to a key in the test below.
    fn site_of(key: WalkKey) -> SiteId {
        SiteId((key.0 ^ key.0 >> 32).wrapping_mul(0x9e37_79b9) as u32)
    }

    #[test]
    fn readers_never_find_the_site_of_another_key() {
        static SHARED: Keys<4> = Keys::new();
        let done = AtomicBool::new(false);
        // Mixed keys of few sets, as keys are.
        let key = |number: u64| WalkKey(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let found = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3_u64)
                .map(|reader| {
                    let done = &done;
                    scope.spawn(move || {
                        let (mut found, mut number) = (0_u64, reader);
                        while !done.load(Ordering::Relaxed) || found == 0 {
                            number = (number + 1) % 64;
                            if let Some(site) = SHARED.get(key(number)) {
                                assert_eq!(site, site_of(key(number)));
                                found += 1;
                            }
                        }
                        found
                    })
                })
                .collect();
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for number in 0..if cfg!(miri) { 200 } else { 400_000 } {
                            SHARED.enter(key(number % 64), site_of(key(number % 64)), 0);
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Relaxed);
            readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>()
        });
        assert!(found > 0);
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use loom::thread::spawn;
    use std::rc::Rc;

    /// An entry that has a key, while another one replaces it and the cache grows.
    #[test]
    fn no_reader_finds_the_site_of_another_key() {
        const KNOWN: [(WalkKey, u64); 2] = [
            (WalkKey(0x9e37_79b9_7f4a_7c15), 1 << 32 | 10),
            (WalkKey(0xbf58_476d_1ce4_e5b9), 2 << 32 | 11),
        ];
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let entry = Rc::new(Entry::FREE);
            let [(first, value), second] = KNOWN;
            entry.put(first, value);
            for (key, value) in [second, (WalkKey(0), 0)] {
                let entry = Rc::clone(&entry);
                spawn(move || entry.put(key, value));
            }
            for (key, value) in KNOWN {
                let found = entry.get(key);
                assert!(found.is_none_or(|site| site == SiteId(value as u32)), "{found:?}");
            }
        });
    }
}
