//! A thin cover over the JNI function table: one method for each function in use, with no exception
//! left pending.
//!
//! Contains no policy. Invariant: a failure is None or false, and no exception of ours reaches the
//! program.

use jvmti_bindings::sys::jni::{self, jclass, jint, jlong, jobject};
use std::ffi::{CStr, CString, NulError, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

pub(crate) use jni::{jfieldID, jmethodID, jweak};

/// The JVM's invocation table.
static VM: AtomicPtr<jni::JavaVM> = AtomicPtr::new(ptr::null_mut());

/// Stores the JVM's invocation table. There is one JVM in a process.
///
/// # Safety
/// `vm` comes from the JVM.
pub(crate) unsafe fn keep_vm(vm: *mut jni::JavaVM) {
    VM.store(vm, Ordering::Release);
}

/// The JVM's invocation table, once the agent is loaded.
pub(crate) fn vm() -> Option<*mut jni::JavaVM> {
    let vm = VM.load(Ordering::Acquire);
    (!vm.is_null()).then_some(vm)
}

/// `java.lang.VirtualMachineError`, once it is known: what is thrown if the JVM cannot do what it
/// usually does.
static JVM_ERROR: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// A native method and the function behind it.
pub(crate) struct NativeMethod {
    pub(crate) name: &'static str,
    pub(crate) descriptor: &'static str,
    pub(crate) function: *const (),
}

/// See [`shortages`].
static SHORTAGES: AtomicU64 = AtomicU64::new(0);

fn shortage() {
    SHORTAGES.fetch_add(1, Ordering::Relaxed);
}

/// How many calls have failed so far because the JVM had no memory or no stack left. Many results
/// are optional, because a JDK may lack a class or a field; this number tells whether one is
/// missing for another reason.
pub(crate) fn shortages() -> u64 {
    SHORTAGES.load(Ordering::Relaxed)
}

/// The JNI environment of the current thread.
#[derive(Clone, Copy)]
pub(crate) struct Jni(*mut jni::JNIEnv);

/// GetLongField as it was in the JNI table at one moment: another agent may replace the table.
#[derive(Clone, Copy)]
pub(crate) struct GetLongField(
    unsafe extern "system" fn(*mut jni::JNIEnv, jobject, jfieldID) -> jlong,
);

impl GetLongField {
    pub(crate) fn of(jni: Jni) -> GetLongField {
        // SAFETY: the environment is the current thread's, with the JVM's table.
        GetLongField(unsafe { (**jni.0).GetLongField })
    }

    pub(crate) fn address(self) -> usize {
        self.0 as usize
    }

    /// The 8 bytes that a number in the place of a field id stands for.
    ///
    /// # Safety
    /// The reference is valid, the function is HotSpot's own, and for it the number stands for 8
    /// bytes of that object.
    #[inline(always)]
    pub(crate) unsafe fn read(self, jni: Jni, object: jobject, id: usize) -> usize {
        // SAFETY: the caller guarantees it.
        let value = unsafe { (self.0)(jni.0, object, ptr::without_provenance_mut(id)) };
        value.cast_unsigned() as usize
    }
}

/// What a test has a function return instead of being called.
#[cfg(feature = "fault-injection")]
macro_rules! injected {
    ($env:expr, $slot:ident) => {{
        use crate::sys::failing_calls;
        // SAFETY: the environment is the current thread's (see `Jni::new`), or null.
        unsafe {
            failing_calls::jni(
                $env,
                const { failing_calls::row(failing_calls::JNI, stringify!($slot)) },
            )
        }
    }};
}
#[cfg(not(feature = "fault-injection"))]
macro_rules! injected {
    ($env:expr, $slot:ident) => {
        None
    };
}

/// Calls a slot of the JNI table.
macro_rules! jni {
    ($env:expr, $slot:ident $(, $argument:expr)*) => {{
        match injected!($env.0, $slot) {
            Some(failed) => failed,
            // SAFETY: the environment is the current thread's (see `Jni::new`), and the arguments
            // have the types and lifetimes that the JNI specification requires for this function.
            None => unsafe { ((**$env.0).$slot)($env.0 $(, $argument)*) },
        }
    }};
}

impl Jni {
    /// # Safety
    /// `env` is the JNI environment of the current thread, and is used on no other.
    pub(crate) unsafe fn new(env: *mut jni::JNIEnv) -> Jni {
        Jni(env)
    }

    /// The environment of the current thread, if it has one.
    pub(crate) fn of_this_thread() -> Option<Jni> {
        let vm = vm()?;
        let mut env: *mut c_void = ptr::null_mut();
        let code = match injected!(ptr::null_mut(), GetEnv) {
            Some(failed) => failed,
            // SAFETY: `vm` is the JVM's own invocation table, which any thread may use (JNI, "The
            // Invocation API"); `env` outlives the call.
            None => unsafe { ((**vm).GetEnv)(vm, &mut env, jni::JNI_VERSION_1_6) },
        };
        (code == jni::JNI_OK && !env.is_null()).then(|| Jni(env.cast()))
    }

    /// For the JDK's native methods, on this thread.
    pub(crate) fn raw(self) -> *mut jni::JNIEnv {
        self.0
    }

    /// The highest version of JNI that this JVM supports.
    pub(crate) fn version(self) -> jint {
        jni!(self, GetVersion)
    }

    /// JDK 19 and 20 may have virtual threads, JDK 21 and later do.
    pub(crate) fn has_virtual_threads(self) -> bool {
        self.version() >= jni::JNI_VERSION_19
    }

    pub(crate) fn is_virtual(self, thread: jobject) -> bool {
        self.has_virtual_threads() && jni!(self, IsVirtualThread, thread) != 0
    }

    /// A class of the boot loader, not initialised; `any` is any class. JNI's FindClass would call
    /// the system class loader, which may be the program's own code.
    pub(crate) fn boot_class(self, any: jclass, name: &CStr) -> Option<jclass> {
        self.class(any, name, ptr::null_mut())
    }

    /// A class as this loader finds it, not initialised; `any` is any class. Runs the loader.
    pub(crate) fn class(self, any: jclass, name: &CStr, loader: jobject) -> Option<jclass> {
        let class = self.class_of(any);
        let signature = c"(Ljava/lang/String;ZLjava/lang/ClassLoader;)Ljava/lang/Class;";
        let method = self.not_null(jni!(
            self,
            GetStaticMethodID,
            class,
            c"forName".as_ptr(),
            signature.as_ptr()
        ))?;
        let name = self.not_null(jni!(self, NewStringUTF, name.as_ptr()))?;
        let arguments = [jni::jvalue { l: name }, jni::jvalue { z: 0 }, jni::jvalue { l: loader }];
        let found =
            self.not_null(jni!(self, CallStaticObjectMethodA, class, method, arguments.as_ptr()));
        self.delete_local(name);
        self.delete_local(class);
        found
    }

    /// Runs `body` with space for `room` local references (-Xcheck:jni counts them), and releases
    /// those after it.
    pub(crate) fn with_locals<T>(self, room: usize, body: impl FnOnce() -> T) -> Option<T> {
        let room = jint::try_from(room).unwrap_or(jint::MAX);
        if jni!(self, PushLocalFrame, room) != jni::JNI_OK {
            self.clear_exception();
            return None;
        }
        let result = body();
        jni!(self, PopLocalFrame, ptr::null_mut());
        Some(result)
    }

    /// Defines a class in the boot loader.
    pub(crate) fn define_boot_class(self, name: &CStr, bytes: &[u8]) -> Option<jclass> {
        let length = jint::try_from(bytes.len()).ok()?;
        self.not_null(jni!(
            self,
            DefineClass,
            name.as_ptr(),
            ptr::null_mut(),
            bytes.as_ptr().cast(),
            length
        ))
    }

    /// Gives a class its native methods.
    pub(crate) fn register(self, class: jclass, methods: &[NativeMethod]) -> bool {
        let names = methods
            .iter()
            .map(|method| Ok((CString::new(method.name)?, CString::new(method.descriptor)?)))
            .collect::<Result<Vec<(CString, CString)>, NulError>>();
        let Ok(names) = names else { return false };
        let natives: Vec<jni::JNINativeMethod> = methods
            .iter()
            .zip(&names)
            .map(|(method, (name, descriptor))| jni::JNINativeMethod {
                name: name.as_ptr(),
                signature: descriptor.as_ptr(),
                fnPtr: method.function.cast_mut().cast(),
            })
            .collect();
        let count = jint::try_from(natives.len()).unwrap_or(jint::MAX);
        let code = jni!(self, RegisterNatives, class, natives.as_ptr(), count);
        self.clear_exception();
        code == jni::JNI_OK
    }

    /// Makes it known what the JVM throws if it has no memory; `any` is any class. Until then, no
    /// exception counts for [`shortages`].
    pub(crate) fn know_errors(self, any: jclass) -> bool {
        if !JVM_ERROR.load(Ordering::Acquire).is_null() {
            return true;
        }
        let local = self.boot_class(any, c"java.lang.VirtualMachineError");
        let class = local.and_then(|local| self.global(local));
        local.into_iter().for_each(|local| self.delete_local(local));
        class.into_iter().for_each(|class| JVM_ERROR.store(class, Ordering::Release));
        class.is_some()
    }

    pub(crate) fn global(self, object: jobject) -> Option<jobject> {
        let global = self.not_null(jni!(self, NewGlobalRef, object));
        if global.is_none() && !object.is_null() {
            shortage();
        }
        global
    }

    pub(crate) fn weak(self, object: jobject) -> Option<jweak> {
        self.not_null(jni!(self, NewWeakGlobalRef, object))
    }

    pub(crate) fn delete_weak(self, weak: jweak) {
        jni!(self, DeleteWeakGlobalRef, weak);
    }

    /// A local reference to the object of any reference. None if the GC has freed the object.
    pub(crate) fn local(self, reference: jobject) -> Option<jobject> {
        let local = jni!(self, NewLocalRef, reference);
        if local.is_null() && !self.same(reference, ptr::null_mut()) {
            shortage();
        }
        (!local.is_null()).then_some(local)
    }

    pub(crate) fn delete_local(self, object: jobject) {
        if !object.is_null() {
            jni!(self, DeleteLocalRef, object);
        }
    }

    #[inline]
    pub(crate) fn is_instance(self, object: jobject, class: jclass) -> bool {
        jni!(self, IsInstanceOf, object, class) != 0
    }

    pub(crate) fn is_assignable(self, class: jclass, to: jclass) -> bool {
        jni!(self, IsAssignableFrom, class, to) != 0
    }

    pub(crate) fn same(self, one: jobject, other: jobject) -> bool {
        jni!(self, IsSameObject, one, other) != 0
    }

    /// Null for `Object` and interfaces.
    pub(crate) fn superclass(self, class: jclass) -> jclass {
        jni!(self, GetSuperclass, class)
    }

    pub(crate) fn class_of(self, object: jobject) -> jclass {
        jni!(self, GetObjectClass, object)
    }

    pub(crate) fn field(self, class: jclass, name: &CStr, signature: &CStr) -> Option<jfieldID> {
        self.not_null(jni!(self, GetFieldID, class, name.as_ptr(), signature.as_ptr()))
    }

    pub(crate) fn static_field(
        self,
        class: jclass,
        name: &CStr,
        signature: &CStr,
    ) -> Option<jfieldID> {
        self.not_null(jni!(self, GetStaticFieldID, class, name.as_ptr(), signature.as_ptr()))
    }

    pub(crate) fn object_field(self, object: jobject, field: jfieldID) -> jobject {
        jni!(self, GetObjectField, object, field)
    }

    pub(crate) fn static_object_field(self, class: jclass, field: jfieldID) -> jobject {
        jni!(self, GetStaticObjectField, class, field)
    }

    pub(crate) fn int_field(self, object: jobject, field: jfieldID) -> jint {
        jni!(self, GetIntField, object, field)
    }

    pub(crate) fn boolean_field(self, object: jobject, field: jfieldID) -> bool {
        jni!(self, GetBooleanField, object, field) != 0
    }

    pub(crate) fn static_boolean_field(self, class: jclass, field: jfieldID) -> bool {
        jni!(self, GetStaticBooleanField, class, field) != 0
    }

    pub(crate) fn long_field(self, object: jobject, field: jfieldID) -> jlong {
        jni!(self, GetLongField, object, field)
    }

    /// Links a class without initializing it; if another thread does that already, waits for it.
    pub(crate) fn link(self, class: jclass) {
        // Reflection does that, and no function of JNI or JVMTI.
        let own = self.class_of(class);
        let signature = c"(Z)[Ljava/lang/reflect/Constructor;";
        let method = self.method(own, c"getDeclaredConstructors0", signature);
        self.delete_local(own);
        let Some(method) = method else { return };
        let only_public = [jni::jvalue { z: 1 }];
        let found =
            self.not_null(jni!(self, CallObjectMethodA, class, method, only_public.as_ptr()));
        found.into_iter().for_each(|found| self.delete_local(found));
    }

    pub(crate) fn method(
        self,
        class: jclass,
        name: &CStr,
        signature: &CStr,
    ) -> Option<jni::jmethodID> {
        self.not_null(jni!(self, GetMethodID, class, name.as_ptr(), signature.as_ptr()))
    }

    pub(crate) fn static_method(
        self,
        class: jclass,
        name: &CStr,
        signature: &CStr,
    ) -> Option<jni::jmethodID> {
        self.not_null(jni!(self, GetStaticMethodID, class, name.as_ptr(), signature.as_ptr()))
    }

    /// Calls `long method(Class, String)` of an object. None if it does not exist or throws.
    pub(crate) fn call_long(
        self,
        object: jobject,
        name: &CStr,
        (class, text): (jclass, &CStr),
    ) -> Option<jlong> {
        let own = self.class_of(object);
        let signature = c"(Ljava/lang/Class;Ljava/lang/String;)J".as_ptr();
        let method = self.not_null(jni!(self, GetMethodID, own, name.as_ptr(), signature));
        self.delete_local(own);
        let text = self.not_null(jni!(self, NewStringUTF, text.as_ptr()))?;
        let arguments = [jni::jvalue { l: class }, jni::jvalue { l: text }];
        let value = jni!(self, CallLongMethodA, object, method?, arguments.as_ptr());
        self.delete_local(text);
        let threw = jni!(self, ExceptionCheck) != 0;
        self.clear_exception();
        (!threw).then_some(value)
    }

    /// Calls a static method `boolean method()`. None if it throws.
    pub(crate) fn call_static_boolean(self, class: jclass, method: jni::jmethodID) -> Option<bool> {
        let value = jni!(self, CallStaticBooleanMethodA, class, method, ptr::null());
        let threw = jni!(self, ExceptionCheck) != 0;
        self.clear_exception();
        (!threw).then_some(value != 0)
    }

    /// What `toArray()` of a collection returns. None if it throws.
    pub(crate) fn to_array(self, collection: jobject) -> Option<Vec<jobject>> {
        let own = self.class_of(collection);
        let method = self.method(own, c"toArray", c"()[Ljava/lang/Object;");
        self.delete_local(own);
        let array = jni!(self, CallObjectMethodA, collection, method?, ptr::null());
        let array = self.not_null(array)?;
        let all = 0..jni!(self, GetArrayLength, array);
        Some(all.map(|index| jni!(self, GetObjectArrayElement, array, index)).collect())
    }

    /// `new java.lang.Thread(group, name)`; `class` is that class.
    pub(crate) fn new_thread(self, class: jclass, group: jobject, name: &CStr) -> Option<jobject> {
        let signature = c"(Ljava/lang/ThreadGroup;Ljava/lang/String;)V";
        let constructor =
            self.not_null(jni!(self, GetMethodID, class, c"<init>".as_ptr(), signature.as_ptr()))?;
        let name = self.not_null(jni!(self, NewStringUTF, name.as_ptr()))?;
        let arguments = [jni::jvalue { l: group }, jni::jvalue { l: name }];
        self.not_null(jni!(self, NewObjectA, class, constructor, arguments.as_ptr()))
    }

    /// `new C()`.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn new_object(self, class: jclass) -> Option<jobject> {
        let constructor =
            self.not_null(jni!(self, GetMethodID, class, c"<init>".as_ptr(), c"()V".as_ptr()))?;
        self.not_null(jni!(self, NewObjectA, class, constructor, ptr::null()))
    }

    /// Whether an array of this size can be allocated in the Java heap; it is garbage then.
    pub(crate) fn has_room(self, bytes: jint) -> bool {
        let array = self.not_null(jni!(self, NewByteArray, bytes));
        array.into_iter().for_each(|array| self.delete_local(array));
        array.is_some()
    }

    /// A Java string. None if memory runs out.
    pub(crate) fn string(self, first: char, rest: &str) -> Option<jobject> {
        let mut units = Vec::<u16>::new();
        // UTF-16 has no more units than UTF-8 has bytes.
        units.try_reserve_exact(first.len_utf16() + rest.len()).ok()?;
        units.extend_from_slice(first.encode_utf16(&mut [0; 2]));
        units.extend(rest.encode_utf16());
        let length = jint::try_from(units.len()).ok()?;
        self.not_null(jni!(self, NewString, units.as_ptr(), length))
    }

    /// The text of a Java string; what is not Unicode in it is replaced. None if it is null, or if
    /// memory runs out.
    pub(crate) fn text(self, string: jobject) -> Option<String> {
        if string.is_null() {
            return None;
        }
        let length = jni!(self, GetStringLength, string);
        let mut units = Vec::<u16>::new();
        let count = usize::try_from(length).ok()?;
        units.try_reserve_exact(count).ok()?;
        units.resize(count, 0);
        jni!(self, GetStringRegion, string, 0, length, units.as_mut_ptr());
        self.clear_exception();
        let mut text = String::new();
        // A unit becomes at most three bytes of UTF-8.
        text.try_reserve_exact(count * 3).ok()?;
        let replaced =
            |found: std::result::Result<char, _>| found.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend(char::decode_utf16(units).map(replaced));
        Some(text)
    }

    /// The result unless it is null. Clears a pending exception, which must not reach the program.
    fn not_null<T>(self, result: *mut T) -> Option<*mut T> {
        self.clear_exception();
        (!result.is_null()).then_some(result)
    }

    /// Works around a JDK 8 bug: under -Xcheck:jni, the first JNI call that is not an exception
    /// check is blamed for a check that the JDK's own code omitted before it called us
    /// (`runFinalization0`). Checking here clears that.
    #[inline]
    pub(crate) fn check_exceptions(self) {
        jni!(self, ExceptionCheck);
    }

    pub(crate) fn clear_exception(self) {
        if jni!(self, ExceptionCheck) == 0 {
            return;
        }
        let thrown = jni!(self, ExceptionOccurred);
        jni!(self, ExceptionClear);
        let class = JVM_ERROR.load(Ordering::Acquire);
        if !class.is_null() && self.is_instance(thrown, class) {
            shortage();
        }
        self.delete_local(thrown);
    }
}
