//! Faults for the test suite (`--features fault-injection`, never in a release): `ZAUDIT_FAULT` names one.
//!
//! Owns nothing else. Invariant: without the variable it does nothing.

use super::jni::Jni;

fn asked(fault: &str) -> bool {
    std::env::var("ZAUDIT_FAULT").is_ok_and(|asked| asked == fault)
}

#[expect(clippy::panic, reason = "a panic is what is asked for")]
fn panic_if(fault: &str) {
    if asked(fault) {
        panic!("injected fault: {fault}");
    }
}

/// `created` panics in the hook; `reenter` makes an Inflater inside it.
pub(super) fn created(jni: Jni) {
    panic_if("created");
    if asked("reenter")
        && let Some(classes) = super::agent::Agent::get().and_then(|agent| agent.classes.get())
    {
        jni.new_object(classes.inflater);
    }
}

/// `ended` panics in the hook.
pub(super) fn ended() {
    panic_if("ended");
}

/// `dump` panics while a report is made.
pub(super) fn dump() {
    panic_if("dump");
}
