//! The plain agent: the minimum that an agent must do to follow every Inflater and Deflater with
//! JVMTI alone.
//!
//! It has the hooks of zaudit, inserted in the same way. When a constructor returns, it gets the
//! stack and sets a tag; at `end()` it gets the tag and clears it. It stores nothing and reports
//! nothing: its cost is the JVM's, and what zaudit costs beyond that is zaudit's own. Only
//! `scripts/bench` loads it. Invariant: a failed call ends the process, so that no number is
//! measured on an agent that does nothing.

use jvmti_bindings::sys::jni::{
    JNI_OK, JNIEnv, JNINativeMethod, JavaVM, jclass, jint, jlong, jobject,
};
use jvmti_bindings::sys::jvmti::{
    JVMTI_DISABLE, JVMTI_ENABLE, JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_VM_INIT,
    JVMTI_VERSION_1_2, jvmtiCapabilities, jvmtiEnv, jvmtiError, jvmtiEvent, jvmtiEventCallbacks,
    jvmtiFrameInfo,
};
use std::ffi::{CStr, CString, c_char, c_uchar, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use zaudit_instrument as instrument;
use zaudit_instrument::{Callback, HELPER_CLASS, Identity};

/// As many frames as zaudit reads by default: the 1,024 of the option `depth`, and one more that
/// shows a cut.
const FRAMES: usize = 1_025;

/// Any tag but zero: only its presence matters.
const TAG: jlong = 1;

static JVMTI: AtomicPtr<jvmtiEnv> = AtomicPtr::new(ptr::null_mut());

fn fail(what: &str) -> ! {
    eprintln!("plain agent: {what}");
    std::process::abort()
}

fn checked(what: &str, code: jvmtiError) {
    if code != jvmtiError::NONE {
        fail(&format!("{what}: {code}"));
    }
}

/// Calls a slot of the JVMTI table; a failure ends the process.
macro_rules! jvmti {
    ($slot:ident $(, $argument:expr)*) => {{
        let env = JVMTI.load(Ordering::Relaxed);
        // SAFETY: the environment was stored before the first event was enabled and is valid to the
        // end of the process; the arguments have the types and lifetimes that the JVMTI
        // specification requires for this function.
        match unsafe { (*(*env).functions).$slot } {
            // SAFETY: as above.
            Some(function) => checked(stringify!($slot), unsafe { function(env $(, $argument)*) }),
            None => fail(concat!("this JVM has no ", stringify!($slot))),
        }
    }};
}

/// Calls a slot of the JNI table.
macro_rules! jni {
    ($env:expr, $slot:ident $(, $argument:expr)*) => {
        // SAFETY: the environment is the one that the JVM passed to this thread, and the arguments
        // have the types and lifetimes that the JNI specification requires for this function.
        unsafe { ((**$env).$slot)($env $(, $argument)*) }
    };
}

/// `zaudit.Hooks.created(Object)`.
extern "system" fn created(_env: *mut JNIEnv, _class: jclass, instance: jobject) {
    let mut frames = [const { MaybeUninit::<jvmtiFrameInfo>::uninit() }; FRAMES];
    let mut count = 0;
    jvmti!(
        GetStackTrace,
        ptr::null_mut(),
        1,
        FRAMES as jint,
        frames.as_mut_ptr().cast(),
        &mut count
    );
    jvmti!(SetTag, instance, TAG);
}

/// `zaudit.Hooks.ended(Object)`.
extern "system" fn ended(_env: *mut JNIEnv, _class: jclass, instance: jobject) {
    let mut tag = 0;
    jvmti!(GetTag, instance, &mut tag);
    if tag != 0 {
        jvmti!(SetTag, instance, 0);
    }
}

/// Called by the JVM for `-agentpath`.
#[unsafe(no_mangle)]
extern "system" fn Agent_OnLoad(
    vm: *mut JavaVM,
    _options: *const c_char,
    _reserved: *mut c_void,
) -> jint {
    let mut env: *mut c_void = ptr::null_mut();
    // SAFETY: the JVM passes its own invocation table, and `env` outlives the call.
    if unsafe { ((**vm).GetEnv)(vm, &mut env, JVMTI_VERSION_1_2) } != JNI_OK {
        fail("this JVM has no JVMTI");
    }
    JVMTI.store(env.cast(), Ordering::Relaxed);
    let mut capabilities = jvmtiCapabilities::default();
    capabilities.set_can_tag_objects(true);
    capabilities.set_can_retransform_classes(true);
    jvmti!(AddCapabilities, &capabilities);
    let mut callbacks = jvmtiEventCallbacks::default();
    callbacks.VMInit = Some(on_vm_init);
    callbacks.ClassFileLoadHook = Some(on_class_file);
    jvmti!(SetEventCallbacks, &callbacks, size_of::<jvmtiEventCallbacks>() as jint);
    notify(JVMTI_ENABLE, JVMTI_EVENT_VM_INIT);
    JNI_OK
}

fn notify(mode: u32, event: jvmtiEvent) {
    jvmti!(SetEventNotificationMode, mode, event, ptr::null_mut());
}

extern "system" fn on_vm_init(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _thread: jobject) {
    let bytes = instrument::helper_class();
    let name = c_string(HELPER_CLASS);
    let helper = jni!(
        env,
        DefineClass,
        name.as_ptr(),
        ptr::null_mut(),
        bytes.as_ptr().cast(),
        bytes.len() as jint
    );
    if helper.is_null() {
        fail("cannot define the helper class");
    }
    let callbacks: [(Callback, extern "system" fn(*mut JNIEnv, jclass, jobject)); 2] =
        [(Callback::Created, created), (Callback::Ended, ended)];
    for (callback, function) in callbacks {
        let descriptor = c_string(callback.descriptor());
        let name = c_string(callback.method());
        let native = JNINativeMethod {
            name: name.as_ptr(),
            signature: descriptor.as_ptr(),
            fnPtr: function as *mut c_void,
        };
        if jni!(env, RegisterNatives, helper, &native, 1) != JNI_OK {
            fail("RegisterNatives failed for the helper class");
        }
    }
    notify(JVMTI_ENABLE, JVMTI_EVENT_CLASS_FILE_LOAD_HOOK);
    for target in targets() {
        let name = c_string(target);
        let class = jni!(env, FindClass, name.as_ptr());
        if class.is_null() {
            fail(&format!("there is no class {target}"));
        }
        jvmti!(RetransformClasses, 1, &class);
    }
    notify(JVMTI_DISABLE, JVMTI_EVENT_CLASS_FILE_LOAD_HOOK);
}

/// The audited classes.
fn targets() -> impl Iterator<Item = &'static str> {
    [instrument::INFLATER, instrument::DEFLATER].into_iter()
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| fail("a name with a zero byte"))
}

extern "system" fn on_class_file(
    _jvmti: *mut jvmtiEnv,
    _env: *mut JNIEnv,
    _redefined: jclass,
    _loader: jobject,
    name: *const c_char,
    _domain: jobject,
    length: jint,
    bytes: *const c_uchar,
    new_length: *mut jint,
    new_bytes: *mut *mut c_uchar,
) {
    if name.is_null() {
        return;
    }
    // SAFETY: the JVM passes a NUL-terminated string.
    let name = unsafe { CStr::from_ptr(name) };
    let Some(target) = targets().find(|target| target.as_bytes() == name.to_bytes()) else {
        return;
    };
    // SAFETY: the JVM passes `length` bytes, which are valid during this call.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length as usize) };
    let done = match instrument::instrument(target, bytes, Identity::Tag) {
        Ok(done) if done.missing.is_empty() => done.bytes,
        Ok(done) => fail(&done.missing.join("; ")),
        Err(refusal) => fail(&format!("{target}: {refusal}")),
    };
    let mut memory = ptr::null_mut();
    jvmti!(Allocate, done.len() as jlong, &mut memory);
    // SAFETY: Allocate returned that many new bytes, and the last two are out parameters of this
    // callback.
    unsafe {
        ptr::copy_nonoverlapping(done.as_ptr(), memory, done.len());
        *new_length = done.len() as jint;
        *new_bytes = memory;
    }
}
