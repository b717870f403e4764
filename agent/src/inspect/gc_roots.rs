//! Who keeps a few live streams: walks over the heap from the roots, with tags of their own.
//!
//! Each walk tells who refers to what is tagged so far, and tags those; see [`zaudit_core::analysis::retention`]. Invariant: it runs in an
//! environment of its own, which knows of no events, so that no tag of an audit is touched and nothing has to be told when
//! it goes; the program stands still no longer than was allowed.

mod names;

use crate::observe::guard;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Again, Jvmti, Reference, Result, jclass, jlong, jmethodID, jvmtiError};
use jvmti_bindings::sys::jvmti as raw;
use names::Names;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use zaudit_core::analysis::classify::classify;
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::retention::{Graph, Node, ReferenceStrength, Retained, Retention};
use zaudit_core::model::{OutOfMemory, push};
use zaudit_core::options::Options;

/// How many streams are looked at in one report, worst sites first.
const STREAMS: usize = 256;
/// How many objects are tagged at most: some 100 bytes each, while it lasts.
const OBJECTS: usize = 200_000;
/// Walks after which instances of the classes that it has come to are followed all at once: they are links of a chain.
const PATIENCE: usize = 3;
/// References between two looks at the clock.
const LOOK: u32 = 4_096;
/// Room for local references to every loaded class, and to all objects on the ways.
const ROOM: usize = 32_768;

// The tags of this environment: nodes from 1 on, then classes by their number, threads, and classes whose
// static fields were met.
const CLASSES: jlong = 1 << 40;
const THREADS: jlong = 1 << 41;
const HOLDERS: jlong = 1 << 42;

/// A root, as a walk comes by it.
enum Root {
    /// A static field of the class with this tag.
    Static(jlong),
    /// A field of the thread with this tag.
    Thread(jlong),
    /// A frame of a thread.
    Frame { kind: &'static str, thread: jlong, method: jmethodID },
    /// Something else, in words.
    Other(&'static str),
}

/// What is to be known of a class while the heap is walked.
#[derive(Clone, Copy)]
enum Sort {
    /// It is a `java.lang.ref.Reference`, and `referent` has this index.
    ReferenceStrength(ReferenceStrength, u32),
    /// Its instances are links of a chain, perhaps.
    Chain,
    /// Its instances refer to nothing.
    Leaf,
}

/// Half of a usual heap refers to nothing: not to look into that saves half of a walk.
const LEAVES: [&str; 16] = [
    "Ljava/lang/String;",
    "Ljava/lang/Boolean;",
    "Ljava/lang/Byte;",
    "Ljava/lang/Character;",
    "Ljava/lang/Double;",
    "Ljava/lang/Float;",
    "Ljava/lang/Integer;",
    "Ljava/lang/Long;",
    "[B",
    "[C",
    "[D",
    "[F",
    "[I",
    "[J",
    "[S",
    "[Z",
];

/// Looks who keeps up to so many live streams of each suspect site.
pub(crate) fn look(agent: &Agent, audit: &Audit, jni: Jni, options: &Options) -> Retention {
    let (each, wait) = (options.gc_roots, options.gc_roots_timeout);
    if each == 0 {
        return Retention::default();
    }
    let streams = worst_streams(agent, audit, each).unwrap_or_else(|OutOfMemory| {
        audit.session.unreadable("the process had no memory left to search who keeps live instances");
        Vec::new()
    });
    if streams.is_empty() {
        return Retention::default();
    }
    let found = jni.with_locals(ROOM, || {
        let jvmti = agent.new_environment()?;
        let found = search(jvmti, audit, jni, wait, &streams).map_err(|error| error.to_string());
        // SAFETY: nobody else has it.
        let gone = unsafe { jvmti.dispose() }.map_err(|error| error.to_string());
        let found = found?;
        gone.map(|()| found)
    });
    let (held, pause) =
        found.unwrap_or_else(|| Err("the JVM has no memory left".into())).unwrap_or_else(|why| {
            let unknown = Retained::Unknown(format!("who holds it could not be looked for: {why}"));
            (vec![unknown; streams.len()], Duration::ZERO)
        });
    let mut retention = Retention { pause: Some(pause), ..Retention::default() };
    for ((site, _), held) in streams.iter().zip(held) {
        retention.streams.entry(*site).or_default().push(held);
    }
    retention
}

/// The oldest live streams of the worst suspects, each with its site.
fn worst_streams(
    agent: &Agent,
    audit: &Audit,
    each: usize,
) -> std::result::Result<Vec<(u64, jlong)>, OutOfMemory> {
    let snapshot = audit.session.snapshot(agent.now(), audit.options.min_age)?;
    let classification = classify(&snapshot, &Footprint::default(), &audit.expected.rules)?;
    let suspects = classification.sites.iter().filter(|site| site.stats.suspects > 0);
    let worst: Vec<u64> = suspects.map(|site| site.site.stable_id).take(STREAMS.div_ceil(each)).collect();
    let oldest = audit.session.oldest(&worst, each);
    let tags =
        oldest.into_iter().flat_map(|(site, ids)| ids.into_iter().map(move |id| (site, id.0.cast_signed())));
    Ok(tags.take(STREAMS).collect())
}

fn search(
    jvmti: Jvmti,
    audit: &Audit,
    jni: Jni,
    wait: Duration,
    streams: &[(u64, jlong)],
) -> Result<(Vec<Retained>, Duration)> {
    let mut wanted = raw::jvmtiCapabilities::default();
    wanted.set_can_tag_objects(true);
    jvmti.add_capabilities(&wanted)?;
    let mut walk = Walk::new(jvmti, streams.len());
    walk.tag_threads()?;
    walk.tag_classes(jni)?;
    let ids: Vec<jlong> = streams.iter().map(|(_, tag)| *tag).collect();
    let mut alive = vec![false; streams.len()];
    for (id, stream) in audit.jvmti.objects_with_any(&ids)? {
        if let Some(node) = ids.iter().position(|known| *known == id) {
            jvmti.set_tag(stream, tag_of(Node::try_from(node).unwrap_or(Node::MAX)))?;
            alive.get_mut(node).into_iter().for_each(|alive| *alive = true);
        }
        // A reference of ours would be a root.
        jni.delete_local(stream);
    }
    let gave_up = walk.run(jni, wait)?;
    let ways = walk.graph.ways().map_err(no_memory)?;
    let names = Names::of(jvmti, jni, &ways)?;
    let held = ways.into_iter().zip(alive).enumerate().map(|(node, (way, alive))| {
        Ok(match (way, &gave_up) {
            (Some((root, steps)), _) => names.held(root, &steps),
            (None, _) if !alive => Retained::Unknown("it was ended or collected meanwhile".into()),
            (None, Some(why)) => Retained::Unknown(why.clone()),
            (None, None) => {
                let node = Node::try_from(node).unwrap_or(Node::MAX);
                Retained::Nothing(walk.graph.weak_hold(node).map_err(no_memory)?)
            }
        })
    });
    Ok((held.collect::<Result<_>>()?, walk.pause))
}

fn no_memory(_: OutOfMemory) -> jvmtiError {
    jvmtiError::OUT_OF_MEMORY
}

fn tag_of(node: Node) -> jlong {
    jlong::from(node) + 1
}

/// The node that a tag stands for, if it is one.
fn node_of(tag: jlong) -> Option<Node> {
    (1..CLASSES).contains(&tag).then(|| Node::try_from(tag - 1).unwrap_or(Node::MAX))
}

/// The walks, and what they have found.
struct Walk {
    jvmti: Jvmti,
    graph: Graph<Root>,
    sorts: Vec<Sort>,
    /// How many classes with static fields were tagged.
    holders: jlong,
    pause: Duration,
}

impl Walk {
    fn new(jvmti: Jvmti, streams: usize) -> Walk {
        Walk { jvmti, graph: Graph::new(streams), sorts: Vec::new(), holders: 0, pause: Duration::ZERO }
    }

    /// Threads are roots, and named: they must be told from other objects.
    fn tag_threads(&self) -> Result<()> {
        for (number, thread) in self.jvmti.threads()?.into_iter().enumerate() {
            self.jvmti.set_tag(thread, THREADS + jlong::try_from(number).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Classes of references that keep nothing alive, and of what refers to nothing.
    fn tag_classes(&mut self, jni: Jni) -> Result<()> {
        let all = self.jvmti.loaded_classes()?;
        // Others may have the same names elsewhere, but none of these.
        let [mut reference, mut soft, mut last] = [None; 3];
        for class in &all {
            match self.jvmti.class_signature(*class)?.as_str() {
                "Ljava/lang/ref/Reference;" => reference = Some(*class),
                "Ljava/lang/ref/SoftReference;" => soft = Some(*class),
                "Ljava/lang/ref/FinalReference;" => last = Some(*class),
                name if LEAVES.contains(&name) => self.tag_class(*class, Sort::Leaf)?,
                _ => {}
            }
        }
        let (Some(reference), Some(soft), Some(last)) = (reference, soft, last) else { return Ok(()) };
        let fields = self.jvmti.fields(reference)?;
        let referent =
            fields.iter().position(|field| field.name == "referent").ok_or(jvmtiError::NOT_FOUND)?;
        for class in all.into_iter().filter(|class| jni.is_assignable(*class, reference)) {
            let weak = match () {
                () if jni.is_assignable(class, soft) => ReferenceStrength::Soft,
                () if jni.is_assignable(class, last) => ReferenceStrength::Finalizer,
                () => ReferenceStrength::Cleared,
            };
            // Fields of interfaces come first (JVMTI, jvmtiHeapReferenceInfoField), then those of Reference.
            let index = self.count_interface_fields(jni, class)? + referent;
            self.tag_class(class, Sort::ReferenceStrength(weak, u32::try_from(index).unwrap_or(u32::MAX)))?;
        }
        Ok(())
    }

    fn tag_class(&mut self, class: jclass, sort: Sort) -> Result<()> {
        let number = jlong::try_from(self.sorts.len()).unwrap_or(0);
        push(&mut self.sorts, sort).map_err(no_memory)?;
        self.jvmti.set_tag(class, CLASSES + number)
    }

    /// Fields of all interfaces that a class has, each interface once.
    fn count_interface_fields(&self, jni: Jni, class: jclass) -> Result<usize> {
        let (mut seen, mut count) = (HashSet::new(), 0);
        let mut todo = vec![class];
        while let Some(class) = todo.pop() {
            for interface in self.jvmti.interfaces(class)? {
                if seen.insert(self.jvmti.class_signature(interface)?) {
                    count += self.jvmti.count_fields(interface)?;
                    todo.push(interface);
                }
            }
            let superclass = jni.superclass(class);
            todo.extend((!superclass.is_null()).then_some(superclass));
        }
        Ok(count)
    }

    /// Walks until nothing more is to be found. Why it ended before, if it did.
    fn run(&mut self, jni: Jni, wait: Duration) -> Result<Option<String>> {
        for walks in 1.. {
            let began = Instant::now();
            let mut left = LOOK;
            let mut stopped = None;
            let (graph, sorts, pause) = (&mut self.graph, &self.sorts, self.pause);
            let holders = &mut self.holders;
            let walked = self.jvmti.follow(|reference| {
                if graph.is_incomplete() {
                    return Again::Stop;
                }
                left -= 1;
                if left == 0 {
                    left = LOOK;
                    if pause + began.elapsed() > wait {
                        stopped = Some(format!(
                            "not found: the search was given up after {wait:?} (option gc_roots_timeout)"
                        ));
                        return Again::Stop;
                    }
                }
                if graph.nodes() >= OBJECTS {
                    stopped = Some(format!("not found: the search was given up after {OBJECTS} objects"));
                    return Again::Stop;
                }
                // The JVM stands on the other side of this call, too.
                guard::entry(|| see(graph, sorts, holders, reference)).unwrap_or(Again::Stop)
            });
            self.pause += began.elapsed();
            walked?;
            if self.graph.is_incomplete() {
                return Err(jvmtiError::OUT_OF_MEMORY);
            }
            if stopped.is_some() || !self.graph.settle().map_err(no_memory)? {
                return Ok(stopped);
            }
            if walks >= PATIENCE {
                self.follow_chains(jni)?;
            }
        }
        Ok(None)
    }

    /// Has all instances of the classes that the search has come to followed, linked lists above all: else each link would
    /// take a walk.
    fn follow_chains(&mut self, jni: Jni) -> Result<()> {
        let tags: Vec<jlong> = self.graph.frontier().take(64).map(tag_of).collect();
        let objects = self.jvmti.objects_with_any(&tags)?;
        for (_, object) in objects {
            let class = jni.class_of(object);
            jni.delete_local(object);
            let is_array = self.jvmti.class_signature(class)?.starts_with('[');
            if !is_array && self.jvmti.tag(class)? == 0 {
                self.tag_class(class, Sort::Chain)?;
            }
            jni.delete_local(class);
        }
        Ok(())
    }
}

/// Takes one reference in.
fn see(graph: &mut Graph<Root>, sorts: &[Sort], holders: &mut jlong, reference: &Reference) -> Again {
    let sort = |tag: jlong| sorts.get(usize::try_from(tag - CLASSES).ok()?).copied();
    let (to, tagged) = match node_of(reference.to) {
        Some(node) if graph.wants(node) => (node, reference.to),
        None if reference.to == 0 && matches!(sort(reference.to_class), Some(Sort::Chain)) => {
            let node = graph.add();
            (node, tag_of(node))
        }
        _ => {
            let leaf = matches!(sort(reference.to_class), Some(Sort::Leaf));
            return if leaf { Again::Elsewhere } else { Again::On };
        }
    };
    let from = reference.from.unwrap_or(0);
    let index = match reference.kind {
        raw::JVMTI_HEAP_REFERENCE_FIELD => None,
        raw::JVMTI_HEAP_REFERENCE_ARRAY_ELEMENT => Some(reference.index),
        raw::JVMTI_HEAP_REFERENCE_STATIC_FIELD => {
            // The class is alive: who has it is another question.
            let class = if from == 0 { next(holders) } else { from };
            graph.rooted(to, || Root::Static(class));
            return Again::Tagged(tagged, class);
        }
        other => {
            if let Some(root) = root(other, reference.frame) {
                graph.rooted(to, || root);
            }
            return Again::Tagged(tagged, from);
        }
    };
    if let Some(Sort::ReferenceStrength(weak, referent)) = sort(reference.from_class)
        && reference.index == referent
    {
        graph.weakly(to, weak);
        return Again::Tagged(tagged, from);
    }
    if from >= CLASSES {
        let thread = (THREADS..HOLDERS).contains(&from);
        graph.rooted(to, || if thread { Root::Thread(from) } else { Root::Static(from) });
        return Again::Tagged(tagged, from);
    }
    let holder = node_of(from).unwrap_or_else(|| graph.add());
    if holder != to {
        graph.refers(holder, to, index);
    }
    Again::Tagged(tagged, tag_of(holder))
}

fn next(holders: &mut jlong) -> jlong {
    *holders += 1;
    HOLDERS + *holders
}

/// A root that is no object. None for references that every object has to its class, and classes to each other.
fn root(kind: raw::jvmtiHeapReferenceKind, frame: Option<(jlong, jmethodID)>) -> Option<Root> {
    let (thread, method) = frame.unwrap_or((0, std::ptr::null_mut()));
    Some(match kind {
        raw::JVMTI_HEAP_REFERENCE_STACK_LOCAL => Root::Frame { kind: "a local variable", thread, method },
        raw::JVMTI_HEAP_REFERENCE_JNI_LOCAL => Root::Frame { kind: "a JNI local reference", thread, method },
        raw::JVMTI_HEAP_REFERENCE_JNI_GLOBAL => Root::Other("a JNI global reference"),
        raw::JVMTI_HEAP_REFERENCE_MONITOR => Root::Other("a monitor that is entered"),
        raw::JVMTI_HEAP_REFERENCE_THREAD => Root::Other("a thread"),
        raw::JVMTI_HEAP_REFERENCE_SYSTEM_CLASS => Root::Other("a class of the JDK"),
        raw::JVMTI_HEAP_REFERENCE_CLASS_LOADER => Root::Other("a class loader with classes in use"),
        raw::JVMTI_HEAP_REFERENCE_CONSTANT_POOL => Root::Other("a constant of a class"),
        raw::JVMTI_HEAP_REFERENCE_OTHER => Root::Other("the JVM itself"),
        _ => return None,
    })
}
