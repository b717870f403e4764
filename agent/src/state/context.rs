//! What most functions above this floor need: the agent, the audit, the thread's JNI environment.

use super::agent::Agent;
use super::audit::Audit;
use crate::sys::jni::Jni;

/// The agent and an audit, on the current thread.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) agent: &'a Agent,
    /// Held by the caller, so that it does not end meanwhile.
    pub(crate) audit: &'a Audit,
    pub(crate) jni: Jni,
}
