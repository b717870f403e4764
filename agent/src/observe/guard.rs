//! The boundary to the JVM: no panic crosses it, no hook runs inside a hook.
//!
//! Every function that the JVM calls does its work in [`entry`] or [`hook`]. Invariant: after a
//! panic anywhere the agent shuts down, prints one message with a native backtrace, and the program
//! continues.

use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::context::Context;
use crate::state::slots::{self, Inside};
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::posix::say;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the body of an entry that is not a hook. None if it panicked.
pub(crate) fn entry<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // A panic payload may panic when it is dropped; leaking it costs a few bytes, once.
            std::mem::forget(payload);
            shut_down_after_panic();
            None
        }
    }
}

/// A hook at work: the thread is inside, unless it says otherwise.
pub(crate) struct Hook {
    pub(crate) agent: &'static Agent,
    pub(crate) jni: Jni,
    pub(crate) inside: Inside,
}

impl Hook {
    /// The audit under way, if it counts.
    #[inline]
    pub(crate) fn audit(&self) -> Option<&Arc<Audit>> {
        self.agent.audit(&self.inside).filter(|audit| audit.is_counting())
    }

    /// Runs something that calls the JVM or takes long. What it returns belongs to an audit that
    /// may have ended meanwhile.
    pub(crate) fn outside<T>(&mut self, body: impl FnOnce(Context<'_>) -> T) -> Option<T> {
        let audit = Arc::clone(self.audit()?);
        let (agent, jni) = (self.agent, self.jni);
        #[cfg(feature = "fault-injection")]
        crate::sys::fault_injection::calls();
        let number = audit.number;
        // If this is the last reference to the audit, it is disposed of, which calls the JVM.
        let done = self.inside.outside(move || {
            jni.check_exceptions();
            let done = body(Context { agent, audit: &audit, jni });
            drop(audit);
            done
        });
        self.audit().is_some_and(|current| current.number == number).then_some(done)
    }
}

/// Runs the body of a hook: only during an audit, and not inside another hook of the same thread.
#[inline]
pub(crate) fn hook(jni: Jni, body: impl FnOnce(&mut Hook)) {
    let Some(agent) = Agent::get() else { return };
    let Some(slot) = slots::here() else { return agent.uncounted() };
    let Some(inside) = Inside::enter_hook(slot) else {
        if let Some(audit) = agent.hold_audit() {
            audit.session.record_dropped("created or ended inside the agent's own code");
        }
        return;
    };
    // The hook is dropped before a panic is handled: the agent shuts down from outside.
    entry(move || {
        let mut hook = Hook { agent, jni, inside };
        if hook.audit().is_some() {
            body(&mut hook);
        }
    });
}

/// Runs the body of a callback that needs an audit and may call the JVM.
pub(crate) fn during_audit(jni: Jni, body: impl FnOnce(Context<'_>)) {
    hook(jni, |hook| _ = hook.outside(body));
}

fn shut_down_after_panic() {
    if Agent::get().is_some_and(Agent::shut_down) {
        say(
            "auditing has stopped after an internal error, and there will be no report; the program continues. \
             Please report the lines above",
        );
    }
}

/// Prints the agent's panics (its own copy of the standard library) as messages of the agent.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        // Several threads may hit the same defect before the first of them has shut the agent down.
        static PRINTED: AtomicBool = AtomicBool::new(false);
        if PRINTED.swap(true, Ordering::AcqRel) {
            return;
        }
        let what = panic.payload_as_str().unwrap_or("panic");
        let place = panic
            .location()
            .map(|at| format!(" at {}:{}", at.file(), at.line()))
            .unwrap_or_default();
        say(&format!("internal error{place}: {what}"));
        let mut text = String::new();
        backtrace::trace(|frame| {
            let (module, offset) = module_of(frame.ip());
            let _ = write!(text, "zaudit:   {module}+{offset:#x}");
            // Reading symbols needs large tables.
            if allocator::is_pressed() {
                text.push('\n');
                return true;
            }
            backtrace::resolve_frame(frame, |symbol| {
                if let Some(name) = symbol.name() {
                    let _ = write!(text, " {name:#}");
                }
            });
            text.push('\n');
            true
        });
        crate::sys::posix::write_stderr(text.as_bytes());
    }));
}

/// File name of the library that contains an address, and the offset in it: the input of
/// `addr2line`, also for a stripped library.
fn module_of(address: *mut std::ffi::c_void) -> (String, usize) {
    // SAFETY: a zeroed `Dl_info` is valid, and `dladdr` fills it.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `dladdr` takes any address.
    if unsafe { libc::dladdr(address, &mut info) } == 0 || info.dli_fname.is_null() {
        return ("?".into(), address as usize);
    }
    // SAFETY: the loader's strings are NUL-terminated and live as long as the library.
    let path = unsafe { std::ffi::CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    (name, (address as usize).wrapping_sub(info.dli_fbase as usize))
}
