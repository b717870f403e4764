//! Calls of the JVM and of the operating system that fail by chance, for the test suite
//! (`--features fault-injection`, never in a release).
//!
//! `ZAUDIT_FAULT=calls:PROBABILITY:SEED:KINDS` switches them on; `:COUNT` behind it ends them after
//! this number. `#N` in place of the probability makes the Nth call fail, and no other. KINDS are
//! `jvmti`, `jni`, `os`, `panic` and names of functions, joined by `+`. The file that
//! `ZAUDIT_FAULT_LOG` names begins with the functions that can fail, and then has a line for each
//! call that has failed.
//!
//! Owns the tables of these functions: a call of the JVM that is in none of them does not compile.
//! Invariants: a call that fails is not made, and it fails as its specification says; without the
//! variable every call is made.

pub(crate) mod os;

use jvmti_bindings::sys::jni::{JNI_ERR, JNIEnv, jobject};
use jvmti_bindings::sys::jvmti::jvmtiError;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How a function fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// With an error code or null, and no exception.
    Code,
    /// With an error code or null, and an exception.
    Exception,
    /// Never, for this reason.
    Never(&'static str),
}

use Failure::{Code, Exception, Never};

/// A function and how it fails.
type Function = (&'static str, Failure);

const READS: &str = "reads what the JVM has, and has no errors";

/// The functions of JVMTI. Each may return an error of its own or a universal one.
pub(crate) const JVMTI: &[Function] = &[
    ("GetEnv", Code),
    ("AddCapabilities", Code),
    ("Allocate", Code),
    ("Deallocate", Never("frees what the JVM has allocated")),
    ("DisposeEnvironment", Never("the environment is valid, and its memory is not needed")),
    ("FollowReferences", Code),
    ("ForceGarbageCollection", Code),
    ("GetAllThreads", Code),
    ("GetClassFields", Code),
    ("GetClassLoader", Code),
    ("GetClassSignature", Code),
    ("GetClassStatus", Code),
    ("GetCurrentThread", Code),
    ("GetFieldModifiers", Code),
    ("GetFieldName", Code),
    ("GetImplementedInterfaces", Code),
    ("GetLineNumberTable", Code),
    ("GetLoadedClasses", Code),
    ("GetMethodDeclaringClass", Code),
    ("GetMethodName", Code),
    ("GetObjectsWithTags", Code),
    ("GetPhase", Never(READS)),
    ("GetSourceFileName", Code),
    ("GetStackTrace", Code),
    ("GetSystemProperty", Code),
    ("GetTag", Code),
    ("GetThreadInfo", Code),
    ("GetThreadState", Code),
    ("GetTopThreadGroups", Code),
    ("IterateOverInstancesOfClass", Code),
    ("IterateThroughHeap", Code),
    ("RetransformClasses", Code),
    ("RunAgentThread", Code),
    ("SetEventCallbacks", Code),
    ("SetEventNotificationMode", Code),
    ("SetTag", Code),
];

/// The functions of JNI.
pub(crate) const JNI: &[Function] = &[
    ("GetEnv", Code),
    ("CallLongMethodA", Exception),
    ("CallObjectMethodA", Exception),
    ("CallStaticBooleanMethodA", Exception),
    ("CallStaticObjectMethodA", Exception),
    ("DefineClass", Exception),
    ("DeleteLocalRef", Never("returns nothing")),
    ("DeleteWeakGlobalRef", Never("returns nothing")),
    ("ExceptionCheck", Never(READS)),
    ("ExceptionClear", Never("returns nothing")),
    ("ExceptionOccurred", Never(READS)),
    ("GetArrayLength", Never(READS)),
    ("GetBooleanField", Never(READS)),
    ("GetFieldID", Exception),
    ("GetIntField", Never(READS)),
    ("GetLongField", Never(READS)),
    ("GetMethodID", Exception),
    ("GetObjectArrayElement", Never("fails for an index that is out of bounds, and for no other")),
    ("GetObjectClass", Never(READS)),
    ("GetObjectField", Never(READS)),
    ("GetStaticBooleanField", Never(READS)),
    ("GetStaticFieldID", Exception),
    ("GetStaticMethodID", Exception),
    ("GetStaticObjectField", Never(READS)),
    ("GetStringLength", Never(READS)),
    ("GetStringRegion", Never("fails for a region that is out of bounds, and for no other")),
    ("GetSuperclass", Never(READS)),
    ("GetVersion", Never(READS)),
    ("IsAssignableFrom", Never(READS)),
    ("IsInstanceOf", Never(READS)),
    ("IsSameObject", Never(READS)),
    ("IsVirtualThread", Never(READS)),
    ("NewByteArray", Exception),
    ("NewGlobalRef", Code),
    ("NewLocalRef", Code),
    ("NewObjectA", Exception),
    ("NewString", Exception),
    ("NewStringUTF", Exception),
    ("NewWeakGlobalRef", Exception),
    ("PopLocalFrame", Never("returns nothing")),
    ("PushLocalFrame", Exception),
    ("RegisterNatives", Exception),
];

/// The row of a function. Does not compile if there is none.
#[expect(clippy::panic, reason = "the compiler evaluates it")]
pub(crate) const fn row(table: &'static [Function], name: &str) -> Function {
    let mut rest = table;
    while let [function, others @ ..] = rest {
        if is_same(function.0.as_bytes(), name.as_bytes()) {
            return *function;
        }
        rest = others;
    }
    panic!("the table of calls that can fail has no such function")
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

/// What fails, and how often.
struct Plan {
    /// Of 2³² calls.
    fail: u64,
    /// The number of the call that fails; 0 if chance decides.
    nth: u64,
    seed: u64,
    /// Kinds and names of functions.
    chosen: Vec<String>,
    panic: bool,
    /// How many calls fail in all.
    most: u64,
    log: Option<os::Log>,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Reads the variables, once. Until then no call fails.
#[expect(clippy::panic, reason = "a wrong value would be a test without faults")]
pub(crate) fn set_up() {
    let Ok(given) = std::env::var("ZAUDIT_FAULT") else { return };
    let Some(given) = given.strip_prefix("calls:") else { return };
    let mut words = given.split(':');
    let first = words.next().unwrap_or_default();
    let nth = first.strip_prefix('#').and_then(|word| word.parse::<u64>().ok());
    let probability = nth.map_or_else(|| first.parse::<f64>().ok(), |_| Some(0.0));
    let seed = words.next().and_then(|word| word.parse::<u64>().ok());
    let (Some(probability), Some(seed), Some(kinds)) = (probability, seed, words.next()) else {
        panic!("not calls:PROBABILITY:SEED:KINDS: {given}");
    };
    let most = words.next().and_then(|word| word.parse::<u64>().ok());
    PLAN.get_or_init(|| {
        let plan = Plan {
            fail: (probability * (1_u64 << 32) as f64) as u64,
            nth: nth.unwrap_or(0),
            seed,
            chosen: kinds.split('+').map(str::to_owned).collect(),
            panic: kinds.split('+').any(|kind| kind == "panic"),
            most: most.unwrap_or(u64::MAX),
            log: std::env::var_os("ZAUDIT_FAULT_LOG").and_then(|path| os::Log::open(&path)),
        };
        if let Some(log) = &plan.log {
            for (kind, table) in [("jvmti", JVMTI), ("jni", JNI), ("os", os::OS)] {
                let fallible = table.iter().filter(|(_, failure)| !matches!(failure, Never(_)));
                fallible.for_each(|(name, _)| log.line("can", kind, name));
            }
        }
        plan
    });
}

impl Plan {
    fn is_chosen(&self, kind: &str, name: &str) -> bool {
        self.chosen.iter().any(|chosen| chosen == kind || chosen == name)
    }

    /// A random number if the next call fails.
    fn draw(&self) -> Option<u64> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        static FAILED: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        // SplitMix64.
        let mut random = call.wrapping_add(self.seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^= random >> 31;
        let is_next = random >> 32 < self.fail || call + 1 == self.nth;
        let fails = is_next && FAILED.fetch_add(1, Ordering::Relaxed) < self.most;
        fails.then_some(random & 0xffff_ffff)
    }

    fn log(&self, kind: &str, name: &str) {
        if let Some(log) = &self.log {
            log.line("fails", kind, name);
        }
    }

    /// A random number if a call of the JVM fails. Panics if that is what is to happen instead,
    /// unless the thread panics already.
    #[expect(clippy::panic, reason = "the fault is a panic")]
    fn of_jvm(&self, kind: &str, name: &'static str) -> Option<u64> {
        let is_chosen = self.is_chosen(kind, name);
        if !is_chosen && !self.panic {
            return None;
        }
        let random = self.draw()?;
        if self.panic && (!is_chosen || random & 1 == 0) {
            if std::thread::panicking() {
                return None;
            }
            self.log("panic", name);
            panic!("injected fault: {name}");
        }
        self.log(kind, name);
        Some(random >> 1)
    }
}

/// Logs a number of the agent's.
pub(crate) fn log(what: &str, number: usize) {
    if let Some(log) = PLAN.get().and_then(|plan| plan.log.as_ref()) {
        log.line(what, &number.to_string(), "");
    }
}

/// The error that a call of JVMTI returns without being made, if it fails.
pub(crate) fn jvmti((name, failure): Function) -> Option<jvmtiError> {
    const ERRORS: [jvmtiError; 4] = [
        jvmtiError::OUT_OF_MEMORY,
        jvmtiError::INTERNAL,
        jvmtiError::WRONG_PHASE,
        jvmtiError::UNATTACHED_THREAD,
    ];
    let plan = PLAN.get()?;
    if let Never(_) = failure {
        return None;
    }
    let random = plan.of_jvm("jvmti", name)?;
    pick(&ERRORS, random)
}

fn pick<T: Copy>(of: &[T], random: u64) -> Option<T> {
    of.get(random as usize % of.len()).copied()
}

/// What JNI functions return when they fail.
pub(crate) trait Failed {
    const FAILED: Self;
}

impl<T> Failed for *mut T {
    const FAILED: *mut T = ptr::null_mut();
}

impl Failed for i32 {
    const FAILED: i32 = JNI_ERR;
}

impl Failed for i64 {
    const FAILED: i64 = 0;
}

impl Failed for u8 {
    const FAILED: u8 = 0;
}

impl Failed for () {
    const FAILED: () = ();
}

/// What a call of JNI returns without being made, if it fails.
///
/// # Safety
/// `env` is null or the JNI environment of the current thread.
pub(crate) unsafe fn jni<T: Failed>(env: *mut JNIEnv, (name, failure): Function) -> Option<T> {
    let plan = PLAN.get()?;
    if let Never(_) = failure {
        return None;
    }
    let error = match failure {
        // SAFETY: such a function has an environment.
        Exception => Some(unsafe { error(env) }?),
        _ => None,
    };
    plan.of_jvm("jni", name)?;
    if let Some(error) = error {
        // SAFETY: the environment is this thread's, and the reference is global.
        unsafe { ((**env).Throw)(env, error) };
    }
    Some(T::FAILED)
}

/// What is thrown: an OutOfMemoryError, made before the first of these calls fails. No code of the
/// program runs for it.
///
/// # Safety
/// `env` is the JNI environment of the current thread.
unsafe fn error(env: *mut JNIEnv) -> Option<jobject> {
    static ERROR: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(ptr::null_mut());
    let known = ERROR.load(Ordering::Acquire);
    if !known.is_null() {
        return Some(known);
    }
    // SAFETY: the caller guarantees the environment; each result is checked.
    let made = unsafe {
        let class = ((**env).FindClass)(env, c"java/lang/OutOfMemoryError".as_ptr());
        let object = if class.is_null() { class } else { ((**env).AllocObject)(env, class) };
        let global = if object.is_null() { object } else { ((**env).NewGlobalRef)(env, object) };
        ((**env).ExceptionClear)(env);
        ((**env).DeleteLocalRef)(env, object);
        ((**env).DeleteLocalRef)(env, class);
        global
    };
    ERROR.store(made, Ordering::Release);
    (!made.is_null()).then_some(made)
}
