//! Interned allocation sites.
//!
//! Owns what a site *is*; how often it was used is the ledger's. A site is never forgotten, and the
//! memory of all together is bounded: stacks beyond it share one site. Invariant: two sites never
//! have the same purpose, kind, subclass, frames and truncation.

mod tree;

use self::tree::{ALLOCATION, Tree};
use crate::model::{Frame, FrameId, Kind, OutOfMemory, Purpose, SiteId, Stack};
use hashbrown::HashTable;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::tree::{Frames, Index, NodeId, ROOT};

/// The most sites: what the ledger's records can tell apart, but for a few.
pub(crate) const MAX_SITES: usize = (1 << 20) - 16;

/// Thread names remembered per site.
const MAX_THREADS: usize = 4;

/// What the ledger keeps of each site, in bytes.
const COUNTS: usize = 64;

/// One allocation site.
#[derive(Debug)]
pub struct Site {
    /// Same for the same kind and frames in every run.
    pub stable_id: u64,
    /// What is made there.
    pub kind: Kind,
    /// The instance's class where it is a subclass.
    pub subclass: Option<String>,
    /// Whether frames were cut off at the outer end.
    pub truncated: bool,
    purpose: Purpose,
    /// The innermost frame.
    node: NodeId,
    tree: Arc<Tree>,
    threads: Mutex<Vec<Arc<str>>>,
}

impl Site {
    /// A site that another process has seen, from what its report says of it. Its stack is a path
    /// of the tree that `index` is of.
    pub fn from_report(
        stable_id: u64,
        kind: Kind,
        subclass: Option<String>,
        truncated: bool,
        (node, index): (NodeId, &Index),
        threads: Vec<Arc<str>>,
    ) -> Site {
        let (purpose, tree) = (Purpose::Allocation, Arc::clone(index.tree()));
        let threads = Mutex::new(threads);
        Site { stable_id, kind, subclass, truncated, purpose, node, tree, threads }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> Frames<'_> {
        self.tree.path(self.node)
    }

    /// The frames, outermost first.
    pub fn outermost_first(&self) -> impl Iterator<Item = &Frame> {
        let mut frames: Vec<&Frame> = self.frames().collect();
        frames.reverse();
        frames.into_iter()
    }

    /// Threads of these names made instances here, too; a few of them are remembered.
    pub fn name_threads(&self, names: impl Iterator<Item = Arc<str>>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if threads.len() < MAX_THREADS && !threads.contains(&name) {
                threads.reserve_exact(1);
                threads.push(name);
            }
        }
    }

    /// Names of a few threads that made instances here, in the order of first sight.
    pub fn threads(&self) -> Vec<Arc<str>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hash(&self) -> u64 {
        hash_of(self.purpose, self.kind, self.node, self.truncated, self.subclass.as_deref())
    }
}

impl Clone for Site {
    fn clone(&self) -> Site {
        Site {
            subclass: self.subclass.clone(),
            tree: Arc::clone(&self.tree),
            threads: Mutex::new(self.threads()),
            ..*self
        }
    }
}

fn hash_of(
    purpose: Purpose,
    kind: Kind,
    node: NodeId,
    truncated: bool,
    subclass: Option<&str>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    (purpose, kind, node, truncated, subclass).hash(&mut hasher);
    hasher.finish()
}

/// All sites.
#[derive(Debug)]
pub struct Stacks(Mutex<Interned>);

#[derive(Debug, Default)]
struct Interned {
    /// Bytes that may be in use before a new stack does not fit.
    room: usize,
    /// Bytes in use by sites; the index has those of frames.
    bytes: usize,
    index: Index,
    sites: Vec<Arc<Site>>,
    /// Their numbers, by what they are.
    numbers: HashTable<u32>,
    thread_names: HashSet<Arc<str>>,
    overflowed: u64,
}

impl Stacks {
    /// An empty table. Stacks that come when about this number of bytes is in use share one site.
    pub fn with_room(bytes: usize) -> Stacks {
        Stacks(Mutex::new(Interned { room: bytes, ..Interned::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Interned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame that equals `frame`. [`FrameId::UNKNOWN`] if it is new and there is no room.
    pub fn frame(&self, frame: Frame) -> Result<FrameId, OutOfMemory> {
        let mut interned = self.lock();
        match interned.index.find_frame(&frame) {
            Some(known) => Ok(known),
            None if !interned.has_room() => Ok(FrameId::UNKNOWN),
            None => interned.index.frame(frame),
        }
    }

    /// The site of a stack, new or not.
    pub fn site(
        &self,
        purpose: Purpose,
        kind: Kind,
        stack: &Stack<FrameId>,
    ) -> Result<SiteId, OutOfMemory> {
        self.lock().intern(purpose, kind, stack)
    }

    /// The site of a stack that there is no memory for.
    pub fn unlearned(&self, purpose: Purpose, kind: Kind) -> Result<SiteId, OutOfMemory> {
        self.lock().placeholder(purpose, kind, UNLEARNED)
    }

    /// Remembers that a thread of this name made an instance at `site`.
    pub fn name_thread(&self, site: SiteId, name: String) {
        let mut interned = self.lock();
        let Some(site) = interned.site(site) else { return };
        if let Some(name) = interned.thread_name(name) {
            site.name_threads([name].into_iter());
        }
    }

    /// The kind of a site.
    pub fn kind(&self, site: SiteId) -> Kind {
        self.lock().site(site).map_or(Kind::Inflater, |site| site.kind)
    }

    /// The site of instances with this id, the same in every run.
    pub fn find(&self, stable_id: u64) -> Option<SiteId> {
        let interned = self.lock();
        let is =
            |site: &Arc<Site>| site.stable_id == stable_id && site.purpose == Purpose::Allocation;
        Some(site_id(interned.sites.iter().position(is)?))
    }

    /// Number of sites.
    pub fn count(&self) -> usize {
        self.lock().sites.len()
    }

    /// Number of new stacks that did not fit into the table.
    pub fn overflowed(&self) -> u64 {
        self.lock().overflowed
    }

    /// The kinds of the first sites, in the order of their ids.
    pub fn kinds(&self) -> Result<Vec<Kind>, OutOfMemory> {
        let interned = self.lock();
        let mut kinds = Vec::new();
        kinds.try_reserve_exact(interned.sites.len())?;
        kinds.extend(interned.sites.iter().map(|site| site.kind));
        Ok(kinds)
    }

    /// The site with this number.
    pub fn get(&self, id: SiteId) -> Option<Arc<Site>> {
        self.lock().site(id)
    }

    /// Calls `each` for sites in the order of their ids, until it says false or there are no more.
    pub fn for_each(&self, mut each: impl FnMut(SiteId, &Arc<Site>) -> bool) {
        for (index, site) in self.lock().sites.iter().enumerate() {
            if !each(site_id(index), site) {
                break;
            }
        }
    }
}

fn site_id(index: usize) -> SiteId {
    SiteId(u32::try_from(index).unwrap_or(u32::MAX))
}

/// A site without its subclass, threads and allocations.
const SITE: usize = size_of::<Site>() + size_of::<Arc<Site>>() + 2 * size_of::<u32>();

impl Interned {
    fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        self.sites.get(id.0 as usize).cloned()
    }

    fn has_room(&self) -> bool {
        self.bytes + self.index.bytes() < self.room && self.sites.len() < MAX_SITES
    }

    fn intern(
        &mut self,
        purpose: Purpose,
        kind: Kind,
        stack: &Stack<FrameId>,
    ) -> Result<SiteId, OutOfMemory> {
        if let Some(node) = self.index.find_path(&stack.frames)
            && let Some(known) =
                self.find(purpose, kind, node, stack.truncated, stack.subclass.as_deref())
        {
            return Ok(known);
        }
        if !self.has_room() || stack.frames.contains(&FrameId::UNKNOWN) {
            self.overflowed += 1;
            return self.placeholder(purpose, kind, OVERFLOWED);
        }
        let node = self.index.path(&stack.frames)?;
        self.add(purpose, kind, node, stack.truncated, stack.subclass.clone())
    }

    fn find(
        &self,
        purpose: Purpose,
        kind: Kind,
        node: NodeId,
        truncated: bool,
        subclass: Option<&str>,
    ) -> Option<SiteId> {
        let same = |at: &u32| {
            self.sites.get(*at as usize).is_some_and(|site| {
                (site.purpose, site.kind, site.node) == (purpose, kind, node)
                    && (site.truncated, site.subclass.as_deref()) == (truncated, subclass)
            })
        };
        let hash = hash_of(purpose, kind, node, truncated, subclass);
        self.numbers.find(hash, same).map(|at| SiteId(*at))
    }

    fn add(
        &mut self,
        purpose: Purpose,
        kind: Kind,
        node: NodeId,
        truncated: bool,
        subclass: Option<String>,
    ) -> Result<SiteId, OutOfMemory> {
        let tree = self.index.tree();
        let site = Site {
            stable_id: stable_id(kind, subclass.as_deref(), tree.path(node), truncated),
            kind,
            subclass,
            truncated,
            purpose,
            node,
            tree: Arc::clone(tree),
            threads: Mutex::default(),
        };
        let Interned { sites, numbers, .. } = self;
        let next = site_id(sites.len());
        // All that may fail comes first: a site is in both tables or in none.
        sites.try_reserve(1)?;
        let hash = |at: &u32| sites.get(*at as usize).map_or(0, |site| site.hash());
        numbers.try_reserve(1, hash).map_err(|_| OutOfMemory)?;
        numbers.insert_unique(site.hash(), next.0, hash);
        self.bytes += SITE + ALLOCATION + COUNTS;
        self.bytes += site.subclass.as_ref().map_or(0, |name| name.len() + ALLOCATION);
        sites.push(Arc::new(site));
        Ok(next)
    }

    /// The site of all stacks that are not known for this reason. There is always room for it.
    fn placeholder(
        &mut self,
        purpose: Purpose,
        kind: Kind,
        reason: &str,
    ) -> Result<SiteId, OutOfMemory> {
        let frame = Frame::named("zaudit", reason);
        let frame = self.index.frame(frame)?;
        let node = self.index.node(ROOT, frame)?;
        match self.find(purpose, kind, node, true, None) {
            Some(known) => Ok(known),
            None => self.add(purpose, kind, node, true, None),
        }
    }

    /// A name that all sites share. None if it is new and there is no room.
    fn thread_name(&mut self, name: String) -> Option<Arc<str>> {
        if let Some(known) = self.thread_names.get(name.as_str()) {
            self.bytes += size_of::<Arc<str>>();
            return Some(Arc::clone(known));
        }
        if !self.has_room() {
            return None;
        }
        self.thread_names.try_reserve(1).ok()?;
        self.bytes += name.len() + 3 * ALLOCATION + size_of::<Arc<str>>();
        let name: Arc<str> = name.into();
        self.thread_names.insert(Arc::clone(&name));
        Some(name)
    }
}

const OVERFLOWED: &str = "(no room for more stacks: all further ones share this site)";
const UNLEARNED: &str = "(the process had no memory left to keep the stack)";

/// FNV-1a over kind and frames: it is part of the report's contract, so it must not change between
/// releases, as the standard library's hasher may.
fn stable_id<'a>(
    kind: Kind,
    subclass: Option<&str>,
    frames: impl Iterator<Item = &'a Frame>,
    truncated: bool,
) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.word(kind.name());
    hash.word(subclass.unwrap_or(""));
    for frame in frames {
        hash.word(&frame.class);
        hash.word(&frame.method);
        hash.word(frame.file.as_deref().unwrap_or(""));
        hash.bytes(&frame.line.unwrap_or(0).to_le_bytes());
    }
    hash.bytes(&[u8::from(truncated)]);
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

    /// Room for all that the tests below add.
    const ROOM: usize = 1 << 20;

    fn frame(method: &str) -> Frame {
        Frame { file: Some("B.java".into()), line: Some(7), ..Frame::named("a.B", method) }
    }

    fn learn(stacks: &Stacks, kind: Kind, methods: &[&str]) -> SiteId {
        learn_of(stacks, Purpose::Allocation, kind, methods)
    }

    fn learn_of(stacks: &Stacks, purpose: Purpose, kind: Kind, methods: &[&str]) -> SiteId {
        let frames = methods.iter().map(|method| stacks.frame(frame(method)).unwrap()).collect();
        let stack = Stack { frames, truncated: false, subclass: None };
        stacks.site(purpose, kind, &stack).unwrap()
    }

    #[test]
    fn equal_stacks_are_one_site_and_kinds_and_purposes_are_apart() {
        let stacks = Stacks::with_room(ROOM);
        let a = learn(&stacks, Kind::Inflater, &["x", "y"]);
        let b = learn(&stacks, Kind::Inflater, &["x", "y"]);
        let c = learn(&stacks, Kind::Deflater, &["x", "y"]);
        let d = learn(&stacks, Kind::Inflater, &["xy"]);
        let e = learn_of(&stacks, Purpose::DoubleEnd, Kind::Inflater, &["x", "y"]);
        assert_eq!((a, b), (SiteId(0), SiteId(0)));
        assert_eq!([c, d, e], [SiteId(1), SiteId(2), SiteId(3)]);
        assert_eq!(stacks.count(), 4);
        let stable_id = stacks.get(e).unwrap().stable_id;
        assert_eq!(stacks.find(stable_id), Some(a), "not that of the double end");
    }

    #[test]
    fn subclasses_and_cut_stacks_are_apart() {
        let stacks = Stacks::with_room(ROOM);
        let frames = vec![stacks.frame(frame("x")).unwrap()];
        let site = |truncated, subclass: Option<&str>| {
            let stack =
                Stack { frames: frames.clone(), truncated, subclass: subclass.map(str::to_owned) };
            stacks.site(Purpose::Allocation, Kind::Inflater, &stack).unwrap()
        };
        let all = [site(false, None), site(true, None), site(false, Some("a.C"))];
        assert_eq!(all, [SiteId(0), SiteId(1), SiteId(2)]);
        assert_eq!(site(false, Some("a.C")), SiteId(2));
        let ids: HashSet<u64> =
            all.iter().map(|site| stacks.get(*site).unwrap().stable_id).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn frames_come_innermost_first_and_the_other_way_round() {
        let stacks = Stacks::with_room(ROOM);
        let site = stacks.get(learn(&stacks, Kind::Inflater, &["x", "y", "main"])).unwrap();
        assert!(site.frames().map(|frame| frame.method.as_str()).eq(["x", "y", "main"]));
        assert!(site.outermost_first().map(|frame| frame.method.as_str()).eq(["main", "y", "x"]));
        assert_eq!(site.frames().len(), 3);
    }

    #[test]
    fn the_id_is_the_same_in_every_run() {
        let id = stable_id(Kind::Inflater, None, [frame("x")].iter(), false);
        assert_eq!(format!("{id:016x}"), "d8d59f101765c79a");
    }

    #[test]
    fn what_does_not_fit_shares_one_site_a_kind() {
        let room = 1_000;
        let stacks = Stacks::with_room(room);
        let [x, y] = ["x", "y"].map(|name| learn(&stacks, Kind::Inflater, &[name]));
        assert_eq!(stacks.overflowed(), 0);
        stacks.0.lock().unwrap().room = 0;
        let z = learn(&stacks, Kind::Inflater, &["z"]);
        assert_eq!(learn(&stacks, Kind::Inflater, &["zz"]), z);
        let deflater = learn(&stacks, Kind::Deflater, &["z"]);
        assert!(![x, y, z].contains(&deflater) && ![x, y].contains(&z));
        assert_eq!((stacks.kind(z), stacks.kind(deflater)), (Kind::Inflater, Kind::Deflater));
        assert_eq!((stacks.count(), stacks.overflowed()), (4, 3));
        // What is known is found as before.
        assert_eq!(learn(&stacks, Kind::Inflater, &["x"]), x);
        assert_eq!(learn(&stacks, Kind::Inflater, &["x", "y"]), z, "known frames, another stack");
        assert_eq!(stacks.overflowed(), 4);
        let shared = stacks.get(z).unwrap();
        assert!(shared.frames().map(|frame| frame.method.as_str()).eq([OVERFLOWED]));
        assert!(shared.truncated);
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn memory_is_bounded_whatever_comes() {
        let stacks = Stacks::with_room(ROOM);
        let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let methods: Vec<&str> = (0..10).map(|_| names[random.usize(..40)].as_str()).collect();
            let site = learn(&stacks, Kind::Inflater, &methods);
            stacks.name_thread(site, format!("thread {}", random.u32(..)));
        }
        let interned = stacks.0.lock().unwrap();
        let bytes = interned.bytes + interned.index.bytes();
        assert!((ROOM..ROOM + 64 * 1_024).contains(&bytes), "{bytes}");
        assert!(interned.overflowed > 10_000, "{}", interned.overflowed);
    }

    #[test]
    fn the_ids_of_placeholders_are_the_same_in_every_run() {
        let stacks = Stacks::with_room(0);
        let id = |site| format!("{:016x}", stacks.get(site).unwrap().stable_id);
        assert_eq!(id(learn(&stacks, Kind::Inflater, &["x"])), "fa54bc2e28c3f58c");
        let unlearned = stacks.unlearned(Purpose::Allocation, Kind::Inflater).unwrap();
        assert_eq!(id(unlearned), "b740ab64bf73348e");
    }

    #[test]
    fn thread_names_are_few_and_different() {
        let stacks = Stacks::with_room(ROOM);
        let site = learn(&stacks, Kind::Inflater, &["x"]);
        for name in ["a", "a", "b", "c", "d", "e"] {
            stacks.name_thread(site, name.into());
        }
        let named = stacks.get(site).unwrap().threads();
        assert!(named.iter().map(AsRef::as_ref).eq(["a", "b", "c", "d"]));
    }
}
