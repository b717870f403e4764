//! Forces a GC before a report, and waits until finalizers and Cleaners have finished.
//!
//! The JVM has no call that waits until the finalizer and Cleaner threads have done their work, so
//! the agent polls: the queues of the JDK's finalizer and Cleaner must be empty, and each of these
//! threads must wait for work. Invariant: the wait is bounded by `gc_timeout`, and the report says
//! if it timed out.

use crate::observe::threads;
use crate::state::agent::Agent;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jobject, jvmtiError};
use std::time::{Duration, Instant};

/// At least two: what a GC finds may be held by objects that the previous GC passed to finalizers.
const ROUNDS: usize = 2;

/// How many consecutive polls must find everything idle: a thread that was just notified still
/// looks as if it waited.
const IDLE_POLLS: u32 = 10;
/// How many idle polls in total suffice: while the program runs, its own GCs always give finalizers
/// new work (JDK 8 queues every instance, ended or not), and each idle poll shows that the work
/// before it is done.
const IDLE_POLLS_IN_TOTAL: u32 = 5 * IDLE_POLLS;
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// What an incomplete GC means for the report.
pub(crate) const MAYBE_GARBAGE: &str = "unreachable instances may be reported as live";

/// Enough local references for all threads.
const LOCAL_REFS: usize = 16_384;

/// Forces a GC and waits at most `timeout`. Returns the reason if that is incomplete.
pub(crate) fn collect_and_wait(agent: &Agent, jni: Jni, timeout: Duration) -> Option<String> {
    let deadline = Instant::now() + timeout;
    for _ in 0..ROUNDS {
        if let Err(error) = agent.jvmti.force_gc() {
            return Some(format!(
                "no GC before this report: JVMTI ForceGarbageCollection failed: {error}; {MAYBE_GARBAGE}"
            ));
        }
        match wait_until_idle(agent, jni, deadline) {
            Ok(true) => {}
            Ok(false) => {
                return Some(format!(
                    "finalizers and Cleaners did not finish within {timeout:?} (option gc_timeout); {MAYBE_GARBAGE}"
                ));
            }
            Err(error) => {
                return Some(format!(
                    "cannot observe whether finalizers have finished: {error}; {MAYBE_GARBAGE}"
                ));
            }
        }
    }
    None
}

/// How long a report without a forced GC waits for the JDK's own Cleaner.
const CLEANER_TIMEOUT: Duration = Duration::from_millis(100);
const CLEANER_POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Waits until the JDK's own Cleaner has freed what an earlier GC has found: right after a GC of
/// the program, a report would have these instances as live. Returns at once if it has nothing to
/// do.
pub(crate) fn wait_for_cleaner(agent: &Agent, jni: Jni) {
    let Some(classes) = agent.classes.get() else { return };
    let began = Instant::now();
    let mut was_busy = false;
    while began.elapsed() < CLEANER_TIMEOUT {
        let is_busy = classes.is_cleaner_busy(jni);
        if !is_busy && !was_busy {
            return;
        }
        // What it took out of its queue last may not be through yet.
        was_busy = is_busy;
        std::thread::sleep(CLEANER_POLL_INTERVAL);
    }
}

/// Waits until the finalizer and Cleaner threads are idle. Returns false if the time ran out.
fn wait_until_idle(agent: &Agent, jni: Jni, deadline: Instant) -> Result<bool> {
    jni.with_locals(LOCAL_REFS, || {
        let reclaimers = reclaimers(agent, jni)?;
        let (mut idle, mut in_total) = (0, 0);
        while idle < IDLE_POLLS && in_total < IDLE_POLLS_IN_TOTAL {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(POLL_INTERVAL);
            let queued = agent.classes.get().is_some_and(|classes| {
                classes.finalizers_queued(jni) || classes.is_cleaner_busy(jni)
            });
            let mut all_idle = !queued;
            for one in &reclaimers {
                all_idle &= of_living(threads::is_idle(agent, jni, *one), true)?;
            }
            idle = if all_idle { idle + 1 } else { 0 };
            in_total += u32::from(all_idle);
        }
        Ok(true)
    })
    .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

fn reclaimers(agent: &Agent, jni: Jni) -> Result<Vec<jobject>> {
    let mut reclaimers = Vec::new();
    for one in agent.jvmti.threads()? {
        if of_living(threads::is_reclaimer(agent, jni, one), false)? {
            reclaimers.push(one);
        } else {
            jni.delete_local(one);
        }
    }
    Ok(reclaimers)
}

/// What was found of a thread, or `ended` if it has ended meanwhile: it has nothing left to do.
fn of_living(found: Result<bool>, ended: bool) -> Result<bool> {
    match found {
        Err(jvmtiError::THREAD_NOT_ALIVE | jvmtiError::INVALID_THREAD) => Ok(ended),
        found => found,
    }
}
