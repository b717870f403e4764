//! A collection before a report, and the wait for what it leaves to finalizers and Cleaners.
//!
//! The JVM has no call that waits until the reclaiming threads have done their work, so they are watched: the
//! finalizers' queue must be empty, and each of these threads must wait for work. Invariant: the wait is bounded
//! by `gc_timeout`, and a wait that ran out is said in the report.

use crate::observe::threads;
use crate::state::agent::Agent;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jobject, jvmtiError};
use std::time::{Duration, Instant};

/// What a collection finds may be held by what the one before handed to finalizers: two at least.
const ROUNDS: usize = 2;

/// How often one after the other everything must be at rest, and how far apart: a thread that was just
/// notified still looks as if it waited.
const STILL: u32 = 10;
/// How often in all will do: where the program goes on, its collections always bring finalizers new work (JDK 8
/// queues every stream, ended or not), and each moment of rest says that the work before it is done.
const STILL_IN_ALL: u32 = 5 * STILL;
const APART: Duration = Duration::from_millis(2);

/// Room for local references to all threads.
const ROOM: usize = 16_384;

/// Collects. Returns what could not be waited for.
pub(crate) fn collect(agent: &Agent, jni: Jni, wait: Duration) -> Option<String> {
    let deadline = Instant::now() + wait;
    for _ in 0..ROUNDS {
        if let Err(error) = agent.jvmti.force_gc() {
            return Some(format!("no collection before this report: {error}; garbage may be called live"));
        }
        match settle(agent, jni, deadline) {
            Ok(true) => {}
            Ok(false) => {
                return Some(format!(
                    "finalizers and Cleaners were not done within {:?} (option gc_timeout): what they hold is called live",
                    wait
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

/// Waits until the reclaiming threads have been at rest for a while. False when the time ran out.
fn settle(agent: &Agent, jni: Jni, deadline: Instant) -> Result<bool> {
    jni.with_locals(ROOM, || {
        let reclaimers = reclaimers(agent, jni)?;
        let (mut still, mut in_all) = (0, 0);
        while still < STILL && in_all < STILL_IN_ALL {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(APART);
            let queued = agent.classes.get().is_some_and(|classes| classes.finalizers_queued(jni));
            // A thread that ended meanwhile cannot be asked, and has nothing left to do.
            let quiet =
                !queued && reclaimers.iter().all(|t| threads::at_rest(agent, jni, *t).unwrap_or(true));
            still = if quiet { still + 1 } else { 0 };
            in_all += u32::from(quiet);
        }
        Ok(true)
    })
    .unwrap_or(Err(jvmtiError::OUT_OF_MEMORY))
}

fn reclaimers(agent: &Agent, jni: Jni) -> Result<Vec<jobject>> {
    let mut reclaimers = Vec::new();
    for one in agent.jvmti.threads()? {
        if threads::reclaims(agent, jni, one).unwrap_or(false) {
            reclaimers.push(one);
        } else {
            jni.delete_local(one);
        }
    }
    Ok(reclaimers)
}
