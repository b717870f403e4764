//! Stacks as one tree: every frame once, and every path from the outermost frame inwards once.
//!
//! A stack is the path from a node to the root, which stands for the thread's start. A tree only
//! grows, through its [`Index`]. Invariant: a reader that has the number of a node finds that node
//! and all its callers without a lock, as they were when they were added.

use crate::chunks::Chunks;
use crate::model::{Frame, FrameId, OutOfMemory};
use hashbrown::HashTable;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of a node.
pub type NodeId = u32;

/// The node that has no frame.
pub const ROOT: NodeId = 0;

/// The most frames of a tree, and the most nodes: more than there is memory for.
const MAX_FRAMES: usize = 1 << 19;
const MAX_NODES: usize = 1 << 22;

/// All frames, and the paths that they form.
#[derive(Debug)]
pub struct Tree {
    frames: Chunks<OnceLock<Frame>, 256>,
    nodes: Chunks<Node, 4_096>,
}

#[derive(Debug, Default)]
struct Node {
    caller: AtomicU32,
    frame: AtomicU32,
    /// Number of frames from here to the root.
    depth: AtomicU32,
}

impl Tree {
    fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(id.0)?.get()
    }

    /// The node's caller, its frame, and its depth. The root is none of them.
    fn node(&self, id: NodeId) -> Option<(NodeId, FrameId, u32)> {
        let node = self.nodes.get(id)?;
        let read = |field: &AtomicU32| field.load(Ordering::Relaxed);
        let depth = read(&node.depth);
        (depth > 0).then(|| (read(&node.caller), FrameId(read(&node.frame)), depth))
    }

    /// The frames from a node outwards.
    pub fn path(&self, node: NodeId) -> Frames<'_> {
        Frames { tree: self, node }
    }
}

/// The frames of a stack, innermost first.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    tree: &'a Tree,
    node: NodeId,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a Frame;

    fn next(&mut self) -> Option<&'a Frame> {
        let (caller, frame, _) = self.tree.node(self.node)?;
        self.node = caller;
        self.tree.frame(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.tree.node(self.node).map_or(0, |(_, _, depth)| depth as usize);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Frames<'_> {}

/// Finds the frames and nodes of a tree by what they are, and adds new ones.
#[derive(Debug)]
pub struct Index {
    tree: Arc<Tree>,
    frames: HashTable<u32>,
    nodes: HashTable<Edge>,
    bytes: usize,
}

/// A node by what it is: all of it in one place, so that a look-up reads little memory.
#[derive(Clone, Copy, Debug)]
struct Edge {
    caller: NodeId,
    frame: FrameId,
    node: NodeId,
}

impl Edge {
    fn hash(&self) -> u64 {
        mixed(self.caller, self.frame)
    }
}

impl Default for Index {
    fn default() -> Self {
        let tree =
            Tree { frames: Chunks::with_most(MAX_FRAMES), nodes: Chunks::with_most(MAX_NODES) };
        Index { tree: Arc::new(tree), frames: HashTable::new(), nodes: HashTable::new(), bytes: 0 }
    }
}

impl Index {
    /// The tree.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// About how many bytes the frames and nodes take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The frame that equals `frame`, if there is one.
    pub(super) fn find_frame(&self, frame: &Frame) -> Option<FrameId> {
        let same = |known: &u32| self.tree.frame(FrameId(*known)) == Some(frame);
        self.frames.find(hash_of(frame), same).map(|known| FrameId(*known))
    }

    /// The frame that equals `frame`.
    pub fn frame(&mut self, frame: Frame) -> Result<FrameId, OutOfMemory> {
        if let Some(known) = self.find_frame(&frame) {
            return Ok(known);
        }
        let Index { tree, frames, .. } = self;
        let hash = |id: &u32| tree.frame(FrameId(*id)).map_or(0, hash_of);
        frames.try_reserve(1, hash).map_err(|_| OutOfMemory)?;
        let next = u32::try_from(frames.len()).map_err(|_| OutOfMemory)?;
        let place = tree.frames.get_or_add(next)?;
        let texts =
            [frame.class.len(), frame.method.len(), frame.file.as_ref().map_or(0, String::len)];
        self.bytes += size_of::<OnceLock<Frame>>() + 2 * size_of::<u32>();
        self.bytes += texts.iter().map(|text| text + ALLOCATION).sum::<usize>();
        let hash_of_new = hash_of(&frame);
        // There is one index, which gives each number once.
        let _ = place.set(frame);
        frames.insert_unique(hash_of_new, next, hash);
        Ok(FrameId(next))
    }

    /// The node of a frame under its caller, if there is one.
    fn find_node(&self, caller: NodeId, frame: FrameId) -> Option<NodeId> {
        let same = |known: &Edge| (known.caller, known.frame) == (caller, frame);
        self.nodes.find(mixed(caller, frame), same).map(|known| known.node)
    }

    /// The node of a frame under its caller.
    pub fn node(&mut self, caller: NodeId, frame: FrameId) -> Result<NodeId, OutOfMemory> {
        if let Some(known) = self.find_node(caller, frame) {
            return Ok(known);
        }
        let depth = self.tree.node(caller).map_or(0, |(_, _, depth)| depth);
        let Index { tree, nodes, .. } = self;
        nodes.try_reserve(1, Edge::hash).map_err(|_| OutOfMemory)?;
        let next = NodeId::try_from(nodes.len() + 1).map_err(|_| OutOfMemory)?;
        let node = tree.nodes.get_or_add(next)?;
        node.caller.store(caller, Ordering::Relaxed);
        node.frame.store(frame.0, Ordering::Relaxed);
        node.depth.store(depth + 1, Ordering::Relaxed);
        let edge = Edge { caller, frame, node: next };
        nodes.insert_unique(edge.hash(), edge, Edge::hash);
        // The table is half empty at worst.
        self.bytes += size_of::<Node>() + 2 * size_of::<Edge>();
        Ok(next)
    }

    /// The node of the innermost of these frames, if the tree has the whole path.
    pub(super) fn find_path(&self, innermost_first: &[FrameId]) -> Option<NodeId> {
        let mut outermost_first = innermost_first.iter().rev();
        outermost_first.try_fold(ROOT, |caller, frame| self.find_node(caller, *frame))
    }

    /// The node of the innermost of these frames.
    pub fn path(&mut self, innermost_first: &[FrameId]) -> Result<NodeId, OutOfMemory> {
        let mut outermost_first = innermost_first.iter().rev();
        outermost_first.try_fold(ROOT, |caller, frame| self.node(caller, *frame))
    }
}

/// What an allocation takes beside its contents.
pub(super) const ALLOCATION: usize = 16;

fn hash_of(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    frame.hash(&mut hasher);
    hasher.finish()
}

fn mixed(caller: NodeId, frame: FrameId) -> u64 {
    let both = u64::from(caller) << 32 | u64::from(frame.0);
    let mixed = (both ^ both >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 32).wrapping_mul(0x94d0_49bb_1331_11eb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(method: &str) -> Frame {
        Frame::named("a.B", method)
    }

    fn stack(index: &mut Index, methods: &[&str]) -> NodeId {
        let frames: Vec<_> =
            methods.iter().map(|method| index.frame(frame(method)).unwrap()).collect();
        let node = index.path(&frames).unwrap();
        assert_eq!(index.find_path(&frames), Some(node));
        node
    }

    #[test]
    fn what_stacks_share_is_kept_once() {
        let mut index = Index::default();
        let one = stack(&mut index, &["read", "run", "main"]);
        let bytes = index.bytes();
        assert_eq!(stack(&mut index, &["read", "run", "main"]), one);
        assert_eq!(index.bytes(), bytes);
        let other = stack(&mut index, &["write", "run", "main"]);
        assert_ne!(one, other);
        assert_eq!((index.frames.len(), index.nodes.len()), (4, 4));
        let tree = Arc::clone(index.tree());
        for (node, methods) in [(one, ["read", "run", "main"]), (other, ["write", "run", "main"])] {
            let path = tree.path(node);
            assert_eq!(path.len(), 3);
            assert!(path.map(|frame| frame.method.as_str()).eq(methods));
        }
        assert_eq!(tree.path(ROOT).len(), 0);
        assert_eq!(tree.path(ROOT).next(), None);
        assert_eq!(tree.path(99).next(), None, "a node that is not there");
    }

    #[test]
    fn a_stack_and_its_callers_are_different() {
        let mut index = Index::default();
        let whole = stack(&mut index, &["a", "b", "a"]);
        let callers = stack(&mut index, &["b", "a"]);
        assert_ne!(whole, callers);
        let b = index.find_frame(&frame("b")).unwrap();
        assert_eq!(index.find_path(&[b]), None, "b is not called by the root");
        assert_eq!(index.find_frame(&frame("c")), None);
    }

    #[test]
    fn many_paths_are_found_again() {
        let mut index = Index::default();
        let names: Vec<String> = (0..300).map(|number| format!("m{number}")).collect();
        let frames: Vec<_> = names.iter().map(|name| index.frame(frame(name)).unwrap()).collect();
        let mut random = fastrand::Rng::with_seed(7);
        let paths: Vec<Vec<FrameId>> = (0..if cfg!(miri) { 100 } else { 3_000 })
            .map(|_| (0..random.usize(1..12)).map(|_| frames[random.usize(..300)]).collect())
            .collect();
        let nodes: Vec<_> = paths.iter().map(|path| index.path(path).unwrap()).collect();
        for (path, node) in paths.iter().zip(nodes) {
            assert_eq!(index.find_path(path), Some(node));
            let named: Vec<_> = index.tree().path(node).map(|frame| &frame.method).collect();
            let right: Vec<_> = path.iter().map(|id| &names[id.0 as usize]).collect();
            assert_eq!(named, right);
        }
    }
}
