//! A thin cover over the JVMTI function table: one method for each function in use, which checks
//! the return code and frees the JVM's memory.
//!
//! Contains no policy. Invariant: a result owns its memory; the JVM's pointers do not leave this
//! module, except references and ids.

use crate::sys::jni::Jni;
use crate::sys::malloc;
use jvmti_bindings::sys::{jni, jvmti};
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use zaudit_core::model::OutOfMemory;

pub(crate) use heap::{Primitive, PrimitiveField, Reference, Visit};
pub(crate) use jni::{jclass, jint, jlong, jmethodID, jobject};
pub(crate) use jvmti::{jvmtiError, jvmtiFrameInfo};

/// A JVMTI environment: the agent's own, valid from load to the end of the process, or that of one
/// audit, valid until it is disposed. Valid on every thread (JVMTI, "Environments").
#[derive(Clone, Copy)]
pub(crate) struct Jvmti(*mut jvmti::jvmtiEnv);

// SAFETY: JVMTI environments may be used from any thread (JVMTI specification, "Function Index":
// thread-safe unless said otherwise), and the pointer is never written through.
unsafe impl Send for Jvmti {}
// SAFETY: as above.
unsafe impl Sync for Jvmti {}

pub(crate) type Result<T> = std::result::Result<T, jvmtiError>;

/// The JVMTI error that stands for our own lack of memory.
pub(crate) fn out_of_memory(_: OutOfMemory) -> jvmtiError {
    jvmtiError::OUT_OF_MEMORY
}

/// The error that a test has a function return instead of being called.
#[cfg(feature = "fault-injection")]
macro_rules! injected {
    ($slot:ident) => {{
        use crate::sys::failing_calls;
        failing_calls::jvmti(const { failing_calls::row(failing_calls::JVMTI, stringify!($slot)) })
    }};
}
#[cfg(not(feature = "fault-injection"))]
macro_rules! injected {
    ($slot:ident) => {
        None
    };
}

/// How much memory a function may take for its result, if HotSpot does not check whether it got
/// any (`jvmtiMalloc`), and writes to null otherwise; 0 for others. A name has at most 65,535 bytes
/// (JVMS 4.4.7); as large a table of lines has 4,224 of them, which few methods exceed.
const fn unchecked_memory(function: &str) -> usize {
    match function.as_bytes() {
        b"GetClassSignature"
        | b"GetMethodName"
        | b"GetSourceFileName"
        | b"GetLineNumberTable"
        | b"GetClassFields"
        | b"GetImplementedInterfaces" => 66 << 10,
        _ => 0,
    }
}

/// The error of a function for which there is no memory.
#[inline]
fn without_memory(needed: usize) -> Option<jvmtiError> {
    (needed > 0 && !malloc::has_memory(needed)).then_some(jvmtiError::OUT_OF_MEMORY)
}

/// Calls a slot of the JVMTI table; a slot that this JVM leaves empty is an error like any other.
macro_rules! call {
    ($env:expr, $slot:ident $(, $argument:expr)*) => {{
        use crate::sys::jvmti::{unchecked_memory, without_memory};
        let needed = const { unchecked_memory(stringify!($slot)) };
        match injected!($slot).or_else(|| without_memory(needed)) {
            Some(error) => Err(error),
            // SAFETY: the environment is valid (see `Jvmti`), the table is the JVM's, and the
            // arguments have the types and lifetimes that the JVMTI specification requires for this
            // function.
            None => unsafe {
                match (*(*$env.0).functions).$slot {
                    Some(function) => check(function($env.0 $(, $argument)*)),
                    None => Err(jvmtiError::NOT_AVAILABLE),
                }
            },
        }
    }};
}

mod heap;

/// The JDK's release.
static RELEASE: OnceLock<u32> = OnceLock::new();

fn check(code: jvmtiError) -> Result<()> {
    if code == jvmtiError::NONE { Ok(()) } else { Err(code) }
}

/// One row of a line table.
pub(crate) struct Line {
    pub(crate) start: i64,
    pub(crate) number: u32,
}

impl Jvmti {
    /// # Safety
    /// `vm` is the JVM's own invocation table.
    pub(crate) unsafe fn of(vm: *mut jni::JavaVM) -> std::result::Result<Jvmti, jint> {
        #[cfg(feature = "fault-injection")]
        if injected!(GetEnv).is_some() {
            return Err(jni::JNI_ERR);
        }
        let mut env: *mut std::ffi::c_void = ptr::null_mut();
        // SAFETY: the caller guarantees `vm`; `env` outlives the call. JVMTI 1.2 is what JDK 8 has;
        // later JVMs return all that they support.
        let code = unsafe { ((**vm).GetEnv)(vm, &mut env, jvmti::JVMTI_VERSION_1_2) };
        if code == jni::JNI_OK && !env.is_null() { Ok(Jvmti(env.cast())) } else { Err(code) }
    }

    /// Disposes the environment, with all its tags, events and capabilities.
    ///
    /// # Safety
    /// No other code uses it any more.
    pub(crate) unsafe fn dispose(self) -> Result<()> {
        call!(self, DisposeEnvironment)
    }

    pub(crate) fn add_capabilities(self, wanted: &jvmti::jvmtiCapabilities) -> Result<()> {
        call!(self, AddCapabilities, wanted)
    }

    pub(crate) fn set_callbacks(self, callbacks: &jvmti::jvmtiEventCallbacks) -> Result<()> {
        let size = jint::try_from(size_of::<jvmti::jvmtiEventCallbacks>()).unwrap_or(jint::MAX);
        call!(self, SetEventCallbacks, callbacks, size)
    }

    pub(crate) fn notify(self, event: jvmti::jvmtiEvent, on: bool) -> Result<()> {
        let mode = if on { jvmti::JVMTI_ENABLE } else { jvmti::JVMTI_DISABLE };
        call!(self, SetEventNotificationMode, mode, event, ptr::null_mut())
    }

    #[inline]
    pub(crate) fn tag(self, object: jobject) -> Result<jlong> {
        let mut tag = 0;
        call!(self, GetTag, object, &mut tag)?;
        Ok(tag)
    }

    #[inline]
    pub(crate) fn set_tag(self, object: jobject, tag: jlong) -> Result<()> {
        call!(self, SetTag, object, tag)
    }

    /// Local references to all loaded classes.
    pub(crate) fn loaded_classes(self) -> Result<Vec<jclass>> {
        let (mut count, mut classes) = (0, ptr::null_mut());
        call!(self, GetLoadedClasses, &mut count, &mut classes)?;
        // SAFETY: on success `classes` has `count` entries.
        let all = copied(unsafe { slice(classes, count) });
        self.deallocate(classes.cast());
        all
    }

    /// Whether a class is initialised: one that is not has no instances yet.
    pub(crate) fn is_initialized(self, class: jclass) -> Result<bool> {
        Ok(self.class_status(class)? & jvmti::JVMTI_CLASS_STATUS_INITIALIZED != 0)
    }

    pub(crate) fn is_linked(self, class: jclass) -> Result<bool> {
        Ok(self.class_status(class)? & jvmti::JVMTI_CLASS_STATUS_PREPARED != 0)
    }

    fn class_status(self, class: jclass) -> Result<jint> {
        let mut status = 0;
        call!(self, GetClassStatus, class, &mut status)?;
        Ok(status)
    }

    /// Removes the tags of this environment that are `unwanted`: one heap walk, which pauses the
    /// application.
    pub(crate) fn untag(self, unwanted: fn(jlong) -> bool) -> Result<()> {
        extern "system" fn visit(
            _class_tag: jlong,
            _size: jlong,
            tag: *mut jlong,
            _length: jint,
            unwanted: *mut std::ffi::c_void,
        ) -> jint {
            // SAFETY: the JVM passes the pointer that it was given.
            let unwanted = unsafe { *unwanted.cast::<fn(jlong) -> bool>() };
            // SAFETY: the JVM passes a pointer to the tag.
            unsafe {
                if unwanted(*tag) {
                    *tag = 0;
                }
            }
            0
        }
        let callbacks = jvmti::jvmtiHeapCallbacks {
            heap_iteration_callback: Some(visit),
            ..Default::default()
        };
        let filter = jvmti::JVMTI_HEAP_FILTER_UNTAGGED;
        let unwanted = (&raw const unwanted).cast();
        call!(self, IterateThroughHeap, filter, ptr::null_mut(), &callbacks, unwanted)
    }

    /// Makes the JVM post the pending ObjectFree events on this thread: a heap walk does so first.
    /// This one ends at the first reference from `start`.
    pub(crate) fn flush_dead_tags(self, start: jobject) -> Result<()> {
        extern "system" fn visit(
            _kind: jvmti::jvmtiHeapReferenceKind,
            _info: *const jvmti::jvmtiHeapReferenceInfo,
            _class_tag: jlong,
            _referrer_class_tag: jlong,
            _size: jlong,
            _tag: *mut jlong,
            _referrer_tag: *mut jlong,
            _length: jint,
            _nothing: *mut std::ffi::c_void,
        ) -> jint {
            jvmti::JVMTI_VISIT_ABORT
        }
        let callbacks = jvmti::jvmtiHeapCallbacks {
            heap_reference_callback: Some(visit),
            ..Default::default()
        };
        call!(self, FollowReferences, 0, ptr::null_mut(), start, &callbacks, ptr::null())
    }

    /// Local references to all objects with this tag.
    pub(crate) fn objects_with(self, tag: jlong) -> Result<Vec<jobject>> {
        let (mut count, mut objects) = (0, ptr::null_mut());
        call!(self, GetObjectsWithTags, 1, &tag, &mut count, &mut objects, ptr::null_mut())?;
        // SAFETY: on success `objects` has `count` entries.
        let all = copied(unsafe { slice(objects, count) });
        self.deallocate(objects.cast());
        all
    }

    /// Writes a thread's frames to `buffer`, innermost first and without the first `skip`, and
    /// returns the filled part. Null is the current thread. ILLEGAL_ARGUMENT if `skip` is not 0 and
    /// the stack has no more frames than that.
    ///
    /// JVMTI also counts from the outermost frame, with a negative number. This cover does not: JDK
    /// 21 to 28 crash there on a virtual thread with frozen frames. The JVM walks to the oldest
    /// frame first and then continues from a frame nearer to the top. All frames of that walk share
    /// one handle of the stack chunk, which is empty by then.
    #[inline]
    pub(crate) fn frames(
        self,
        thread: jobject,
        skip: usize,
        buffer: &mut [MaybeUninit<jvmtiFrameInfo>],
    ) -> Result<&[jvmtiFrameInfo]> {
        let mut count = 0;
        let skip = jint::try_from(skip).map_err(|_| jvmtiError::ILLEGAL_ARGUMENT)?;
        let room = jint::try_from(buffer.len()).unwrap_or(jint::MAX);
        call!(self, GetStackTrace, thread, skip, room, buffer.as_mut_ptr().cast(), &mut count)?;
        let filled = usize::try_from(count).unwrap_or(0).min(buffer.len());
        // SAFETY: GetStackTrace has initialised the first `count` elements.
        Ok(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), filled) })
    }

    pub(crate) fn method_name(self, method: jmethodID) -> Result<String> {
        let mut name = ptr::null_mut();
        call!(self, GetMethodName, method, &mut name, ptr::null_mut(), ptr::null_mut())?;
        Ok(self.take_string(name))
    }

    /// A local reference; the caller deletes it.
    pub(crate) fn declaring_class(self, method: jmethodID) -> Result<jclass> {
        let mut class = ptr::null_mut();
        call!(self, GetMethodDeclaringClass, method, &mut class)?;
        Ok(class)
    }

    /// A local reference to the loader of a class, which the caller deletes; null for the boot
    /// loader.
    pub(crate) fn class_loader(self, class: jclass) -> Result<jobject> {
        let mut loader = ptr::null_mut();
        call!(self, GetClassLoader, class, &mut loader)?;
        Ok(loader)
    }

    /// `Lorg/acme/Codec;`
    pub(crate) fn class_signature(self, class: jclass) -> Result<String> {
        let mut signature = ptr::null_mut();
        call!(self, GetClassSignature, class, &mut signature, ptr::null_mut())?;
        Ok(self.take_string(signature))
    }

    /// None if the class file names no source.
    pub(crate) fn source_file(self, class: jclass) -> Result<Option<String>> {
        let mut name = ptr::null_mut();
        match call!(self, GetSourceFileName, class, &mut name) {
            Ok(()) => Ok(Some(self.take_string(name))),
            Err(jvmtiError::ABSENT_INFORMATION) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// None if the class file has no table, or the method no code.
    pub(crate) fn lines(self, method: jmethodID) -> Result<Option<Vec<Line>>> {
        let (mut count, mut table) = (0, ptr::null_mut());
        match call!(self, GetLineNumberTable, method, &mut count, &mut table) {
            Err(jvmtiError::ABSENT_INFORMATION | jvmtiError::NATIVE_METHOD) => return Ok(None),
            other => other?,
        }
        // SAFETY: on success `table` has `count` entries.
        let entries = unsafe { slice(table, count) };
        let line = |entry: &jvmti::jvmtiLineNumberEntry| Line {
            start: entry.start_location,
            number: u32::try_from(entry.line_number).unwrap_or(0),
        };
        let lines = collected(entries.iter().map(line));
        self.deallocate(table.cast());
        lines.map(Some)
    }

    /// A local reference to the current thread, virtual or not.
    pub(crate) fn current_thread(self) -> Result<jobject> {
        let mut thread = ptr::null_mut();
        call!(self, GetCurrentThread, &mut thread)?;
        Ok(thread)
    }

    pub(crate) fn thread_name(self, jni: Jni, thread: jobject) -> Result<String> {
        let mut info = MaybeUninit::<jvmti::jvmtiThreadInfo>::zeroed();
        call!(self, GetThreadInfo, thread, info.as_mut_ptr())?;
        // SAFETY: GetThreadInfo has filled the structure.
        let info = unsafe { info.assume_init() };
        jni.delete_local(info.thread_group);
        jni.delete_local(info.context_class_loader);
        Ok(self.take_string(info.name))
    }

    /// Bits of `JVMTI_THREAD_STATE_*`.
    pub(crate) fn thread_state(self, thread: jobject) -> Result<jint> {
        let mut state = 0;
        call!(self, GetThreadState, thread, &mut state)?;
        Ok(state)
    }

    /// Local references to all live platform threads.
    pub(crate) fn threads(self) -> Result<Vec<jobject>> {
        let (mut count, mut threads) = (0, ptr::null_mut());
        call!(self, GetAllThreads, &mut count, &mut threads)?;
        // SAFETY: on success `threads` has `count` entries.
        let all = copied(unsafe { slice(threads, count) });
        self.deallocate(threads.cast());
        all
    }

    /// Local references to the outermost thread groups: on HotSpot one, `system`.
    pub(crate) fn top_groups(self) -> Result<Vec<jobject>> {
        let (mut count, mut groups) = (0, ptr::null_mut());
        call!(self, GetTopThreadGroups, &mut count, &mut groups)?;
        // SAFETY: on success `groups` has `count` entries.
        let all = copied(unsafe { slice(groups, count) });
        self.deallocate(groups.cast());
        all
    }

    pub(crate) fn run_agent_thread(
        self,
        thread: jobject,
        body: jvmti::jvmtiStartFunction,
    ) -> Result<()> {
        const NORM_PRIORITY: jint = 5;
        call!(self, RunAgentThread, thread, Some(body), ptr::null(), NORM_PRIORITY)
    }

    pub(crate) fn force_gc(self) -> Result<()> {
        call!(self, ForceGarbageCollection)
    }

    pub(crate) fn retransform(self, classes: &[jclass]) -> Result<()> {
        call!(
            self,
            RetransformClasses,
            jint::try_from(classes.len()).unwrap_or(jint::MAX),
            classes.as_ptr()
        )
    }

    /// Whether this is the environment that a call of the JVM names.
    pub(crate) fn is(self, env: *mut jvmti::jvmtiEnv) -> bool {
        ptr::eq(self.0, env)
    }

    /// The table of the JVM's functions.
    pub(crate) fn table(self) -> *const jvmti::jvmtiInterface_1_ {
        // SAFETY: the environment is valid (see `Jvmti`).
        unsafe { (*self.0).functions }
    }

    /// Reads the JDK's release, 8, 11, 17 …, for [`release`](Jvmti::release). A version that is no
    /// number is 1.8.
    pub(crate) fn read_release(self) -> Result<u32> {
        let mut value = ptr::null_mut();
        call!(self, GetSystemProperty, c"java.vm.specification.version".as_ptr(), &mut value)?;
        let release = self.take_string(value).parse().unwrap_or(8);
        Ok(*RELEASE.get_or_init(|| release))
    }

    /// The JDK's release. It is read before there is an agent: what depends on it must not change
    /// because the JVM cannot say it now.
    pub(crate) fn release(self) -> u32 {
        RELEASE.get().copied().unwrap_or_default()
    }

    /// Whether the JVM is before its live phase.
    pub(crate) fn is_starting(self) -> Result<bool> {
        let mut phase = jvmti::JVMTI_PHASE_LIVE;
        call!(self, GetPhase, &mut phase)?;
        Ok(phase != jvmti::JVMTI_PHASE_LIVE && phase != jvmti::JVMTI_PHASE_DEAD)
    }

    /// None if there is no such property.
    pub(crate) fn system_property(self, name: &CStr) -> Option<String> {
        let mut value = ptr::null_mut();
        call!(self, GetSystemProperty, name.as_ptr(), &mut value).ok()?;
        Some(self.take_string(value))
    }

    /// A copy of `bytes` in the JVM's own memory, as ClassFileLoadHook requires.
    pub(crate) fn copy_out(self, bytes: &[u8]) -> Result<*mut u8> {
        let mut memory = ptr::null_mut();
        call!(self, Allocate, i64::try_from(bytes.len()).unwrap_or(i64::MAX), &mut memory)?;
        // SAFETY: Allocate gave `bytes.len()` fresh bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len()) };
        Ok(memory)
    }

    fn take_string(self, text: *mut c_char) -> String {
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the JVM returned a NUL-terminated string that no other code has.
        let owned = jvmti_bindings::mutf8::decode_cstr_lossy(unsafe { CStr::from_ptr(text) });
        self.deallocate(text.cast());
        owned
    }

    fn deallocate(self, memory: *mut u8) {
        // The only error is a null environment; memory that is not taken back cannot be freed in
        // another way.
        let _ = call!(self, Deallocate, memory);
    }
}

/// Copies a list of the JVM.
fn copied<T: Copy>(entries: &[T]) -> Result<Vec<T>> {
    collected(entries.iter().copied())
}

/// Collects a list, if there is memory for it.
fn collected<T>(elements: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(elements.len()).map_err(|_| jvmtiError::OUT_OF_MEMORY)?;
    all.extend(elements);
    Ok(all)
}

/// # Safety
/// `start` has `count` elements, or `count` is not positive.
unsafe fn slice<'a, T>(start: *const T, count: jint) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: the caller guarantees it.
        Ok(count) if count > 0 && !start.is_null() => unsafe {
            std::slice::from_raw_parts(start, count)
        },
        _ => &[],
    }
}
