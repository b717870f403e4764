//! The agent's own thread: it waits for the bell, enters freed instances into the ledger, and makes reports.
//!
//! A Java thread (`RunAgentThread`), so that it may call JVMTI. Invariant: it sleeps unless somebody rings.

use super::agent::{Agent, FREED_BYTE};
use super::env::{Jni, Jvmti, jclass};
use super::os::{SIGNAL_BYTE, say};
use super::{guard, publish, thread};
use crate::event::Trigger;
use jvmti_bindings::sys::jni::JNIEnv;
use jvmti_bindings::sys::jvmti::jvmtiEnv;
use std::ffi::c_void;

/// The byte that DataDumpRequest rings with.
pub(super) const DATA_DUMP_BYTE: u8 = b'd';

/// Starts the thread, in the system's own group where there is one.
pub(super) fn start(jvmti: Jvmti, jni: Jni, thread_class: jclass) -> Result<(), String> {
    let group = jvmti.top_groups().map_err(|error| error.to_string())?.first().copied();
    let thread = jni
        .new_thread(thread_class, group.unwrap_or(std::ptr::null_mut()), c"zaudit")
        .ok_or("no java.lang.Thread could be made")?;
    jvmti.run_agent_thread(thread, run).map_err(|error| error.to_string())
}

extern "system" fn run(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _argument: *mut c_void) {
    // What this thread does itself is not the program's doing.
    thread::enter();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to an agent thread.
        let jni = unsafe { Jni::new(env) };
        if let Some(agent) = Agent::get() {
            serve(agent, jni);
        }
    });
}

fn serve(agent: &Agent, jni: Jni) {
    let mut buffer = [0; 256];
    while agent.armed() {
        let rung = match agent.bell.wait(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) => {
                // Programs that close every descriptor exist; the last report does not need the bell.
                say(&format!("no more reports on demand: {error}"));
                return;
            }
        };
        if rung.contains(&FREED_BYTE) {
            agent.drain();
        }
        // A storm of signals is one wish.
        for (byte, trigger) in [(SIGNAL_BYTE, Trigger::Signal), (DATA_DUMP_BYTE, Trigger::DataDump)] {
            if rung.contains(&byte) {
                publish::on_demand(agent, jni, trigger);
            }
        }
    }
}
