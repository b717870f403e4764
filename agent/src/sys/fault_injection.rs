//! Faults for the test suite (`--features fault-injection`, never in a release): `ZAUDIT_FAULT`
//! names one.
//!
//! Owns nothing else. Invariant: without the variable it does nothing.

use super::failing_calls;
use super::jni::Jni;
use super::jvmti::jclass;
use super::posix::say;
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The fault, read once: hooks ask for it, and reading it allocates.
static FAULT: LazyLock<String> =
    LazyLock::new(|| std::env::var("ZAUDIT_FAULT").unwrap_or_default());

fn is_injected(fault: &str) -> bool {
    *FAULT == fault
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

/// `ended` panics in the hook; `slow-end` takes long to reach it.
pub(crate) fn ended() {
    panic_if("ended");
    if is_injected("slow-end") {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `dump` panics while a report is made; `count-hooks` prints how many hooks have allocated, and
/// how many have called the JVM.
pub(crate) fn dump() {
    panic_if("dump");
    if is_injected("count-hooks") {
        let [hooks, allocating, calling] =
            [&HOOKS, &ALLOCATING, &CALLING].map(|count| count.load(Ordering::Relaxed));
        say(&format!(
            "of {hooks} hooks {allocating} have allocated and {calling} have called the JVM"
        ));
    }
}

/// Hooks of a native stream that have begun.
static HOOKS: AtomicU64 = AtomicU64::new(0);

/// Those that have allocated.
static ALLOCATING: AtomicU64 = AtomicU64::new(0);

/// Those that have called the JVM.
static CALLING: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is in a hook that has not allocated yet.
    static CLEAN: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is in a hook that has not called the JVM yet.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// A hook of a native stream, until it is dropped.
pub(crate) struct InHook(());

impl InHook {
    /// A hook begins.
    pub(crate) fn begin() -> Self {
        HOOKS.fetch_add(1, Ordering::Relaxed);
        CLEAN.set(true);
        SILENT.set(true);
        Self(())
    }
}

impl Drop for InHook {
    fn drop(&mut self) {
        CLEAN.set(false);
        SILENT.set(false);
    }
}

/// A hook is about to call the JVM.
pub(crate) fn calls() {
    if SILENT.replace(false) {
        CALLING.fetch_add(1, Ordering::Relaxed);
    }
}

/// The bytes that the agent has allocated and not freed.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// A block was freed, or is about to be reallocated.
pub(crate) fn frees(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

/// An audit has ended: logs what the agent still holds.
pub(crate) fn audit_ended() {
    failing_calls::log("holds", HELD.load(Ordering::Relaxed));
}

/// An allocation is about to be made.
pub(crate) fn allocates(bytes: usize) {
    HELD.fetch_add(bytes, Ordering::Relaxed);
    if CLEAN.try_with(|clean| clean.replace(false)).unwrap_or(false) {
        ALLOCATING.fetch_add(1, Ordering::Relaxed);
    }
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
    let out = FAULT.strip_prefix("memory-").map(|rest| rest.strip_suffix(PINNED).unwrap_or(rest))
        == Some(stage);
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
    FAULT.ends_with(PINNED)
}

/// `walk-FIELD+8` or `walk-FIELD-8`: the field of the stack walk's layout that is wrong, and by how
/// much.
pub(crate) fn walk() -> Option<(String, isize)> {
    let field = FAULT.strip_prefix("walk-")?;
    let (name, by) = field.split_at_checked(field.find(['+', '-'])?)?;
    Some((name.to_owned(), by.parse().ok()?))
}

/// `stale-code`: whether what is known of a return address is believed although the code may have
/// gone.
static STALE_CODE: LazyLock<bool> = LazyLock::new(|| is_injected("stale-code"));

/// Whether a remembered return address is believed as it is.
pub(crate) fn stale_code() -> bool {
    *STALE_CODE
}

/// `frozen-sleep`, `frozen-sleep-without-epoch` and `method-ids-sleep`: what a thread reads when it
/// sleeps now and then, as if another process had its processor.
static SLEEPS_AT: LazyLock<Option<&str>> =
    LazyLock::new(|| FAULT.split_once("-sleep").map(|(what, _)| what));

/// Whether GC pauses meanwhile are ignored.
static WITHOUT_EPOCH: LazyLock<bool> = LazyLock::new(|| is_injected("frozen-sleep-without-epoch"));

thread_local! {
    /// A random number, and the reads that are left until the thread sleeps.
    static SLEEPER: Cell<(u64, u64)> = const { Cell::new((0x9e37_79b9_7f4a_7c15, 0)) };
}

/// A read of `frozen` frames or of a class's list of `method-ids` follows.
pub(crate) fn sleep_between_reads(what: &str) {
    if *SLEEPS_AT != Some(what) {
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
