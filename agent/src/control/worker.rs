//! The agent's own thread: it waits for the bell or for its time, enters freed instances into the ledger, makes reports,
//! arms after `delay` and disarms after `duration`.
//!
//! A Java thread (`RunAgentThread`), so that it may call JVMTI. Invariant: there is one while an audit is under way or
//! waits for its time, and none otherwise; without `interval`, `delay` and `duration` it wakes only when somebody rings.

use crate::observe::{guard, threads};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::worker_handle;
use crate::sys::jni::Jni;
use crate::sys::jvmti::jvmtiError;
use crate::sys::posix::name_thread;
use crate::sys::wake::WakeReason;
use jvmti_bindings::sys::jni::JNIEnv;
use jvmti_bindings::sys::jvmti::jvmtiEnv;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use zaudit_core::model::Trigger;
use zaudit_core::options::Options;

/// What the thread is to do; [`super::lifecycle`] says how.
pub(crate) struct Duties {
    /// Begins the audit whose time has come.
    pub(crate) arm_if_due: fn(&'static Agent, Jni),
    /// Ends the audit whose time is over.
    pub(crate) disarm_if_due: fn(&'static Agent, Jni),
    /// Makes a report on demand.
    pub(crate) report: fn(&Agent, &Audit, Jni, Trigger),
    /// Makes a snapshot.
    pub(crate) snapshot: fn(&Agent, &Audit),
}

static DUTIES: OnceLock<&'static Duties> = OnceLock::new();

/// Starts the thread, in the system's own group where there is one; one that waits for its time goes on as it is.
pub(crate) fn start(
    agent: &Agent,
    jni: Jni,
    duties: &'static Duties,
    waiting: Option<(Instant, Options)>,
) -> Result<(), String> {
    DUTIES.get_or_init(|| duties);
    if agent.worker.starts(waiting) {
        agent.waker().wake(WakeReason::STATE);
        return Ok(());
    }
    let started = launch(agent, jni);
    if started.is_err() {
        agent.worker.leaves();
    }
    started
}

fn launch(agent: &Agent, jni: Jni) -> Result<(), String> {
    let classes = agent.classes.get().ok_or("the JDK's classes are not known")?;
    let group = agent.jvmti.top_groups().map_err(|error| error.to_string())?.first().copied();
    let thread = jni
        .new_thread(classes.thread, group.unwrap_or(std::ptr::null_mut()), c"zaudit")
        .ok_or("no java.lang.Thread could be made")?;
    agent.jvmti.run_agent_thread(thread, run).map_err(|error: jvmtiError| error.to_string())
}

extern "system" fn run(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _argument: *mut c_void) {
    // What this thread does itself is not the program's doing.
    let _inside = threads::enter();
    worker_handle::this_is_it();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to an agent thread.
        let jni = unsafe { Jni::new(env) };
        if let (Some(agent), Some(duties)) = (Agent::get(), DUTIES.get()) {
            serve(agent, jni, duties);
        }
    });
    if let Some(agent) = Agent::get()
        && agent.is_over()
    {
        agent.worker.leaves();
    }
}

fn serve(agent: &'static Agent, jni: Jni, duties: &Duties) {
    while !agent.is_over() && agent.worker.goes_on() {
        let audit = agent.hold_audit();
        let next = match &audit {
            Some(audit) => earliest(audit.next_snapshot(), audit.ends_at()),
            None => agent.worker.arms_at(),
        };
        name_thread(if audit.is_some() { c"zaudit" } else { c"zaudit-delay" });
        // Not held while it sleeps: an audit that ends meanwhile is given back by whoever ends it.
        drop(audit);
        let reasons = agent.waker().wait(next);
        match agent.hold_audit() {
            None => {
                if reasons.has(WakeReason::FREED) {
                    agent.forget_freed();
                }
                (duties.arm_if_due)(agent, jni);
            }
            Some(audit) => {
                if reasons.has(WakeReason::FREED) {
                    agent.drain(&audit);
                }
                for (wake, trigger) in
                    [(WakeReason::SIGNAL, Trigger::Signal), (WakeReason::DATA_DUMP, Trigger::DataDump)]
                {
                    if reasons.has(wake) {
                        (duties.report)(agent, &audit, jni, trigger);
                    }
                }
                if audit.snapshot_is_due(Instant::now()) {
                    (duties.snapshot)(agent, &audit);
                }
                if audit.ends_at().is_some_and(|end| end <= Instant::now()) {
                    drop(audit);
                    (duties.disarm_if_due)(agent, jni);
                }
            }
        }
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// For somebody who holds a lock that this thread wants, and may wait for this thread.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
