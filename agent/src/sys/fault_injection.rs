//! Faults for the test suite (`--features fault-injection`, never in a release): `ZAUDIT_FAULT` names one.
//!
//! Owns nothing else. Invariant: without the variable it does nothing.

use super::jni::Jni;
use super::jvmti::jclass;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

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
pub(crate) fn created(jni: Jni, inflater: Option<jclass>) {
    panic_if("created");
    if asked("reenter")
        && let Some(inflater) = inflater
    {
        jni.new_object(inflater);
    }
}

/// `ended` panics in the hook.
pub(crate) fn ended() {
    panic_if("ended");
}

/// `dump` panics while a report is made.
pub(crate) fn dump() {
    panic_if("dump");
}

/// Whether no thread gets memory.
static NO_MEMORY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread gets none.
    static NONE_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the C library has no memory for this allocation, as far as a fault says.
pub(crate) fn memory_is_out() -> bool {
    NO_MEMORY.load(Ordering::Relaxed) || NONE_HERE.try_with(Cell::get).unwrap_or(false)
}

/// A stage without memory, until it is dropped.
pub(crate) struct Stage(bool);

/// `memory-STAGE`: on this thread there is none while the stage lasts. `memory-STAGE-pinned`: the reserve is used up, too.
pub(crate) fn memory(stage: &str) -> Stage {
    let out = std::env::var("ZAUDIT_FAULT").is_ok_and(|asked| {
        asked.strip_prefix("memory-").map(|rest| rest.strip_suffix(PINNED).unwrap_or(rest)) == Some(stage)
    });
    Stage(out && !NONE_HERE.replace(true))
}

/// What uses the reserve up from the start.
const PINNED: &str = "-pinned";

impl Drop for Stage {
    fn drop(&mut self) {
        if self.0 {
            NONE_HERE.set(false);
        }
    }
}

/// `memory-all`: no thread ever gets any. Whether the reserve is to be used up, too.
pub(crate) fn loaded() -> bool {
    if asked("memory-all") {
        NO_MEMORY.store(true, Ordering::Relaxed);
    }
    std::env::var("ZAUDIT_FAULT").is_ok_and(|asked| asked.ends_with(PINNED))
}
