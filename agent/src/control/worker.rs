//! The agent's own thread: records freed instances in the ledger, makes reports, arms after `delay`
//! and disarms after `duration`.
//!
//! It is a Java thread (`RunAgentThread`), so that it may call JVMTI. Invariant: it exists while an
//! audit is running or pending, and never otherwise; without `interval`, `delay` and `duration` it
//! runs only when it is woken.

use crate::observe::guard;
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::state::slots;
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

/// What the thread does; [`super::lifecycle`] provides the functions.
pub(crate) struct Duties {
    /// Begins the pending audit if its time has come.
    pub(crate) arm_if_due: fn(&'static Agent, Jni),
    /// Ends the running audit if its time is over.
    pub(crate) disarm_if_due: fn(&'static Agent, Jni),
    /// Makes a report on demand.
    pub(crate) report: fn(Context<'_>, Trigger),
    /// Writes a snapshot.
    pub(crate) snapshot: fn(&Agent, &Audit),
}

static DUTIES: OnceLock<&'static Duties> = OnceLock::new();

/// Starts the thread, in the system's own thread group if there is one. If it already runs, only
/// its pending audit is replaced.
pub(crate) fn start(
    agent: &Agent,
    jni: Jni,
    duties: &'static Duties,
    waiting: Option<(Instant, Options)>,
) -> Result<(), String> {
    DUTIES.get_or_init(|| duties);
    if agent.worker.request(waiting) {
        agent.waker().wake(WakeReason::STATE);
        return Ok(());
    }
    let started = launch(agent, jni);
    if started.is_err() {
        agent.worker.set_gone();
    }
    started
}

fn launch(agent: &Agent, jni: Jni) -> Result<(), String> {
    let classes = agent.classes.get().ok_or("the JDK's classes are not known yet")?;
    let failed = |function: &'static str| {
        move |error: jvmtiError| format!("JVMTI {function} failed: {error}")
    };
    let group = agent.jvmti.top_groups().map_err(failed("GetTopThreadGroups"))?.first().copied();
    let thread = jni
        .new_thread(classes.thread, group.unwrap_or(std::ptr::null_mut()), c"zaudit")
        .ok_or("cannot create a java.lang.Thread: the heap may be full")?;
    agent.jvmti.run_agent_thread(thread, run).map_err(failed("RunAgentThread"))
}

extern "system" fn run(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _argument: *mut c_void) {
    // This thread's own instances are not the program's.
    let _busy = slots::busy();
    worker_handle::mark_current_thread();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to an agent thread.
        let jni = unsafe { Jni::new(env) };
        if let (Some(agent), Some(duties)) = (Agent::get(), DUTIES.get()) {
            serve(agent, jni, duties);
        }
    });
    if let Some(agent) = Agent::get()
        && agent.is_shut_down()
    {
        agent.worker.set_gone();
    }
}

fn serve(agent: &'static Agent, jni: Jni, duties: &Duties) {
    while !agent.is_shut_down() && agent.worker.should_continue() {
        let audit = agent.hold_audit();
        let next = match &audit {
            Some(audit) => earliest(audit.next_snapshot(), audit.ends_at()),
            None => agent.worker.arms_at(),
        };
        name_thread(if audit.is_some() { c"zaudit" } else { c"zaudit-delay" });
        // Not held while the thread sleeps, so that another thread can end the audit and free its
        // memory.
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
                for (wake, trigger) in [
                    (WakeReason::SIGNAL, Trigger::Signal),
                    (WakeReason::DATA_DUMP, Trigger::DataDump),
                ] {
                    if reasons.has(wake) {
                        (duties.report)(Context { agent, audit: &audit, jni }, trigger);
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

/// Lets a thread proceed that holds a lock which this thread wants, and that may wait for this
/// thread.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
