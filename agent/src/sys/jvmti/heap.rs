//! The part of JVMTI that looks through the heap from the roots, and at the fields of classes.
//!
//! Decides nothing. Invariant: while the heap is walked nothing of the JVM's is called but by it.

use super::{
    Jvmti, Result, check, collected, copied, jclass, jint, jlong, jmethodID, jobject, jvmtiError, slice,
};
use jvmti_bindings::sys::jni::jfieldID;
use jvmti_bindings::sys::jvmti;
use std::ffi::c_void;
use std::ptr;

/// One reference, as a walk comes by.
pub(crate) struct Reference {
    /// Which kind, `JVMTI_HEAP_REFERENCE_*`.
    pub(crate) kind: jvmti::jvmtiHeapReferenceKind,
    /// The tag of what is referred to.
    pub(crate) to: jlong,
    /// The tag of its class.
    pub(crate) to_class: jlong,
    /// The tag of what refers to it; none where that is a root.
    pub(crate) from: Option<jlong>,
    /// The tag of its class.
    pub(crate) from_class: jlong,
    /// Of a field or an element of an array.
    pub(crate) index: u32,
    /// Of a local variable: the tag of its thread, and its method.
    pub(crate) frame: Option<(jlong, jmethodID)>,
}

/// What becomes of a walk after a reference.
pub(crate) enum Again {
    /// It goes on, with these tags for what is referred to and what refers to it.
    Tagged(jlong, jlong),
    /// It goes on as it is.
    On,
    /// It goes on, but not with what is referred to.
    Elsewhere,
    /// It ends here.
    Stop,
}

extern "system" fn visit<F: FnMut(&Reference) -> Again>(
    kind: jvmti::jvmtiHeapReferenceKind,
    info: *const jvmti::jvmtiHeapReferenceInfo,
    class_tag: jlong,
    referrer_class_tag: jlong,
    _size: jlong,
    tag: *mut jlong,
    referrer_tag: *mut jlong,
    _length: jint,
    see: *mut c_void,
) -> jint {
    // SAFETY: the JVM hands back what was given to it.
    let see = unsafe { &mut *see.cast::<F>() };
    // SAFETY: the JVM hands the tags' places; roots have none.
    let (to, from) = unsafe { (*tag, referrer_tag.as_ref().copied()) };
    let mut reference = Reference {
        kind,
        to,
        to_class: class_tag,
        from,
        from_class: referrer_class_tag,
        index: 0,
        frame: None,
    };
    if !info.is_null() {
        // SAFETY: which member of the union holds is said by the kind (JVMTI, "Heap Reference Info").
        unsafe {
            match kind {
                jvmti::JVMTI_HEAP_REFERENCE_FIELD
                | jvmti::JVMTI_HEAP_REFERENCE_STATIC_FIELD
                | jvmti::JVMTI_HEAP_REFERENCE_ARRAY_ELEMENT => {
                    reference.index = u32::try_from((*info).array.index).unwrap_or(0);
                }
                jvmti::JVMTI_HEAP_REFERENCE_STACK_LOCAL => {
                    let local = (*info).stack_local;
                    reference.frame = Some((local.thread_tag, local.method));
                }
                jvmti::JVMTI_HEAP_REFERENCE_JNI_LOCAL => {
                    let local = (*info).jni_local;
                    reference.frame = Some((local.thread_tag, local.method));
                }
                _ => {}
            }
        }
    }
    match see(&reference) {
        Again::Stop => return jvmti::JVMTI_VISIT_ABORT,
        Again::On => {}
        Again::Elsewhere => return 0,
        Again::Tagged(to, from) => {
            // SAFETY: as above.
            unsafe {
                *tag = to;
                if let Some(place) = referrer_tag.as_mut() {
                    *place = from;
                }
            }
        }
    }
    jvmti::JVMTI_VISIT_OBJECTS
}

/// A field of a class, static or not.
pub(crate) struct Field {
    pub(crate) id: jfieldID,
    pub(crate) name: String,
    pub(crate) is_static: bool,
    /// Whether it holds an object or an array.
    pub(crate) is_reference: bool,
}

impl Jvmti {
    /// Tells every reference that leads from a root to anything, while all threads of the program stand still.
    pub(crate) fn follow<F: FnMut(&Reference) -> Again>(self, mut see: F) -> Result<()> {
        let callbacks =
            jvmti::jvmtiHeapCallbacks { heap_reference_callback: Some(visit::<F>), ..Default::default() };
        call!(self, FollowReferences, 0, ptr::null_mut(), ptr::null_mut(), &callbacks, (&raw mut see).cast())
    }

    /// Local references to all objects with one of these tags, each with its tag.
    pub(crate) fn objects_with_any(self, tags: &[jlong]) -> Result<Vec<(jlong, jobject)>> {
        let wanted = jint::try_from(tags.len()).unwrap_or(jint::MAX);
        let (mut count, mut objects, mut found) = (0, ptr::null_mut(), ptr::null_mut());
        call!(self, GetObjectsWithTags, wanted, tags.as_ptr(), &mut count, &mut objects, &mut found)?;
        // SAFETY: on success both have `count` entries.
        let all = unsafe {
            collected(slice(found, count).iter().copied().zip(slice(objects, count).iter().copied()))
        };
        self.deallocate(objects.cast());
        self.deallocate(found.cast());
        all
    }

    /// The fields that a class declares itself; none of a class that was never prepared.
    pub(crate) fn fields(self, class: jclass) -> Result<Vec<Field>> {
        let ids = self.field_ids(class)?;
        ids.into_iter().map(|id| self.field(class, id)).collect()
    }

    /// How many fields a class declares itself.
    pub(crate) fn count_fields(self, class: jclass) -> Result<usize> {
        Ok(self.field_ids(class)?.len())
    }

    fn field_ids(self, class: jclass) -> Result<Vec<jfieldID>> {
        let (mut count, mut ids) = (0, ptr::null_mut());
        match call!(self, GetClassFields, class, &mut count, &mut ids) {
            Err(jvmtiError::CLASS_NOT_PREPARED) => return Ok(Vec::new()),
            other => other?,
        }
        // SAFETY: on success `ids` has `count` entries.
        let all = copied(unsafe { slice(ids, count) });
        self.deallocate(ids.cast());
        all
    }

    fn field(self, class: jclass, id: jfieldID) -> Result<Field> {
        const STATIC: jint = 0x8;
        let (mut name, mut signature, mut modifiers) = (ptr::null_mut(), ptr::null_mut(), 0);
        call!(self, GetFieldModifiers, class, id, &mut modifiers)?;
        call!(self, GetFieldName, class, id, &mut name, &mut signature, ptr::null_mut())?;
        let (name, signature) = (self.take_string(name), self.take_string(signature));
        let is_reference = signature.starts_with(['L', '[']);
        Ok(Field { id, name, is_static: modifiers & STATIC != 0, is_reference })
    }

    /// Local references to the interfaces that a class names itself.
    pub(crate) fn interfaces(self, class: jclass) -> Result<Vec<jclass>> {
        let (mut count, mut interfaces) = (0, ptr::null_mut());
        match call!(self, GetImplementedInterfaces, class, &mut count, &mut interfaces) {
            Err(jvmtiError::CLASS_NOT_PREPARED) => return Ok(Vec::new()),
            other => other?,
        }
        // SAFETY: on success `interfaces` has `count` entries.
        let all = copied(unsafe { slice(interfaces, count) });
        self.deallocate(interfaces.cast());
        all
    }
}
