//! The cache from walk keys to sites, of a fixed size: it neither allocates nor locks.
//!
//! Walk keys die with the code that they are of, so old ones must go: a new key replaces the one in
//! its set that was entered or confirmed longest ago. Invariants: a look-up returns what was
//! entered for that key, or nothing; it writes nothing.

use super::walk::WalkKey;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use zaudit_core::model::SiteId;

/// The keys of all audits, 1 MiB; memory that was never used costs nothing.
pub(super) static KEYS: Keys<{ 1 << 14 }> = Keys::new();

/// How many keys a set has: as many as fit into a cache line.
const WAYS: usize = 4;

/// A cache of `4 * SETS` keys; `SETS` is a power of two.
pub(super) struct Keys<const SETS: usize> {
    sets: [Set; SETS],
    /// The number of entries made so far: their age.
    entered: AtomicU32,
}

#[repr(align(64))]
struct Set([Entry; WAYS]);

/// Written without a lock: a reader that finds the halves of two entries takes neither, because
/// they do not give its key.
struct Entry {
    /// Key XOR value.
    check: AtomicU64,
    /// The site, and above it when it was entered. 0 if the entry is free.
    value: AtomicU64,
}

impl<const SETS: usize> Keys<SETS> {
    pub(super) const fn new() -> Self {
        const { assert!(SETS.is_power_of_two()) };
        Keys {
            sets: [const { Set([const { Entry::FREE }; WAYS]) }; SETS],
            entered: AtomicU32::new(0),
        }
    }

    fn set(&self, key: WalkKey) -> &[Entry] {
        let index = (key.0 >> 32) as usize & (SETS - 1);
        self.sets.get(index).map_or(&[], |set| &set.0)
    }

    /// The site of a key.
    #[inline]
    pub(super) fn get(&self, key: WalkKey) -> Option<SiteId> {
        self.set(key).iter().find_map(|entry| entry.get(key))
    }

    /// Enters a key, or makes it young again.
    pub(super) fn enter(&self, key: WalkKey, site: SiteId) {
        let now = self.entered.fetch_add(1, Ordering::Relaxed).max(1);
        let age = |entry: &&Entry| {
            let value = entry.value.load(Ordering::Relaxed);
            let free_or_own = value == 0 || entry.get(key).is_some();
            if free_or_own { u32::MAX } else { now.wrapping_sub((value >> 32) as u32) }
        };
        let Some(entry) = self.set(key).iter().max_by_key(age) else { return };
        let value = u64::from(now) << 32 | u64::from(site.0);
        entry.value.store(value, Ordering::Relaxed);
        entry.check.store(key.0 ^ value, Ordering::Relaxed);
    }
}

impl Entry {
    #[expect(clippy::declare_interior_mutable_const, reason = "the initial value of many entries")]
    const FREE: Entry = Entry { check: AtomicU64::new(0), value: AtomicU64::new(0) };

    #[inline(always)]
    fn get(&self, key: WalkKey) -> Option<SiteId> {
        let value = self.value.load(Ordering::Relaxed);
        let check = self.check.load(Ordering::Relaxed);
        (check ^ value == key.0 && value != 0).then_some(SiteId(value as u32))
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
            keys.enter(of_set(number), SiteId(number as u32));
        }
        keys.enter(WalkKey(4 << 32), SiteId(100));
        // The first key was confirmed, so that the second is the oldest.
        keys.enter(of_set(0), SiteId(0));
        keys.enter(of_set(4), SiteId(4));
        let found: Vec<_> = (0..5).map(|number| keys.get(of_set(number)).map(|it| it.0)).collect();
        assert_eq!(found, [Some(0), None, Some(2), Some(3), Some(4)]);
        assert_eq!(keys.get(WalkKey(4 << 32)), Some(SiteId(100)), "other sets keep theirs");
    }

    #[test]
    fn the_last_site_of_a_key_counts() {
        let keys: Keys<8> = Keys::new();
        keys.enter(of_set(7), SiteId(1));
        keys.enter(of_set(7), SiteId(2));
        assert_eq!(keys.get(of_set(7)), Some(SiteId(2)));
        let of_key = keys.set(of_set(7)).iter().filter(|entry| entry.get(of_set(7)).is_some());
        assert_eq!(of_key.count(), 1);
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
                        for number in 0..400_000 {
                            SHARED.enter(key(number % 64), site_of(key(number % 64)));
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
