//! A zlib inside `libzip.so`: its blocks are counted as the JDK's own natives free them.
//!
//! The caller has checked that the blocks of this zlib can be counted so. Invariant: a `z_stream`
//! is ended as the JDK does it, whatever was counted.

use super::{BLOCK, Count, Free, LEVEL, STRATEGY, ZStream, plausible, symbol, usable};
use crate::sys::jni::Jni;
use jvmti_bindings::sys::jni::{JNIEnv, jclass, jint, jlong, jobject};
use libloading::os::unix::{Library, Symbol};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use zaudit_core::analysis::footprint::Footprint;

/// A zlib inside `libzip.so`, of which only the JDK's natives can be called.
pub(super) struct Hidden {
    inflater_init: Symbol<unsafe extern "system" fn(*mut JNIEnv, jclass, u8) -> jlong>,
    inflater_end: Symbol<NativeEnd>,
    /// JDK 11 and later; takes addresses instead of arrays.
    inflate: Option<Symbol<NativeInflate>>,
    deflater_init: Symbol<unsafe extern "system" fn(*mut JNIEnv, jclass, jint, jint, u8) -> jlong>,
    deflater_end: Symbol<NativeEnd>,
}

type NativeEnd = unsafe extern "system" fn(*mut JNIEnv, jclass, jlong);
type NativeInflate =
    unsafe extern "system" fn(*mut JNIEnv, jobject, jlong, jlong, jint, jlong, jint) -> jlong;

impl Hidden {
    pub(super) fn of(library: &Library) -> Option<Hidden> {
        // SAFETY: these are the natives of java.util.zip, whose types have been the same from JDK 8
        // to 28.
        unsafe {
            Some(Hidden {
                inflater_init: symbol(library, c"Java_java_util_zip_Inflater_init")?,
                inflater_end: symbol(library, c"Java_java_util_zip_Inflater_end")?,
                inflate: symbol(library, c"Java_java_util_zip_Inflater_inflateBufferBuffer"),
                deflater_init: symbol(library, c"Java_java_util_zip_Deflater_init")?,
                deflater_end: symbol(library, c"Java_java_util_zip_Deflater_end")?,
            })
        }
    }

    pub(super) fn measure(&self, jni: Jni, version: &str) -> Option<Footprint> {
        let env = jni.raw();
        // SAFETY: the natives use class and environment for exceptions only; the same holds below.
        let inflater = || unsafe { (self.inflater_init)(env, ptr::null_mut(), 1) };
        let fresh = counted(jni, inflater(), |_| (), &self.inflater_end)?;
        let each = match &self.inflate {
            Some(inflate) => {
                counted(jni, inflater(), |stream| work(env, inflate, stream), &self.inflater_end)?
            }
            // The format fixes the size of the window.
            None => fresh + (1 << 15),
        };
        // SAFETY: as above.
        let deflater = unsafe { (self.deflater_init)(env, ptr::null_mut(), LEVEL, STRATEGY, 1) };
        let deflater = counted(jni, deflater, |_| (), &self.deflater_end)?;
        // A Deflater allocates everything in its constructor (deflateInit2_ in every zlib since
        // 1.1).
        let found = plausible(
            version,
            Footprint::of_classes(fresh, deflater),
            Footprint::of_classes(each, deflater),
        )?;
        Some(Footprint { measured: self.inflate.is_some(), ..found })
    }
}

fn work(env: *mut JNIEnv, inflate: &NativeInflate, stream: jlong) {
    let mut output = [0_u8; 64];
    let input = (BLOCK.as_ptr().expose_provenance() as jlong, BLOCK.len() as jint);
    let (out, room) = (output.as_mut_ptr().expose_provenance() as jlong, output.len() as jint);
    // SAFETY: input and output are as long as the arguments say.
    unsafe { inflate(env, ptr::null_mut(), stream, input.0, input.1, out, room) };
}

/// Bytes that a `z_stream` of the JDK's own natives had when it was ended, after `work`.
fn counted(jni: Jni, address: jlong, work: impl FnOnce(jlong), end: &NativeEnd) -> Option<u64> {
    let stream: *mut ZStream = ptr::with_exposed_provenance_mut(usize::try_from(address).ok()?);
    if stream.is_null() {
        jni.clear_exception();
        return None;
    }
    work(address);
    let back = Back::default();
    // SAFETY: the natives return the address of a `z_stream` that they have created, and no other
    // code has it.
    let fields = unsafe { &mut *stream };
    let known = fields.zalloc.is_some() && fields.zfree.is_some() && fields.opaque.is_null();
    let own = usable(stream.cast());
    if known {
        back.zfree.set(fields.zfree);
        fields.zfree = Some(counted_free);
        fields.opaque = (&raw const back).cast_mut().cast();
    }
    // SAFETY: it is open.
    unsafe { end(jni.raw(), ptr::null_mut(), address) };
    jni.clear_exception();
    known.then_some(own + back.count.bytes.get())
}

/// Bytes that were freed, and the function that frees them.
#[derive(Default)]
struct Back {
    count: Count,
    zfree: Cell<Option<Free>>,
}

/// Counts a block of another allocator and passes it on to that allocator.
unsafe extern "C" fn counted_free(back: *mut c_void, block: *mut c_void) {
    // SAFETY: zlib passes what it was given: a `Back` that outlives the `z_stream`, used on this
    // thread only.
    let back = unsafe { &*back.cast::<Back>() };
    back.count.bytes.set(back.count.bytes.get() + usable(block));
    if let Some(zfree) = back.zfree.get() {
        // SAFETY: zlib itself would have called this function; its `opaque` was null.
        unsafe { zfree(ptr::null_mut(), block) };
    }
}
