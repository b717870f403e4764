//! Interned allocation sites: a cache from the key of a raw stack to its site, and the sites
//! themselves.
//!
//! Owns what a site *is*; how often it was used is the ledger's. The key table is a cache and may
//! be emptied at any time (keys die with compiled code and with class loaders); a site is never
//! forgotten. Invariant: two sites never have the same kind, subclass, frames and truncation.

use crate::model::{Frame, Kind, OutOfMemory, SiteId, Stack, StackKey};
use dashmap::DashMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Keys kept before the cache is emptied and learnt anew (16 bytes each).
const MAX_KEYS: usize = 1 << 16;

/// Sites kept at most; instances from further stacks share one site a kind, which says so in its
/// only frame.
const MAX_SITES: usize = 100_000;

/// Thread names remembered per site.
const MAX_THREADS: usize = 4;

/// One allocation site.
#[derive(Debug)]
pub struct Site {
    /// Same for the same kind and frames in every run.
    pub stable_id: u64,
    /// Inflater or Deflater.
    pub kind: Kind,
    /// The instance's class where it is a subclass.
    pub subclass: Option<String>,
    /// Whether frames were cut off at the outer end.
    pub truncated: bool,
    frames: Box<[Arc<Frame>]>,
    threads: Mutex<Vec<String>>,
}

impl Site {
    /// A site that another process has seen, from what its report says of it.
    pub fn from_report(
        stable_id: u64,
        kind: Kind,
        subclass: Option<String>,
        truncated: bool,
        frames: Box<[Arc<Frame>]>,
        threads: Vec<String>,
    ) -> Site {
        Site { stable_id, kind, subclass, truncated, frames, threads: Mutex::new(threads) }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = &Frame> + DoubleEndedIterator + Clone {
        self.frames.iter().map(Arc::as_ref)
    }

    /// Threads of these names made instances here, too; a few of them are remembered.
    pub fn name_threads(&self, names: Vec<String>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if threads.len() < MAX_THREADS && !threads.contains(&name) {
                threads.push(name);
            }
        }
    }

    /// Names of a few threads that made instances here, in the order of first sight.
    pub fn threads(&self) -> Vec<String> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clone for Site {
    fn clone(&self) -> Site {
        Site {
            subclass: self.subclass.clone(),
            frames: self.frames.clone(),
            threads: Mutex::new(self.threads()),
            ..*self
        }
    }
}

/// Shards of the cache: each of them stays small, whatever the machine.
const SHARDS: usize = 64;

/// All sites, and the cache in front of them.
#[derive(Debug)]
pub struct Stacks {
    keys: DashMap<(Kind, StackKey), SiteId>,
    key_count: AtomicUsize,
    interned: Mutex<Interned>,
}

#[derive(Debug, Default)]
struct Interned {
    max_sites: usize,
    frames: Frames,
    sites: Vec<Arc<Site>>,
    by_stable_id: HashMap<u64, SiteId>,
    overflowed: u64,
}

impl Default for Stacks {
    fn default() -> Self {
        Stacks::with_room_for(MAX_SITES)
    }
}

impl Stacks {
    /// A table that keeps this number of sites, and two more for stacks that do not fit in. Only
    /// tests take another one than [`MAX_SITES`].
    pub(crate) fn with_room_for(max_sites: usize) -> Stacks {
        Stacks {
            keys: DashMap::with_shard_amount(SHARDS),
            key_count: AtomicUsize::new(0),
            interned: Mutex::new(Interned { max_sites, ..Interned::default() }),
        }
    }

    /// The site of a stack that was seen before: one look-up, no allocation, a sharded read lock.
    pub fn site(&self, kind: Kind, key: StackKey) -> Option<SiteId> {
        self.keys.get(&(kind, key)).map(|site| *site)
    }

    /// Takes a stack seen for the first time under this key, and gives its site.
    pub fn learn(&self, kind: Kind, key: StackKey, stack: Stack) -> Result<SiteId, OutOfMemory> {
        let site =
            self.interned.lock().unwrap_or_else(PoisonError::into_inner).intern(kind, stack)?;
        if self.key_count.fetch_add(1, Ordering::Relaxed) >= MAX_KEYS {
            self.keys.clear();
            self.key_count.store(1, Ordering::Relaxed);
        }
        self.keys.insert((kind, key), site);
        Ok(site)
    }

    /// The site of a stack that there is no memory for. Its key is not kept: there may be memory
    /// the next time.
    pub fn unlearned(&self, kind: Kind) -> Result<SiteId, OutOfMemory> {
        self.interned.lock().unwrap_or_else(PoisonError::into_inner).intern(kind, unlearned_stack())
    }

    /// Remembers that a thread of this name made an instance at `site`.
    pub fn name_thread(&self, site: SiteId, name: String) {
        let found = self.interned.lock().unwrap_or_else(PoisonError::into_inner).site(site);
        if let Some(site) = found {
            site.name_threads(vec![name]);
        }
    }

    /// The kind of a site.
    pub fn kind(&self, site: SiteId) -> Kind {
        let interned = self.interned.lock().unwrap_or_else(PoisonError::into_inner);
        interned.site(site).map_or(Kind::Inflater, |site| site.kind)
    }

    /// The site with this id, the same in every run.
    pub fn find(&self, stable_id: u64) -> Option<SiteId> {
        let interned = self.interned.lock().unwrap_or_else(PoisonError::into_inner);
        interned.by_stable_id.get(&stable_id).copied()
    }

    /// Number of sites.
    pub fn count(&self) -> usize {
        self.interned.lock().unwrap_or_else(PoisonError::into_inner).sites.len()
    }

    /// Number of new stacks that did not fit into the table.
    pub fn overflowed(&self) -> u64 {
        self.interned.lock().unwrap_or_else(PoisonError::into_inner).overflowed
    }

    /// The kinds of the first sites, in the order of their ids.
    pub fn kinds(&self) -> Result<Vec<Kind>, OutOfMemory> {
        let interned = self.interned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = Vec::new();
        kinds.try_reserve_exact(interned.sites.len())?;
        kinds.extend(interned.sites.iter().map(|site| site.kind));
        Ok(kinds)
    }

    /// The site with this number.
    pub fn get(&self, id: SiteId) -> Option<Arc<Site>> {
        self.interned.lock().unwrap_or_else(PoisonError::into_inner).site(id)
    }

    /// Calls `each` for sites in the order of their ids, until it says false or there are no more.
    pub fn for_each(&self, mut each: impl FnMut(SiteId, &Arc<Site>) -> bool) {
        let interned = self.interned.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, site) in interned.sites.iter().enumerate() {
            if !each(SiteId(u32::try_from(index).unwrap_or(u32::MAX)), site) {
                break;
            }
        }
    }
}

impl Interned {
    fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        self.sites.get(id.0 as usize).cloned()
    }

    fn intern(&mut self, kind: Kind, mut stack: Stack) -> Result<SiteId, OutOfMemory> {
        let mut stable_id = stable_id(kind, &stack);
        if self.sites.len() >= self.max_sites && !self.by_stable_id.contains_key(&stable_id) {
            self.overflowed += 1;
            stack = overflow_stack(self.max_sites);
            stable_id = self::stable_id(kind, &stack);
        }
        if let Some(known) = self.by_stable_id.get(&stable_id) {
            return Ok(*known);
        }
        // All that may fail comes first: a site is in both tables or in none.
        self.by_stable_id.try_reserve(1)?;
        self.sites.try_reserve(1)?;
        self.frames.reserve(stack.frames.len())?;
        let next = SiteId(u32::try_from(self.sites.len()).unwrap_or(u32::MAX));
        self.by_stable_id.insert(stable_id, next);
        let frames = stack.frames.into_iter().map(|frame| self.frames.share(frame)).collect();
        self.sites.push(Arc::new(Site {
            stable_id,
            kind,
            subclass: stack.subclass,
            truncated: stack.truncated,
            frames,
            threads: Mutex::default(),
        }));
        Ok(next)
    }
}

/// Frames, each kept once: stacks of one program share most of theirs.
#[derive(Debug, Default)]
pub struct Frames(HashMap<Arc<Frame>, ()>);

impl Frames {
    /// Reserves room for `more` more.
    fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        Ok(self.0.try_reserve(more)?)
    }

    /// The one that equals `frame`.
    pub fn share(&mut self, frame: Frame) -> Arc<Frame> {
        match self.0.entry(Arc::new(frame)) {
            Entry::Occupied(entry) => Arc::clone(entry.key()),
            Entry::Vacant(entry) => {
                let frame = Arc::clone(entry.key());
                entry.insert(());
                frame
            }
        }
    }
}

fn overflow_stack(max_sites: usize) -> Stack {
    placeholder(format!("(more than {max_sites} allocation sites: all others share this one)"))
}

fn unlearned_stack() -> Stack {
    placeholder("(the process had no memory left to keep the stack)".into())
}

/// Stands for stacks that are not known.
fn placeholder(why: String) -> Stack {
    let frame = Frame { class: "zaudit".into(), method: why, file: None, line: None };
    Stack { frames: vec![frame], truncated: true, subclass: None }
}

/// FNV-1a over kind and frames: it is part of the report's contract, so it must not change between
/// releases, as the standard library's hasher may.
fn stable_id(kind: Kind, stack: &Stack) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.word(kind.name());
    hash.word(stack.subclass.as_deref().unwrap_or(""));
    for frame in &stack.frames {
        hash.word(&frame.class);
        hash.word(&frame.method);
        hash.word(frame.file.as_deref().unwrap_or(""));
        hash.bytes(&frame.line.unwrap_or(0).to_le_bytes());
    }
    hash.bytes(&[u8::from(stack.truncated)]);
    hash.0
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The zero byte behind each word keeps `ab` + `c` apart from `a` + `bc`.
    fn word(&mut self, word: &str) {
        self.bytes(word.as_bytes());
        self.bytes(&[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(methods: &[&str]) -> Stack {
        let frames = methods
            .iter()
            .map(|m| Frame {
                class: "a.B".into(),
                method: (*m).into(),
                file: Some("B.java".into()),
                line: Some(7),
            })
            .collect();
        Stack { frames, truncated: false, subclass: None }
    }

    #[test]
    fn several_keys_lead_to_one_site_and_kinds_are_apart() {
        let stacks = Stacks::default();
        let a = stacks.learn(Kind::Inflater, StackKey(1), stack(&["x", "y"])).unwrap();
        let b = stacks.learn(Kind::Inflater, StackKey(2), stack(&["x", "y"])).unwrap();
        let c = stacks.learn(Kind::Deflater, StackKey(1), stack(&["x", "y"])).unwrap();
        let d = stacks.learn(Kind::Inflater, StackKey(3), stack(&["xy"])).unwrap();
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_ne!(a, d);
        assert_eq!(stacks.site(Kind::Inflater, StackKey(2)), Some(a));
        assert_eq!(stacks.site(Kind::Deflater, StackKey(1)), Some(c));
        assert_eq!(stacks.site(Kind::Deflater, StackKey(2)), None);
        assert_eq!(stacks.count(), 3);
    }

    #[test]
    fn equal_frames_are_kept_once() {
        let stacks = Stacks::default();
        stacks.learn(Kind::Inflater, StackKey(1), stack(&["x", "main"])).unwrap();
        stacks.learn(Kind::Inflater, StackKey(2), stack(&["y", "main"])).unwrap();
        let sites: Vec<_> = (0..2).map(|id| stacks.get(SiteId(id)).unwrap()).collect();
        assert!(Arc::ptr_eq(&sites[0].frames[1], &sites[1].frames[1]));
    }

    #[test]
    fn the_id_is_the_same_in_every_run() {
        assert_eq!(
            format!("{:016x}", stable_id(Kind::Inflater, &stack(&["x"]))),
            "d8d59f101765c79a"
        );
    }

    #[test]
    fn a_full_key_cache_forgets_keys_but_no_site() {
        let stacks = Stacks::default();
        for key in 0..=MAX_KEYS as u64 {
            stacks.learn(Kind::Inflater, StackKey(key), stack(&["x"])).unwrap();
        }
        assert_eq!(stacks.site(Kind::Inflater, StackKey(0)), None);
        assert_eq!(stacks.site(Kind::Inflater, StackKey(MAX_KEYS as u64)), Some(SiteId(0)));
        assert_eq!(stacks.count(), 1);
    }

    #[test]
    fn what_does_not_fit_into_the_table_shares_one_site_a_kind() {
        let stacks = Stacks::with_room_for(2);
        let learn = |kind, key, name: &str| stacks.learn(kind, StackKey(key), stack(&[name]));
        let [x, y] =
            [(1, "x"), (2, "y")].map(|(key, name)| learn(Kind::Inflater, key, name).unwrap());
        assert_eq!(stacks.overflowed(), 0);
        let z = learn(Kind::Inflater, 3, "z").unwrap();
        assert_eq!(learn(Kind::Inflater, 4, "zz").unwrap(), z);
        let deflater = learn(Kind::Deflater, 5, "z").unwrap();
        assert!(![x, y, z].contains(&deflater) && ![x, y].contains(&z));
        assert_eq!((stacks.kind(z), stacks.kind(deflater)), (Kind::Inflater, Kind::Deflater));
        assert_eq!((stacks.count(), stacks.overflowed()), (4, 3));
        // What is known is found as before, under any key.
        assert_eq!(learn(Kind::Inflater, 6, "x").unwrap(), x);
        assert_eq!(stacks.site(Kind::Inflater, StackKey(4)), Some(z));
        assert_eq!(stacks.overflowed(), 3);
        let shared = stacks.get(z).unwrap();
        let frames: Vec<_> = shared.frames().map(|frame| frame.method.as_str()).collect();
        assert_eq!(frames, ["(more than 2 allocation sites: all others share this one)"]);
        assert!(shared.truncated);
    }

    #[test]
    fn the_ids_of_placeholders_are_the_same_in_every_run() {
        let id = |stack| format!("{:016x}", stable_id(Kind::Inflater, &stack));
        assert_eq!(id(overflow_stack(MAX_SITES)), "5063d257185244db");
        assert_eq!(id(unlearned_stack()), "b740ab64bf73348e");
    }

    #[test]
    fn thread_names_are_few_and_different() {
        let stacks = Stacks::default();
        let site = stacks.learn(Kind::Inflater, StackKey(1), stack(&["x"])).unwrap();
        for name in ["a", "a", "b", "c", "d", "e"] {
            stacks.name_thread(site, name.into());
        }
        assert_eq!(stacks.get(SiteId(0)).unwrap().threads(), ["a", "b", "c", "d"]);
    }
}
