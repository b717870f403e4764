//! Learns of every change of classes by another agent before it begins, and keeps such changes and
//! our own apart ([`Turns`]): takes the place of two functions of the JVM, RetransformClasses and
//! RedefineClasses, in the table that all JVMTI environments share.
//!
//! JVMTI has no event for that, except ClassFileLoadHook for every class that is loaded.
//! async-profiler takes the same two places, for a similar reason. Invariants: what stood there
//! before is always called; a place is given back only while it is ours, so that nothing of others
//! is lost.

use super::jni::Jni;
use super::jvmti::{Jvmti, Result, jclass, jint, jvmtiError};
use super::turns::Turns;
use jvmti_bindings::sys::jvmti::{
    JvmtiRedefineClassesFn, JvmtiRetransformClassesFn, jvmtiClassDefinition, jvmtiEnv,
};
use std::cell::Cell;
use std::mem::transmute;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

/// Called before classes are changed, on the thread that does it, with the environment that it
/// calls.
type Listener = fn(*mut jvmtiEnv);

static TURNS: Turns = Turns::new(Duration::from_secs(1));

thread_local! {
    /// Whether this thread is changing classes: what it does in a ClassFileLoadHook cannot wait for
    /// itself.
    static CHANGING: Cell<bool> = const { Cell::new(false) };
}

static LISTENER: OnceLock<Listener> = OnceLock::new();

static RETRANSFORM: Place = Place::new();
static REDEFINE: Place = Place::new();

/// A place in the table, and what stood there.
struct Place {
    slot: AtomicPtr<AtomicUsize>,
    before: AtomicUsize,
}

impl Place {
    const fn new() -> Place {
        Place { slot: AtomicPtr::new(ptr::null_mut()), before: AtomicUsize::new(0) }
    }

    /// Writes `function` to a place of the table. False if that cannot be done, or if it has been
    /// done: two agents that take one place twice would call each other for ever.
    ///
    /// # Safety
    /// `slot` is a place of the JVM's table.
    unsafe fn take(&self, slot: *const usize, function: usize) -> bool {
        if !self.slot.load(Ordering::Acquire).is_null() {
            return false;
        }
        // SAFETY: the caller guarantees the address; it is aligned, and the table is never freed.
        let place = unsafe { AtomicUsize::from_ptr(slot.cast_mut()) };
        let before = place.load(Ordering::Acquire);
        if before == 0 || before == function || !is_writable(slot) {
            return false;
        }
        self.before.store(before, Ordering::Release);
        let taken =
            place.compare_exchange(before, function, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if taken {
            self.slot.store(ptr::from_ref(place).cast_mut(), Ordering::Release);
        }
        taken
    }

    /// Puts back what stood there, unless another agent has taken the place since: it calls ours.
    fn give_back(&self, function: usize) {
        // SAFETY: only `take` stores it, and the table is never freed.
        let Some(place) = (unsafe { self.slot.load(Ordering::Acquire).as_ref() }) else { return };
        let before = self.before.load(Ordering::Acquire);
        let given =
            place.compare_exchange(function, before, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if given {
            self.slot.store(ptr::null_mut(), Ordering::Release);
        }
    }

    /// Whether this is the place of that table, and was taken.
    fn is(&self, slot: *const usize) -> bool {
        ptr::eq(self.slot.load(Ordering::Acquire).cast_const().cast(), slot)
    }
}

/// Whether the page of a table's place can be written to: the kernel adds 0 to its lower half.
fn is_writable(slot: *const usize) -> bool {
    const ADD_0_AND_COMPARE_WITH_0: i32 = libc::FUTEX_OP_ADD << 28;
    let own = 0_u32;
    // SAFETY: no thread waits on `own`. FUTEX_WAKE_OP fails where an address cannot be written
    // to, and otherwise leaves the number as it was.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            &raw const own,
            libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG,
            1,
            0_usize,
            slot,
            ADD_0_AND_COMPARE_WITH_0,
        )
    };
    result >= 0
}

/// The two places in the table of an environment.
fn places(jvmti: Jvmti) -> [*const usize; 2] {
    let table = jvmti.table();
    // SAFETY: the table is the JVM's own, so that its fields have addresses.
    unsafe {
        [
            (&raw const (*table).RetransformClasses).cast(),
            (&raw const (*table).RedefineClasses).cast(),
        ]
    }
}

fn own_functions() -> [usize; 2] {
    let retransform: JvmtiRetransformClassesFn = on_retransform;
    let redefine: JvmtiRedefineClassesFn = on_redefine;
    [retransform as usize, redefine as usize]
}

/// Takes the places: `listener` is called from now on, for our own calls as well.
pub(crate) fn install(jvmti: Jvmti, listener: Listener) {
    LISTENER.get_or_init(|| listener);
    let taken = [&RETRANSFORM, &REDEFINE].into_iter().zip(places(jvmti)).zip(own_functions());
    for ((place, slot), function) in taken {
        // SAFETY: it is a place of the JVM's table.
        if !unsafe { place.take(slot, function) } {
            return;
        }
    }
}

/// Gives the places back.
pub(crate) fn remove() {
    for (place, function) in [&RETRANSFORM, &REDEFINE].into_iter().zip(own_functions()) {
        place.give_back(function);
    }
}

/// Whether every change of classes by another agent is known before it begins, since
/// [`install`].
pub(crate) fn covers(jvmti: Jvmti) -> bool {
    let mut both = [&RETRANSFORM, &REDEFINE].into_iter().zip(places(jvmti));
    both.all(|(place, slot)| place.is(slot))
}

/// Announces a change, and makes it when it is its turn.
fn in_turn(env: *mut jvmtiEnv, change: impl FnOnce() -> jvmtiError) -> jvmtiError {
    if let Some(listener) = LISTENER.get() {
        listener(env);
    }
    among_others(change)
}

/// Links a class before it is retransformed for the first time. If another thread links it
/// meanwhile, RetransformClasses may copy bytecodes of which only a part has been rewritten for the
/// interpreter, and the JVM crashes (JDK-8277444).
pub(crate) fn link(jvmti: Jvmti, jni: Jni, class: jclass) {
    if jvmti.is_linked(class) != Ok(true) {
        jni.link(class);
    }
}

/// Retransforms classes when no other agent changes any.
pub(crate) fn retransform(jvmti: Jvmti, classes: &[jclass]) -> Result<()> {
    if !has_room(jvmti) {
        return Err(jvmtiError::OUT_OF_MEMORY);
    }
    alone(|| jvmti.retransform(classes))
}

/// Whether the Java heap has room for new versions of a few classes. That matters on JDK 8 only: if
/// the heap is full when it makes the mirror of the new version, it frees the cached class file,
/// which the old one still has, and a later change crashes (`ClassFileParser::parseClassFile`).
fn has_room(jvmti: Jvmti) -> bool {
    const ROOM: jint = 16 << 10;
    jvmti.release() > 8 || Jni::of_this_thread().is_some_and(|jni| jni.has_room(ROOM))
}

/// Makes our own change when no other one is under way.
fn alone<T>(change: impl FnOnce() -> T) -> T {
    if CHANGING.replace(true) {
        return change();
    }
    let _changed = Changed;
    TURNS.alone(change)
}

/// Makes the change of another agent when none of ours is under way.
fn among_others<T>(change: impl FnOnce() -> T) -> T {
    if CHANGING.replace(true) {
        return change();
    }
    let _changed = Changed;
    TURNS.among_others(change)
}

/// The end of this thread's change, when it is dropped.
struct Changed;

impl Drop for Changed {
    fn drop(&mut self) {
        CHANGING.set(false);
    }
}

unsafe extern "system" fn on_retransform(
    env: *mut jvmtiEnv,
    count: jint,
    classes: *const jclass,
) -> jvmtiError {
    // SAFETY: the function that stood in this place has this type; it is stored before ours is.
    let before: JvmtiRetransformClassesFn =
        unsafe { transmute(RETRANSFORM.before.load(Ordering::Acquire)) };
    // SAFETY: the arguments are the caller's.
    in_turn(env, || unsafe { before(env, count, classes) })
}

unsafe extern "system" fn on_redefine(
    env: *mut jvmtiEnv,
    count: jint,
    definitions: *const jvmtiClassDefinition,
) -> jvmtiError {
    // SAFETY: as above.
    let before: JvmtiRedefineClassesFn =
        unsafe { transmute(REDEFINE.before.load(Ordering::Acquire)) };
    // SAFETY: as above.
    in_turn(env, || unsafe { before(env, count, definitions) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(place: &Place, slot: *const usize) -> bool {
        // SAFETY: the slots of these tests are never freed; one that cannot be written to is not.
        unsafe { place.take(slot, 0x20) }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no FUTEX_WAKE_OP")]
    fn places_are_taken_and_given_back() {
        static TABLE: AtomicUsize = AtomicUsize::new(0x10);
        let slot = TABLE.as_ptr().cast_const();
        let read = || TABLE.load(Ordering::Relaxed);
        let place = Place::new();
        assert!(!place.is(slot));
        assert!(take(&place, slot) && place.is(slot));
        assert_eq!((read(), place.before.load(Ordering::Relaxed)), (0x20, 0x10));
        place.give_back(0x20);
        assert_eq!(read(), 0x10);
        assert!(take(&place, slot));
        TABLE.store(0x30, Ordering::Relaxed);
        assert!(!take(&place, slot), "the other one calls ours");
        place.give_back(0x20);
        assert_eq!(read(), 0x30, "another one has taken it since");
        assert!(!take(&place, slot), "and still calls ours");
    }

    #[test]
    fn a_change_ends_also_after_a_panic() {
        let panics = std::panic::catch_unwind(|| alone(|| panic!("a defect")));
        assert!(panics.is_err() && !CHANGING.get());
        alone(|| assert!(CHANGING.get()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no FUTEX_WAKE_OP")]
    fn what_cannot_be_written_to_is_left_alone() {
        static CONSTANT: usize = 0x10;
        static EMPTY: AtomicUsize = AtomicUsize::new(0);
        let place = Place::new();
        assert!(!take(&place, &CONSTANT) && !place.is(&CONSTANT));
        assert!(!take(&place, EMPTY.as_ptr().cast_const()), "an empty place");
    }
}
