//! The agent's own thread: it waits for the bell or for its time, enters freed instances into the ledger, makes reports,
//! arms after `delay` and disarms after `duration`.
//!
//! A Java thread (`RunAgentThread`), so that it may call JVMTI. Invariant: there is one while an audit is under way or
//! waits for its time, and none otherwise; without `interval`, `delay` and `duration` it wakes only when somebody rings.

use super::agent::Agent;
use super::arming::{self, Disarmed};
use super::audit::Audit;
use super::bell::{Bell, Ring};
use super::env::jvmtiError;
use super::jni::Jni;
use super::os::{name_thread, say};
use super::{guard, preparation, publish, thread};
use zaudit_core::model::Trigger;
use zaudit_core::options::Options;
use jvmti_bindings::sys::jni::JNIEnv;
use jvmti_bindings::sys::jvmti::jvmtiEnv;
use std::ffi::c_void;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether there is a thread, and whether there should be.
#[derive(Default)]
pub(super) struct Worker {
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    running: bool,
    /// When to begin an audit, and which.
    waiting: Option<(Instant, Options)>,
}

/// How long disarming waits for the thread to leave: it may be writing to a pipe that nobody reads.
const PATIENCE: Duration = Duration::from_secs(5);

impl Worker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it will arm.
    pub(super) fn arms_at(&self) -> Option<Instant> {
        self.state().waiting.as_ref().map(|(at, _)| *at)
    }

    /// Has it leave, and waits for that, unless it is the one that asks.
    pub(super) fn stop(&self, bell: &Bell) {
        let mut state = self.state();
        (state.wanted, state.waiting) = (false, None);
        bell.ring(Ring::STATE);
        if !IS_WORKER.get() {
            drop(self.gone.wait_timeout_while(state, PATIENCE, |state| state.running));
        }
    }

    /// Whether it is still wanted; one that is not has left, as far as anybody else can tell.
    fn goes_on(&self) -> bool {
        let mut state = self.state();
        if !state.wanted {
            state.running = false;
            self.gone.notify_all();
        }
        state.wanted
    }

    /// It is not there any more, or never was.
    fn leaves(&self) {
        self.state().running = false;
        self.gone.notify_all();
    }
}

thread_local! {
    static IS_WORKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Starts the thread, in the system's own group where there is one; one that waits for its time goes on as it is.
pub(super) fn start(agent: &Agent, jni: Jni, waiting: Option<(Instant, Options)>) -> Result<(), String> {
    let mut state = agent.worker.state();
    (state.wanted, state.waiting) = (true, waiting);
    if std::mem::replace(&mut state.running, true) {
        agent.bell().ring(Ring::STATE);
        return Ok(());
    }
    drop(state);
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
    thread::enter();
    IS_WORKER.set(true);
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to an agent thread.
        let jni = unsafe { Jni::new(env) };
        if let Some(agent) = Agent::get() {
            serve(agent, jni);
        }
    });
    if let Some(agent) = Agent::get()
        && agent.is_over()
    {
        agent.worker.leaves();
    }
}

fn serve(agent: &'static Agent, jni: Jni) {
    while !agent.is_over() && agent.worker.goes_on() {
        let audit = agent.hold_audit();
        let next = match &audit {
            Some(audit) => earliest(audit.next_snapshot(), audit.ends_at()),
            None => agent.worker.arms_at(),
        };
        name_thread(if audit.is_some() { c"zaudit" } else { c"zaudit-delay" });
        // Not held while it sleeps: an audit that ends meanwhile is given back by whoever ends it.
        drop(audit);
        let rung = agent.bell().wait(next);
        match agent.hold_audit() {
            None => {
                if rung.has(Ring::FREED) {
                    agent.forget_freed();
                }
                arm_if_due(agent, jni);
            }
            Some(audit) => {
                if rung.has(Ring::FREED) {
                    agent.drain(&audit);
                }
                for (ring, trigger) in [(Ring::SIGNAL, Trigger::Signal), (Ring::DATA_DUMP, Trigger::DataDump)]
                {
                    if rung.has(ring) {
                        publish::on_demand(agent, &audit, jni, trigger);
                    }
                }
                if audit.snapshot_is_due(Instant::now()) {
                    publish::snapshot(agent, &audit);
                }
                if audit.ends_at().is_some_and(|end| end <= Instant::now()) {
                    drop(audit);
                    disarm_if_due(agent, jni);
                }
            }
        }
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

fn arm_if_due(agent: &'static Agent, jni: Jni) {
    let is_due = || agent.worker.arms_at().is_some_and(|time| time <= Instant::now());
    if !is_due() {
        return;
    }
    // Whoever has the right to arm may change the time, or call it off, until we have it.
    let Some(control) = agent.try_control() else { return pause() };
    if !is_due() {
        return;
    }
    let Some((_, options)) = agent.worker.state().waiting.take() else { return };
    let (expected, troubles) = preparation::look(&options);
    troubles.iter().for_each(|line| say(line));
    if let Err(why) = arming::arm(agent, &control, jni, &options, expected) {
        agent.worker.state().wanted = false;
        say(&format!("nothing is audited: {why}"));
    }
}

fn disarm_if_due(agent: &'static Agent, jni: Jni) {
    // Somebody who arms or disarms just now may wait for this thread.
    let Some(control) = agent.try_control() else { return pause() };
    // It may be another audit by now.
    let ends_at = agent.audit().as_deref().and_then(Audit::ends_at);
    if ends_at.is_none_or(|end| end > Instant::now()) {
        return;
    }
    match arming::disarm(agent, &control, jni, Trigger::Duration, None) {
        Disarmed::Over(Err(why)) => say(&why),
        Disarmed::NotYet | Disarmed::NoReport(_) => pause(),
        Disarmed::Over(Ok(_)) | Disarmed::Nothing => {}
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
