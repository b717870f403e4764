//! A collection before a report, and the wait for what it leaves to finalizers and Cleaners.
//!
//! The JVM has no call that waits until the reclaiming threads have done their work, so they are watched: the
//! pending references first, then each thread in the order in which work flows. Invariant: the wait is bounded
//! by `gc_wait`, and a wait that ran out is said in the report.

use super::agent::Agent;
use super::env::{Jni, Result, jobject};
use crate::event::InstanceId;
use jvmti_bindings::sys::jvmti::JVMTI_THREAD_STATE_WAITING;
use std::time::{Duration, Instant};

/// What a collection finds may be held by what the one before handed to finalizers: two at least.
const ROUNDS: usize = 2;

/// How often one after the other everything must be at rest, and how far apart: a thread that was just
/// notified still looks as if it waited.
const STILL: u32 = 10;
const APART: Duration = Duration::from_millis(2);

/// Collects. Returns what could not be waited for.
pub(super) fn collect(agent: &Agent, jni: Jni) -> Option<String> {
    let deadline = Instant::now() + agent.options.gc_wait;
    for _ in 0..ROUNDS {
        if let Err(error) = agent.jvmti.force_gc() {
            return Some(format!("no collection before this report: {error}; garbage may be called live"));
        }
        match settle(agent, jni, deadline) {
            Ok(true) => {}
            Ok(false) => {
                return Some(format!(
                    "finalizers and Cleaners were not done within {:?} (option gc_wait): what they hold is called live",
                    agent.options.gc_wait
                ));
            }
            Err(error) => {
                return Some(format!(
                    "cannot tell whether finalizers are done: {error}; what they hold is called live"
                ));
            }
        }
    }
    None
}

/// From JDK 26 on no ObjectFree comes once VMDeath was posted (JDK-8355631): the last report asks the heap what
/// the collection before it left. Returns what could not be done.
pub(super) fn count_survivors(agent: &Agent) -> Option<String> {
    let version = agent.jvmti.system_property(c"java.vm.specification.version")?;
    if version.parse::<u32>().is_ok_and(|version| version < 26) || version.starts_with("1.") {
        return None;
    }
    let walked = agent.now();
    match agent.jvmti.tags_in_heap() {
        Ok(tags) => {
            let found = tags.into_iter().map(|tag| InstanceId(tag.cast_unsigned())).collect();
            agent.session.keep(&found, walked, agent.now());
            None
        }
        Err(error) => Some(format!("the heap could not be walked: {error}; garbage may be called live")),
    }
}

/// Waits until the reclaiming threads have been at rest for a while. False when the time ran out.
fn settle(agent: &Agent, jni: Jni, deadline: Instant) -> Result<bool> {
    let queue = FinalizerQueue::find(jni);
    let mut still = 0;
    while still < STILL {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(APART);
        let quiet = queue.as_ref().is_none_or(|queue| queue.empty(jni)) && all_at_rest(agent, jni)?;
        still = if quiet { still + 1 } else { 0 };
    }
    Ok(true)
}

fn all_at_rest(agent: &Agent, jni: Jni) -> Result<bool> {
    let mut quiet = true;
    for thread in agent.jvmti.threads()? {
        // Threads come and go: one that ended meanwhile is at rest.
        quiet = quiet && at_rest(agent, jni, thread).unwrap_or(true);
        jni.delete_local(thread);
    }
    Ok(quiet)
}

/// Whether a thread is not one that reclaims, or waits for work. Names are good enough here: at worst the wait
/// is a little longer or shorter.
fn at_rest(agent: &Agent, jni: Jni, thread: jobject) -> Result<bool> {
    let name = agent.jvmti.thread_name(jni, thread)?;
    let reclaims = matches!(name.as_str(), "Reference Handler" | "Finalizer" | "Secondary finalizer")
        || name.contains("Cleaner");
    if !reclaims || agent.jvmti.thread_state(thread)? & JVMTI_THREAD_STATE_WAITING != 0 {
        return Ok(true);
    }
    // From JDK 9 on the Reference Handler waits inside the VM, where its state says nothing.
    match agent.jvmti.top_method(thread)? {
        Some(method) => Ok(agent.jvmti.method_name(method)? == "waitForReferencePendingList"),
        None => Ok(true),
    }
}

/// `java.lang.ref.Finalizer.queue`: JDK 8 to 28 have it. Where it is gone the threads alone must do.
struct FinalizerQueue {
    queue: jobject,
    length: super::env::jfieldID,
}

impl FinalizerQueue {
    fn find(jni: Jni) -> Option<FinalizerQueue> {
        let finalizer = jni.find_class(c"java/lang/ref/Finalizer")?;
        let class = jni.find_class(c"java/lang/ref/ReferenceQueue")?;
        let field = jni.static_field(finalizer, c"queue", c"Ljava/lang/ref/ReferenceQueue;")?;
        let length = jni.field(class, c"queueLength", c"J")?;
        let queue = jni.static_object_field(finalizer, field);
        jni.delete_local(finalizer);
        jni.delete_local(class);
        (!queue.is_null()).then_some(FinalizerQueue { queue, length })
    }

    fn empty(&self, jni: Jni) -> bool {
        jni.long_field(self.queue, self.length) == 0
    }
}
