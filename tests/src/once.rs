//! What many cases of a suite would each make again, made once and by the first that needs it.

use crate::Result;
use crate::child::Ended;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type Cell<V> = Arc<OnceLock<Result<V>>>;

/// Values by key. Those that need one while it is made wait for it; no others do.
#[derive(Debug)]
pub struct Once<K, V>(Mutex<BTreeMap<K, Cell<V>>>);

impl<K: Ord, V: Clone> Once<K, V> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The value of this key, made by `make` if there is none yet. What failed is not tried again.
    pub fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<V> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_init(make).clone()
    }
}

impl<K: Ord, V: Clone> Default for Once<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a program's user sees of it: the measure of its runs under the agent.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it printed.
    pub printed: String,
    /// What `-Xcheck:jni` said of it.
    pub complaints: BTreeSet<String>,
    /// Its stderr, but for messages of the agent.
    pub foreign_stderr: String,
    /// Its exit code.
    pub code: i32,
    shown: String,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        Self {
            printed: ended.printed(),
            complaints: ended.complaints(),
            foreign_stderr: ended.foreign_stderr(),
            code: ended.code(),
            shown: ended.to_string(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_made_once() {
        let once = Once::new();
        assert_eq!(once.get("a", || Ok(1)), Ok(1));
        assert_eq!(once.get("a", || Err("made again".into())), Ok(1));
        assert_eq!(once.get("b", || Err("broken".into())), Err("broken".into()));
        assert_eq!(once.get("b", || Ok(2)), Err("broken".into()));
    }
}
