//! A bounded cache of what is costly to look up.

use std::collections::HashMap;
use std::hash::Hash;

/// Enough for the threads of a program, and for the methods at both ends of their stacks.
const MAX_ENTRIES: usize = 8_192;

/// A map that is emptied when it is full, and that leaves an entry out if memory runs out. What it
/// does not have, its user looks up again.
#[derive(Debug)]
pub(crate) struct Cache<K, V>(HashMap<K, V>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).cloned()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            self.0.clear();
        }
        if self.0.try_reserve(1).is_ok() {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_again_when_it_is_full() {
        let mut cache = Cache::default();
        (0..MAX_ENTRIES).for_each(|key| cache.insert(key, 1));
        cache.insert(0, 2);
        assert_eq!((cache.get(&0), cache.get(&(MAX_ENTRIES - 1))), (Some(2), Some(1)));
        cache.insert(MAX_ENTRIES, 3);
        assert_eq!((cache.get(&0), cache.get(&MAX_ENTRIES)), (None, Some(3)));
    }
}
