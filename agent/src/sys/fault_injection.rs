//! Faults for the test suite (`--features fault-injection`, never in a release): `ZAUDIT_FAULT`
//! names one.
//!
//! Owns nothing else. Invariant: without the variable it does nothing.

use super::jni::Jni;
use super::jvmti::jclass;
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn is_injected(fault: &str) -> bool {
    std::env::var("ZAUDIT_FAULT").is_ok_and(|injected| injected == fault)
}

#[expect(clippy::panic, reason = "the fault is a panic")]
fn panic_if(fault: &str) {
    if is_injected(fault) {
        panic!("injected fault: {fault}");
    }
}

/// `created` panics in the hook; `reenter` creates an Inflater inside it.
pub(crate) fn created(jni: Jni, inflater: Option<jclass>) {
    panic_if("created");
    if is_injected("reenter")
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

/// `unseen`: what other agents do to classes is not announced.
pub(crate) fn changes_are_unseen() -> bool {
    is_injected("unseen")
}

/// Whether every allocation fails, on all threads.
static NO_MEMORY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether every allocation of this thread fails.
    static NONE_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this allocation must fail.
pub(crate) fn memory_is_out() -> bool {
    NO_MEMORY.load(Ordering::Relaxed) || NONE_HERE.try_with(Cell::get).unwrap_or(false)
}

/// A stage whose allocations fail, until it is dropped.
pub(crate) struct Stage(bool);

/// `memory-STAGE`: allocations of this thread fail during the stage. `memory-STAGE-pinned`: the
/// reserve is used up, too.
pub(crate) fn memory(stage: &str) -> Stage {
    let out = std::env::var("ZAUDIT_FAULT").is_ok_and(|fault| {
        fault.strip_prefix("memory-").map(|rest| rest.strip_suffix(PINNED).unwrap_or(rest))
            == Some(stage)
    });
    Stage(out && !NONE_HERE.replace(true))
}

/// The suffix of faults that use up the reserve from the start.
const PINNED: &str = "-pinned";

impl Drop for Stage {
    fn drop(&mut self) {
        if self.0 {
            NONE_HERE.set(false);
        }
    }
}

/// `memory-all`: every allocation fails. Returns whether the reserve is to be used up, too.
pub(crate) fn loaded() -> bool {
    if is_injected("memory-all") {
        NO_MEMORY.store(true, Ordering::Relaxed);
    }
    std::env::var("ZAUDIT_FAULT").is_ok_and(|fault| fault.ends_with(PINNED))
}

/// `walk-FIELD+8` or `walk-FIELD-8`: the field of the stack walk's layout that is wrong, and by how
/// much.
pub(crate) fn walk() -> Option<(String, isize)> {
    let fault = std::env::var("ZAUDIT_FAULT").ok()?;
    let field = fault.strip_prefix("walk-")?;
    let (name, by) = field.split_at_checked(field.find(['+', '-'])?)?;
    Some((name.to_owned(), by.parse().ok()?))
}

/// `frozen-sleep` and `frozen-sleep-without-epoch`: whether a thread sleeps now and then between
/// two reads of frozen frames, as if another process had its processor.
static SLEEPS: LazyLock<bool> = LazyLock::new(|| {
    std::env::var("ZAUDIT_FAULT").is_ok_and(|fault| fault.starts_with("frozen-sleep"))
});

/// Whether GC pauses meanwhile are ignored.
static WITHOUT_EPOCH: LazyLock<bool> = LazyLock::new(|| is_injected("frozen-sleep-without-epoch"));

thread_local! {
    /// A random number, and the reads that are left until the thread sleeps.
    static SLEEPER: Cell<(u64, u64)> = const { Cell::new((0x9e37_79b9_7f4a_7c15, 0)) };
}

/// A read of frozen frames follows.
pub(crate) fn sleep_between_reads() {
    if !*SLEEPS {
        return;
    }
    SLEEPER.with(|sleeper| {
        let (random, left) = sleeper.get();
        if left > 0 {
            return sleeper.set((random, left - 1));
        }
        let random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        sleeper.set((random, 100 + (random >> 33) % 300));
        std::thread::sleep(Duration::from_micros(2_500));
    });
}

/// Whether frozen frames are believed although a GC pause may have been meanwhile.
pub(crate) fn without_epoch() -> bool {
    *WITHOUT_EPOCH
}
