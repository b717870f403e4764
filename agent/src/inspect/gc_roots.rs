//! Paths from GC roots to a few live instances: heap walks from the roots, with tags of their own.
//!
//! Each walk reports the references to objects tagged so far and tags their holders; see
//! [`zaudit_core::analysis::retention`]. Invariant: the search runs in a JVMTI environment of its
//! own without events, so that it changes no tag of an audit and leaves no pending event behind; it
//! pauses the application no longer than `gc_roots_timeout`.

mod names;

use crate::observe::{adoption, guard};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{
    Jvmti, Primitive, PrimitiveField, Reference, Result, Visit, jclass, jlong, jmethodID,
    jvmtiError, out_of_memory,
};
use jvmti_bindings::sys::jvmti as raw;
use names::Names;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use zaudit_core::analysis::classify::classify;
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::retention::{Graph, Node, ReferenceStrength, Retained, Retention};
use zaudit_core::model::{InstanceId, OutOfMemory, push};
use zaudit_core::options::Options;

/// How many instances one report searches for, worst sites first.
const MAX_INSTANCES: usize = 256;
/// How many objects are tagged at most; each takes some 100 bytes during the search.
const MAX_OBJECTS: usize = 200_000;
/// After this many walks, all instances of the classes reached so far are tagged at once: they are
/// probably links of a chain.
const WALKS_BEFORE_CHAINS: u32 = 3;
/// How many references are visited between two checks of the time limit.
const CLOCK_CHECK_INTERVAL: u32 = 4_096;
/// Enough local references for every loaded class and for all objects on the paths.
const LOCAL_REFS: usize = 32_768;

// The tags of this environment: nodes from 1 on, then classes by their number, threads, and classes
// with a static field on a path.
const CLASSES: jlong = 1 << 40;
const THREADS: jlong = 1 << 41;
const HOLDERS: jlong = 1 << 42;

/// A GC root, as a walk reports it.
enum Root {
    /// A static field of the class with this tag.
    Static(jlong),
    /// A field of the thread with this tag.
    Thread(jlong),
    /// A frame of a thread.
    Frame { kind: &'static str, thread: jlong, method: jmethodID },
    /// Any other root, as text.
    Other(&'static str),
}

/// How the walk treats references to or from the instances of a class.
#[derive(Clone, Copy)]
enum ClassRole {
    /// A `java.lang.ref.Reference`, whose field `referent` has this index.
    Reference(ReferenceStrength, u32),
    /// Its instances may be links of a chain.
    Chain,
    /// Its instances hold no references.
    Leaf,
    /// `java.lang.VirtualThread`.
    VirtualThread,
}

/// The tag of virtual threads that have been started. A walk from the roots visits no others: if a
/// constructor still runs, there is no continuation yet, and HotSpot crashes reading it
/// (`JvmtiEnvBase::is_vthread_alive`, JDK 25 to 28). JDK 21 does not read it; 22 to 24 were not
/// tried.
const STARTED: jlong = -1;
/// The first release in which that may be.
const READS_CONTINUATIONS: u32 = 22;

/// Why nothing can be said of what has no root then.
const NOT_STARTED: &str =
    "not found: virtual threads that were not started when the search began are not searched";

/// Half of a usual heap holds no references: to skip it saves half of a walk.
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

/// Searches for a path to a GC root for up to `gc_roots` live instances of each suspect site.
pub(crate) fn find_paths(context: Context<'_>, options: &Options) -> Retention {
    let Context { agent, audit, jni } = context;
    let (per_site, timeout) = (options.gc_roots, options.gc_roots_timeout);
    if per_site == 0 {
        return Retention::default();
    }
    let instances = worst_instances(agent, audit, per_site).unwrap_or_else(|OutOfMemory| {
        audit
            .session
            .record_unreadable("the process had no memory left to search for paths to GC roots");
        Vec::new()
    });
    if instances.is_empty() {
        return Retention::default();
    }
    let found = jni.with_locals(LOCAL_REFS, || {
        let jvmti = agent.new_environment()?;
        let found = search(jvmti, context, timeout, &instances).map_err(|error| error.to_string());
        // SAFETY: no other code has this environment.
        let disposed = unsafe { jvmti.dispose() }.map_err(|error| error.to_string());
        let found = found?;
        disposed.map(|()| found)
    });
    let (retained, pause) =
        found.unwrap_or_else(|| Err("the JVM is out of memory".into())).unwrap_or_else(|why| {
            let unknown =
                Retained::Unknown(format!("the search for a path to a GC root failed: {why}"));
            (vec![unknown; instances.len()], Duration::ZERO)
        });
    let mut retention = Retention { pause: Some(pause), ..Retention::default() };
    for ((site, _), retained) in instances.iter().zip(retained) {
        retention.streams.entry(*site).or_default().push(retained);
    }
    retention
}

/// The oldest live instances of the worst suspects, each with its site's id.
fn worst_instances(
    agent: &Agent,
    audit: &Audit,
    per_site: usize,
) -> std::result::Result<Vec<(u64, InstanceId)>, OutOfMemory> {
    let snapshot = audit.snapshot(agent.now())?;
    let classification = classify(&snapshot, &Footprint::default(), &audit.expected.rules)?;
    let suspects = classification.sites.iter().filter(|site| site.stats.suspects > 0);
    let worst: Vec<u64> =
        suspects.map(|site| site.site.stable_id).take(MAX_INSTANCES.div_ceil(per_site)).collect();
    let oldest = audit.oldest(&worst, per_site);
    let instances =
        oldest.into_iter().flat_map(|(site, ids)| ids.into_iter().map(move |id| (site, id)));
    Ok(instances.take(MAX_INSTANCES).collect())
}

fn search(
    jvmti: Jvmti,
    context @ Context { jni, .. }: Context<'_>,
    timeout: Duration,
    instances: &[(u64, InstanceId)],
) -> Result<(Vec<Retained>, Duration)> {
    let mut wanted = raw::jvmtiCapabilities::default();
    wanted.set_can_tag_objects(true);
    jvmti.add_capabilities(&wanted)?;
    let mut walk = Walk::new(jvmti, instances.len());
    walk.tag_threads()?;
    walk.tag_classes(jni)?;
    let ids: Vec<InstanceId> = instances.iter().map(|(_, id)| *id).collect();
    let mut alive = vec![false; instances.len()];
    for (id, instance) in adoption::find(context, &ids)? {
        if let Some(node) = ids.iter().position(|known| *known == id) {
            jvmti.set_tag(instance, tag_of(Node::try_from(node).unwrap_or(Node::MAX)))?;
            alive.get_mut(node).into_iter().for_each(|alive| *alive = true);
        }
        // Our local reference would be a root.
        jni.delete_local(instance);
    }
    let stopped = walk.run(jni, timeout)?;
    let paths = walk.graph.ways().map_err(out_of_memory)?;
    let names = Names::of(jvmti, jni, &paths)?;
    let retained = paths.into_iter().zip(alive).enumerate().map(|(node, (path, alive))| {
        Ok(match (path, &stopped) {
            (Some((root, steps)), _) => names.render(root, &steps),
            (None, _) if !alive => {
                Retained::Unknown("it was ended or collected before the search".into())
            }
            (None, Some(why)) => Retained::Unknown(why.clone()),
            (None, None) => {
                let node = Node::try_from(node).unwrap_or(Node::MAX);
                Retained::Nothing(walk.graph.weak_hold(node).map_err(out_of_memory)?)
            }
        })
    });
    Ok((retained.collect::<Result<_>>()?, walk.pause))
}

fn tag_of(node: Node) -> jlong {
    jlong::from(node) + 1
}

/// The node that a tag stands for, if it stands for one.
fn node_of(tag: jlong) -> Option<Node> {
    (1..CLASSES).contains(&tag).then(|| Node::try_from(tag - 1).unwrap_or(Node::MAX))
}

/// Whether a tag is that of a platform thread.
fn is_thread(tag: jlong) -> bool {
    (THREADS..HOLDERS).contains(&tag)
}

/// The heap walks and their results.
struct Walk {
    jvmti: Jvmti,
    graph: Graph<Root>,
    roles: Vec<ClassRole>,
    /// How many untagged classes with a static field on a path were tagged by the walks.
    holders: jlong,
    /// `java.lang.VirtualThread`, while no instance is tagged.
    virtual_thread: Option<jclass>,
    /// Whether a walk has met one, and passed it over.
    passed_over: bool,
    /// How long the walks have paused the application so far.
    pause: Duration,
}

impl Walk {
    fn new(jvmti: Jvmti, instances: usize) -> Walk {
        Walk {
            jvmti,
            graph: Graph::new(instances),
            roles: Vec::new(),
            holders: 0,
            virtual_thread: None,
            passed_over: false,
            pause: Duration::ZERO,
        }
    }

    /// Tags the threads: they are roots with a name of their own.
    fn tag_threads(&self) -> Result<()> {
        for (number, thread) in self.jvmti.threads()?.into_iter().enumerate() {
            self.jvmti.set_tag(thread, THREADS + jlong::try_from(number).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Tags the classes of weak references and the classes whose instances hold no references.
    fn tag_classes(&mut self, jni: Jni) -> Result<()> {
        let all = self.jvmti.loaded_classes()?;
        // Other class loaders may have classes of the same names elsewhere, but not in java.lang.
        let [mut reference, mut soft, mut last] = [None; 3];
        let mut virtual_thread = None;
        for class in &all {
            match self.jvmti.class_signature(*class)?.as_str() {
                "Ljava/lang/ref/Reference;" => reference = Some(*class),
                "Ljava/lang/ref/SoftReference;" => soft = Some(*class),
                "Ljava/lang/ref/FinalReference;" => last = Some(*class),
                "Ljava/lang/VirtualThread;" => virtual_thread = Some(*class),
                name if LEAVES.contains(&name) => self.tag_class(*class, ClassRole::Leaf)?,
                _ => {}
            }
        }
        if let Some(class) = virtual_thread
            && self.jvmti.release() >= READS_CONTINUATIONS
        {
            self.tag_class(class, ClassRole::VirtualThread)?;
            self.virtual_thread = Some(class);
        }
        let (Some(reference), Some(soft), Some(last)) = (reference, soft, last) else {
            return Ok(());
        };
        let referent =
            self.fields_before(jni, reference, "referent")?.ok_or(jvmtiError::NOT_FOUND)?;
        for class in all.into_iter().filter(|class| jni.is_assignable(*class, reference)) {
            let strength = match () {
                () if jni.is_assignable(class, soft) => ReferenceStrength::Soft,
                () if jni.is_assignable(class, last) => ReferenceStrength::Finalizer,
                () => ReferenceStrength::Cleared,
            };
            let index = self.field_index(jni, class, referent)?;
            self.tag_class(class, ClassRole::Reference(strength, index))?;
        }
        Ok(())
    }

    /// Tags the virtual threads whose field `state` is not that of a new one.
    fn tag_started(&mut self, jni: Jni, class: jclass) -> Result<()> {
        let Some(state) = self.fields_before(jni, class, "state")? else { return Ok(()) };
        let state = self.field_index(jni, class, state)?;
        let mut left = MAX_OBJECTS;
        let began = Instant::now();
        let tagged = self.jvmti.each_field(class, |PrimitiveField { index, value, tag }| {
            if index == state && matches!(value, Primitive::Int(value) if value != 0) {
                *tag = STARTED;
                left -= 1;
            }
            left > 0
        });
        self.pause += began.elapsed();
        tagged
    }

    fn tag_class(&mut self, class: jclass, role: ClassRole) -> Result<()> {
        let number = jlong::try_from(self.roles.len()).unwrap_or(0);
        push(&mut self.roles, role).map_err(out_of_memory)?;
        self.jvmti.set_tag(class, CLASSES + number)
    }

    /// How many fields come before this one, those of superclasses included.
    fn fields_before(&self, jni: Jni, class: jclass, name: &str) -> Result<Option<usize>> {
        let fields = self.jvmti.fields(class)?;
        let Some(mut before) = fields.iter().position(|field| field.name == name) else {
            return Ok(None);
        };
        let mut superclass = jni.superclass(class);
        while !superclass.is_null() {
            before += self.jvmti.count_fields(superclass)?;
            superclass = jni.superclass(superclass);
        }
        Ok(Some(before))
    }

    /// The index of a field in instances of a class: those that come before it, and the fields of
    /// all interfaces, each interface once (JVMTI, jvmtiHeapReferenceInfoField).
    fn field_index(&self, jni: Jni, class: jclass, before: usize) -> Result<u32> {
        let (mut seen, mut index) = (HashSet::new(), before);
        let mut todo = vec![class];
        while let Some(class) = todo.pop() {
            for interface in self.jvmti.interfaces(class)? {
                if seen.insert(self.jvmti.class_signature(interface)?) {
                    index += self.jvmti.count_fields(interface)?;
                    todo.push(interface);
                }
            }
            let superclass = jni.superclass(class);
            todo.extend((!superclass.is_null()).then_some(superclass));
        }
        Ok(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Walks until a walk finds nothing new. Returns the reason if the search stopped before that.
    fn run(&mut self, jni: Jni, timeout: Duration) -> Result<Option<String>> {
        let out_of_time =
            || format!("not found: the search stopped after {timeout:?} (option gc_roots_timeout)");
        for walks in 1.. {
            let began = Instant::now();
            let mut until_clock = CLOCK_CHECK_INTERVAL;
            let mut stopped = None;
            let (graph, roles, pause) = (&mut self.graph, &self.roles, self.pause);
            let (holders, passed_over) = (&mut self.holders, &mut self.passed_over);
            let walked = self.jvmti.follow(|reference| {
                if graph.is_incomplete() {
                    return Visit::Abort;
                }
                until_clock -= 1;
                if until_clock == 0 {
                    until_clock = CLOCK_CHECK_INTERVAL;
                    if pause + began.elapsed() > timeout {
                        stopped = Some(out_of_time());
                        return Visit::Abort;
                    }
                }
                if graph.nodes() >= MAX_OBJECTS {
                    stopped =
                        Some(format!("not found: the search stopped after {MAX_OBJECTS} objects"));
                    return Visit::Abort;
                }
                // A panic must not unwind into the JVM, which called this closure.
                guard::entry(|| visit(graph, roles, holders, passed_over, reference))
                    .unwrap_or(Visit::Abort)
            });
            self.pause += began.elapsed();
            walked?;
            if self.graph.is_incomplete() {
                return Err(jvmtiError::OUT_OF_MEMORY);
            }
            if stopped.is_some() {
                return Ok(stopped);
            }
            if !self.graph.settle().map_err(out_of_memory)? {
                // What has no root may be held by the virtual threads that were passed over.
                let Some(class) = self.virtual_thread.take_if(|_| self.passed_over) else {
                    return Ok(self.passed_over.then(|| NOT_STARTED.into()));
                };
                if !self.graph.restart().map_err(out_of_memory)? {
                    return Ok(None);
                }
                // Tagging takes about as long as a walk, and cannot be cut short.
                if self.pause + self.pause / walks > timeout {
                    return Ok(Some(out_of_time()));
                }
                self.passed_over = false;
                self.tag_started(jni, class)?;
                continue;
            }
            if walks >= WALKS_BEFORE_CHAINS {
                self.follow_chains(jni)?;
            }
        }
        Ok(None)
    }

    /// Marks the classes of the frontier, so that the next walk tags all their instances: without
    /// it, each link of a linked list would take a walk.
    fn follow_chains(&mut self, jni: Jni) -> Result<()> {
        let tags: Vec<jlong> = self.graph.frontier().take(64).map(tag_of).collect();
        let objects = self.jvmti.objects_with_any(&tags)?;
        for (_, object) in objects {
            let class = jni.class_of(object);
            jni.delete_local(object);
            let is_array = self.jvmti.class_signature(class)?.starts_with('[');
            if !is_array && self.jvmti.tag(class)? == 0 {
                self.tag_class(class, ClassRole::Chain)?;
            }
            jni.delete_local(class);
        }
        Ok(())
    }
}

/// Records one reference.
fn visit(
    graph: &mut Graph<Root>,
    roles: &[ClassRole],
    holders: &mut jlong,
    passed_over: &mut bool,
    reference: &Reference,
) -> Visit {
    let role = |tag: jlong| roles.get(usize::try_from(tag - CLASSES).ok()?).copied();
    if reference.to == 0 && matches!(role(reference.to_class), Some(ClassRole::VirtualThread)) {
        *passed_over = true;
        return Visit::Skip;
    }
    let (to, tagged) = match node_of(reference.to) {
        Some(node) if graph.wants(node) => (node, reference.to),
        None if reference.to == 0 && matches!(role(reference.to_class), Some(ClassRole::Chain)) => {
            let node = graph.add();
            (node, tag_of(node))
        }
        _ => {
            let leaf = matches!(role(reference.to_class), Some(ClassRole::Leaf));
            return if leaf { Visit::Skip } else { Visit::Continue };
        }
    };
    let from = reference.from.unwrap_or(0);
    let index = match reference.kind {
        raw::JVMTI_HEAP_REFERENCE_FIELD => None,
        raw::JVMTI_HEAP_REFERENCE_ARRAY_ELEMENT => Some(reference.index),
        raw::JVMTI_HEAP_REFERENCE_STATIC_FIELD => {
            // The path ends at the class: what keeps the class alive does not matter.
            let class = if from == 0 { next(holders) } else { from };
            graph.rooted(to, || Root::Static(class));
            return Visit::Retag(tagged, class);
        }
        other => {
            if let Some(root) = root(other, reference.frame) {
                graph.rooted(to, || root);
            }
            return Visit::Retag(tagged, from);
        }
    };
    if let Some(ClassRole::Reference(strength, referent)) = role(reference.from_class)
        && reference.index == referent
    {
        graph.weakly(to, strength);
        return Visit::Retag(tagged, from);
    }
    if from >= CLASSES {
        graph.rooted(to, || if is_thread(from) { Root::Thread(from) } else { Root::Static(from) });
        return Visit::Retag(tagged, from);
    }
    let holder = node_of(from).unwrap_or_else(|| graph.add());
    if holder != to {
        graph.refers(holder, to, index);
    }
    Visit::Retag(tagged, tag_of(holder))
}

fn next(holders: &mut jlong) -> jlong {
    *holders += 1;
    HOLDERS + *holders
}

/// The root that a reference of this kind stands for. None for the references from every object to
/// its class, and between classes.
fn root(kind: raw::jvmtiHeapReferenceKind, frame: Option<(jlong, jmethodID)>) -> Option<Root> {
    let (thread, method) = frame.unwrap_or((0, std::ptr::null_mut()));
    // Tags of virtual threads are no names.
    let thread = if is_thread(thread) { thread } else { 0 };
    Some(match kind {
        raw::JVMTI_HEAP_REFERENCE_STACK_LOCAL => {
            Root::Frame { kind: "a local variable", thread, method }
        }
        raw::JVMTI_HEAP_REFERENCE_JNI_LOCAL => {
            Root::Frame { kind: "a JNI local reference", thread, method }
        }
        raw::JVMTI_HEAP_REFERENCE_JNI_GLOBAL => Root::Other("a JNI global reference"),
        raw::JVMTI_HEAP_REFERENCE_MONITOR => Root::Other("a locked monitor"),
        raw::JVMTI_HEAP_REFERENCE_THREAD => Root::Other("a thread"),
        raw::JVMTI_HEAP_REFERENCE_SYSTEM_CLASS => Root::Other("a system class"),
        raw::JVMTI_HEAP_REFERENCE_CLASS_LOADER => Root::Other("a class loader"),
        raw::JVMTI_HEAP_REFERENCE_CONSTANT_POOL => Root::Other("a constant pool"),
        raw::JVMTI_HEAP_REFERENCE_OTHER => Root::Other("the JVM itself"),
        _ => return None,
    })
}
