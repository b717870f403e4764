//! What retains live instances: the paths from GC roots to them.
//!
//! Owns the graph of the objects on these paths; the heap is walked elsewhere. A walk reports each
//! reference to an object that is [wanted](Graph::wants); the object that holds the reference
//! becomes wanted in the next walk, until a root is reached. So a path takes as many walks as it is
//! long, and the graph has little more than the paths. Invariant: an instance is called unreachable
//! only if all references to it, and to the objects that hold these, were seen.

use crate::model::{OutOfMemory, push};
use crate::wording::finding;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// The retention of a few live instances of each site, by the stable id of the site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// A few instances each.
    pub streams: BTreeMap<u64, Vec<Retained>>,
    /// Pause of the application for the search, in total; none if there was no search.
    pub pause: Option<Duration>,
}

/// What retains one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retained {
    /// A root, and the references from there to the instance, whose class is the last step.
    By {
        /// `static com.acme.Codec.POOL`
        root: String,
        /// `java.util.ArrayList.elementData`, `[3]`, `java.util.zip.Inflater`
        path: Vec<String>,
    },
    /// No path, or only through references of this kind: not collected yet.
    Nothing(Option<ReferenceStrength>),
    /// The search ended before anything was found.
    Unknown(String),
}

/// References that do not keep an object alive for good, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceStrength {
    /// A `WeakReference` or `PhantomReference`: Cleaners have these.
    Cleared,
    /// The JVM's own, of what has a `finalize()`.
    Finalizer,
    /// A `SoftReference`.
    Soft,
}

impl Retention {
    /// The retention of the instances of a site.
    pub fn of(&self, stable_id: u64) -> &[Retained] {
        self.streams.get(&stable_id).map(Vec::as_slice).unwrap_or_default()
    }
}

impl ReferenceStrength {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            ReferenceStrength::Cleared => "weak",
            ReferenceStrength::Finalizer => "finalizer",
            ReferenceStrength::Soft => "soft",
        }
    }
}

impl Retained {
    /// Equal for paths that differ in indexes of arrays only.
    pub fn shape(&self) -> String {
        match self {
            Retained::By { root, path } => {
                let steps =
                    path.iter().map(|step| if step.starts_with('[') { "[…]" } else { step });
                std::iter::once(root.as_str()).chain(steps).collect::<Vec<_>>().join(" → ")
            }
            other => other.words(),
        }
    }

    /// One sentence.
    pub fn words(&self) -> String {
        match self {
            Retained::By { root, path } => {
                // Equal steps in a row, such as the links of a list, are one step.
                let mut steps: Vec<(&str, usize)> = vec![(root, 1)];
                for step in path {
                    match steps.last_mut() {
                        Some((last, times)) if last == step => *times += 1,
                        _ => steps.push((step, 1)),
                    }
                }
                finding::held_by(steps.into_iter())
            }
            Retained::Nothing(None | Some(ReferenceStrength::Cleared)) => {
                finding::UNREACHABLE.into()
            }
            Retained::Nothing(Some(ReferenceStrength::Finalizer)) => {
                finding::ONLY_FINALIZABLE.into()
            }
            Retained::Nothing(Some(ReferenceStrength::Soft)) => finding::ONLY_SOFTLY_HELD.into(),
            Retained::Unknown(why) => why.clone(),
        }
    }
}

/// An object on a path, numbered in the order of discovery; the instances come first.
pub type Node = u32;

/// What is known of the paths. `R` describes a root for the caller.
#[derive(Debug)]
pub struct Graph<R> {
    streams: usize,
    nodes: usize,
    edges: Vec<Edge>,
    roots: HashMap<Node, R>,
    weak: HashMap<Node, ReferenceStrength>,
    /// Objects whose references were not searched in a whole walk, and that lead to an instance
    /// without a root.
    wanted: Vec<bool>,
    /// Number of nodes when the walk began.
    begun: usize,
    /// Whether something could not be recorded.
    incomplete: bool,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    from: Node,
    to: Node,
    index: Option<u32>,
}

/// A step of a path: an object, and its index, if the one before is an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The object.
    pub node: Node,
    /// The index in the array.
    pub index: Option<u32>,
}

/// Steps of a path that are kept at each end: a linked list may have any number of links.
pub const ENDS: usize = 12;

/// The steps of a path, root first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// All of them, or the first and the last [`ENDS`].
    pub kept: Vec<Step>,
    /// Number of steps that are left out between the ends.
    pub left_out: usize,
}

/// The root of an instance and the steps from there, if a path is known.
pub type RetainingPath<'a, R> = Option<(&'a R, Steps)>;

impl<R> Graph<R> {
    /// A graph of this many instances.
    pub fn new(streams: usize) -> Graph<R> {
        Graph {
            streams,
            nodes: streams,
            edges: Vec::new(),
            roots: HashMap::new(),
            weak: HashMap::new(),
            wanted: vec![true; streams],
            begun: streams,
            incomplete: false,
        }
    }

    /// Number of objects that were found.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Whether something was lost for lack of memory: nothing is known then.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether references to this object must be reported.
    pub fn wants(&self, node: Node) -> bool {
        // What was found in this walk is searched in the next, but references to it may be reported
        // already.
        self.wanted.get(node as usize).copied().unwrap_or(true)
    }

    /// One more object.
    pub fn add(&mut self) -> Node {
        let node = Node::try_from(self.nodes).unwrap_or(Node::MAX);
        self.nodes += 1;
        node
    }

    /// Records a reference.
    pub fn refers(&mut self, from: Node, to: Node, index: Option<u32>) {
        self.incomplete |= push(&mut self.edges, Edge { from, to, index }).is_err();
    }

    /// Records a root that refers to the object.
    pub fn rooted(&mut self, node: Node, root: impl FnOnce() -> R) {
        match self.roots.try_reserve(1) {
            Ok(()) => drop(self.roots.entry(node).or_insert_with(root)),
            Err(_) => self.incomplete = true,
        }
    }

    /// Records a weak reference to the object.
    pub fn weakly(&mut self, node: Node, weak: ReferenceStrength) {
        if self.weak.try_reserve(1).is_err() {
            self.incomplete = true;
            return;
        }
        let known = self.weak.entry(node).or_insert(weak);
        *known = weak.max(*known);
    }

    /// Ends a walk. Whether another one may find more.
    pub fn settle(&mut self) -> Result<bool, OutOfMemory> {
        let before = self.came_from()?;
        // All that may lead to an instance without a root.
        self.wanted =
            self.leading_to(self.all_streams().filter(|stream| !before.contains_key(stream)))?;
        let begun = self.begun;
        self.wanted.iter_mut().enumerate().for_each(|(node, needed)| *needed &= node >= begun);
        self.begun = self.nodes;
        Ok(self.wanted.contains(&true))
    }

    /// As if no walk had been made yet, for what has no root so far. Whether there is anything.
    pub fn restart(&mut self) -> Result<bool, OutOfMemory> {
        self.begun = 0;
        self.settle()
    }

    /// Nodes that are searched, or lead to what has no root so far.
    pub fn frontier(&self) -> impl Iterator<Item = Node> + '_ {
        let wanted = self.wanted.iter().enumerate().filter(|(_, wanted)| **wanted);
        wanted.filter_map(|(node, _)| Node::try_from(node).ok())
    }

    /// The shortest known path to each instance, root first.
    pub fn ways(&self) -> Result<Vec<RetainingPath<'_, R>>, OutOfMemory> {
        let before = self.came_from()?;
        let ways = self
            .all_streams()
            .map(|stream| {
                let (mut steps, mut left_out) = (VecDeque::new(), 0);
                let mut at = stream;
                loop {
                    let edge = *before.get(&at)?;
                    if steps.len() == 2 * ENDS {
                        // Counted from the instance, the last ones are the first from the root.
                        steps.remove(ENDS);
                        left_out += 1;
                    }
                    steps.push_back(Step { node: at, index: edge.and_then(|edge| edge.index) });
                    let Some(edge) = edge else { break };
                    at = edge.from;
                }
                Some((
                    self.roots.get(&at)?,
                    Steps { kept: steps.into_iter().rev().collect(), left_out },
                ))
            })
            .collect();
        Ok(ways)
    }

    /// The strongest of the weak references to this node, or to what leads to it.
    pub fn weak_hold(&self, node: Node) -> Result<Option<ReferenceStrength>, OutOfMemory> {
        let leading = self.leading_to([node])?;
        let weak = self
            .weak
            .iter()
            .filter(|(node, _)| leading.get(**node as usize).copied().unwrap_or(false));
        Ok(weak.map(|(_, weak)| *weak).max())
    }

    /// For each node whether it is one of these or leads to one.
    fn leading_to(&self, these: impl IntoIterator<Item = Node>) -> Result<Vec<bool>, OutOfMemory> {
        let mut into: HashMap<Node, Vec<Node>> = HashMap::new();
        for edge in &self.edges {
            into.try_reserve(1)?;
            push(into.entry(edge.to).or_default(), edge.from)?;
        }
        let mut leading = Vec::new();
        leading.try_reserve_exact(self.nodes)?;
        leading.resize(self.nodes, false);
        let mut todo: Vec<Node> = Vec::new();
        these.into_iter().try_for_each(|node| push(&mut todo, node))?;
        while let Some(node) = todo.pop() {
            match leading.get_mut(node as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            into.get(&node).into_iter().flatten().try_for_each(|node| push(&mut todo, *node))?;
        }
        Ok(leading)
    }

    /// For each node that is reachable from a root, the edge by which it is reached in the fewest
    /// steps.
    fn came_from(&self) -> Result<HashMap<Node, Option<Edge>>, OutOfMemory> {
        let mut out: HashMap<Node, Vec<Edge>> = HashMap::new();
        for edge in &self.edges {
            out.try_reserve(1)?;
            push(out.entry(edge.from).or_default(), *edge)?;
        }
        // In order, so that the same graph gives the same paths.
        let mut first: Vec<Node> = Vec::new();
        self.roots.keys().try_for_each(|node| push(&mut first, *node))?;
        first.sort_unstable();
        let mut before: HashMap<Node, Option<Edge>> = HashMap::new();
        // Each node is reached once.
        before.try_reserve(self.nodes)?;
        before.extend(first.iter().map(|node| (*node, None)));
        let mut todo = VecDeque::from(first);
        todo.try_reserve(self.nodes.saturating_sub(todo.len()))?;
        while let Some(node) = todo.pop_front() {
            for edge in out.get(&node).into_iter().flatten() {
                before.entry(edge.to).or_insert_with(|| {
                    todo.push_back(edge.to);
                    Some(*edge)
                });
            }
        }
        Ok(before)
    }

    fn all_streams(&self) -> std::ops::Range<Node> {
        0..Node::try_from(self.streams).unwrap_or(Node::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root, and what is on the way from it.
    type RetainingPath = (u32, Vec<u32>);

    /// A heap of references; 0 and 1 are the instances, 100 and above are roots. Walks until
    /// nothing is found.
    fn search(heap: &[(u32, u32)]) -> (Vec<Option<RetainingPath>>, usize) {
        let mut graph: Graph<u32> = Graph::new(2);
        let mut known: HashMap<u32, Node> = HashMap::from([(0, 0), (1, 1)]);
        let mut walks = 0;
        loop {
            walks += 1;
            for (from, to) in heap {
                let Some(to) = known.get(to).copied().filter(|to| graph.wants(*to)) else {
                    continue;
                };
                if *from >= 100 {
                    graph.rooted(to, || *from);
                } else {
                    let from = *known.entry(*from).or_insert_with(|| graph.add());
                    graph.refers(from, to, None);
                }
            }
            if !graph.settle().unwrap() {
                break;
            }
        }
        let name = |node| *known.iter().find(|(_, known)| **known == node).unwrap().0;
        let ways = graph.ways().unwrap().into_iter().map(|way| {
            way.map(|(root, steps)| {
                (*root, steps.kept.into_iter().map(|step| name(step.node)).collect())
            })
        });
        (ways.collect(), walks)
    }

    #[test]
    fn a_search_that_begins_again_searches_for_what_has_no_root() {
        let mut graph: Graph<u32> = Graph::new(1);
        let holder = graph.add();
        graph.refers(holder, 0, None);
        assert!(graph.settle().unwrap() && graph.wants(holder));
        assert!(!graph.settle().unwrap() && !graph.wants(holder));
        assert!(graph.restart().unwrap() && graph.wants(holder) && graph.wants(0));
        graph.rooted(holder, || 100);
        assert!(!graph.restart().unwrap());
    }

    #[test]
    fn a_long_way_is_kept_at_its_ends() {
        for links in [0, 1, 21, 22, 23, 24, 25, 5_000] {
            let mut graph: Graph<()> = Graph::new(1);
            let mut last = 0;
            for _ in 0..links {
                let holder = graph.add();
                graph.refers(holder, last, Some(last));
                last = holder;
            }
            graph.rooted(last, || ());
            let (_, Steps { kept, left_out }) = graph.ways().unwrap().remove(0).unwrap();
            assert_eq!(kept.len() + left_out, links + 1, "{links}");
            assert!(kept.len() <= 2 * ENDS && (left_out == 0 || kept.len() == 2 * ENDS), "{links}");
            let nodes: Vec<usize> = kept.iter().map(|step| step.node as usize).collect();
            let all: Vec<usize> = (0..=links).rev().collect();
            let near = kept.len().min(ENDS);
            assert_eq!(nodes[nodes.len() - near..], all[all.len() - near..], "{links}");
            assert_eq!(nodes[..kept.len() - near], all[..kept.len() - near], "{links}");
        }
    }

    #[test]
    fn paths_are_found_and_garbage_has_none() {
        for (heap, first, second) in [
            (&[][..], None, None),
            (&[(100, 0)], Some((100, vec![0])), None),
            // Through an array that both are in.
            (
                &[(100, 10), (10, 11), (11, 0), (11, 1)],
                Some((100, vec![10, 11, 0])),
                Some((100, vec![10, 11, 1])),
            ),
            // A circle without a root, with an instance in it; a dead end found before the path.
            (
                &[(20, 0), (21, 20), (20, 21), (0, 20), (30, 1), (31, 1), (101, 31)],
                None,
                Some((101, vec![31, 1])),
            ),
            // The shorter of two ways.
            (&[(100, 10), (10, 11), (11, 0), (102, 12), (12, 0)], Some((102, vec![12, 0])), None),
            // One instance refers to the other.
            (&[(1, 0), (100, 1)], Some((100, vec![1, 0])), Some((100, vec![1]))),
        ] {
            let reversed: Vec<_> = heap.iter().rev().copied().collect();
            for heap in [heap, &reversed] {
                let (ways, walks) = search(heap);
                assert_eq!(ways, [first.clone(), second.clone()], "{heap:?}");
                assert!(walks <= 4, "{walks} walks for {heap:?}");
            }
        }
    }

    #[test]
    fn a_long_chain_takes_as_many_walks_as_it_is_long() {
        let mut heap: Vec<(u32, u32)> = (10..40).map(|link| (link, link + 1)).collect();
        heap.insert(0, (100, 10));
        heap.push((40, 0));
        let (ways, walks) = search(&heap);
        assert_eq!(ways[0].as_ref().unwrap().1.len(), 2 * ENDS);
        assert_eq!(walks, 32);
    }

    #[test]
    fn what_is_held_in_words() {
        let by = Retained::By {
            root: "static a.B.POOL".into(),
            path: vec!["[3]".into(), "a.Own".into()],
        };
        let chain = ["a.Link.next", "a.Link.next", "… 9 more steps", "a.Link.next", "a.Own"];
        let chain =
            Retained::By { root: "thread main".into(), path: chain.map(str::to_owned).into() };
        for (held, words) in [
            (
                chain,
                "held by thread main → a.Link.next (2 times) → … 9 more steps → a.Link.next → a.Own",
            ),
            (by, "held by static a.B.POOL → [3] → a.Own"),
            (Retained::Nothing(None), "unreachable, not yet collected"),
            (Retained::Nothing(Some(ReferenceStrength::Cleared)), "unreachable, not yet collected"),
            (
                Retained::Nothing(Some(ReferenceStrength::Finalizer)),
                "unreachable but for its finalizer, not yet collected",
            ),
            (Retained::Nothing(Some(ReferenceStrength::Soft)), "held by a SoftReference only"),
            (Retained::Unknown("given up".into()), "given up"),
        ] {
            assert_eq!(held.words(), words);
        }
    }

    #[test]
    fn the_strongest_of_the_weak_counts() {
        let mut graph: Graph<()> = Graph::new(2);
        let holder = graph.add();
        graph.refers(holder, 0, None);
        for weak in
            [ReferenceStrength::Finalizer, ReferenceStrength::Soft, ReferenceStrength::Cleared]
        {
            graph.weakly(holder, weak);
        }
        assert_eq!(
            (graph.weak_hold(0), graph.weak_hold(1)),
            (Ok(Some(ReferenceStrength::Soft)), Ok(None))
        );
    }
}
