//! The part of JVMTI that walks the heap, and reads the fields of classes.
//!
//! Contains no policy. Invariant: during a heap walk no function of the JVM is called.

use super::{
    Jvmti, Result, check, collected, copied, jclass, jint, jlong, jmethodID, jobject, jvmtiError,
    slice,
};
use jvmti_bindings::sys::jni::{jfieldID, jvalue};
use jvmti_bindings::sys::jvmti;
use std::ffi::c_void;
use std::ptr;

/// One reference, as a heap walk reports it.
pub(crate) struct Reference {
    /// The kind, `JVMTI_HEAP_REFERENCE_*`.
    pub(crate) kind: jvmti::jvmtiHeapReferenceKind,
    /// The tag of the object referred to; 0 if it has none.
    pub(crate) to: jlong,
    /// The tag of that object's class.
    pub(crate) to_class: jlong,
    /// The tag of the object that holds the reference; None for a root.
    pub(crate) from: Option<jlong>,
    /// The tag of the holder's class.
    pub(crate) from_class: jlong,
    /// The index of the field or array element; 0 for other kinds.
    pub(crate) index: u32,
    /// For a local variable or JNI local reference: the tag of its thread, and its method.
    pub(crate) frame: Option<(jlong, jmethodID)>,
}

/// What a walk does after a reference.
pub(crate) enum Visit {
    /// Set the tags of the object and of its holder, and follow the object's references.
    Retag(jlong, jlong),
    /// Follow the object's references.
    Continue,
    /// Do not follow the object's references.
    Skip,
    /// End the walk.
    Abort,
}

extern "system" fn on_reference<F: FnMut(&Reference) -> Visit>(
    kind: jvmti::jvmtiHeapReferenceKind,
    info: *const jvmti::jvmtiHeapReferenceInfo,
    class_tag: jlong,
    referrer_class_tag: jlong,
    _size: jlong,
    tag: *mut jlong,
    referrer_tag: *mut jlong,
    _length: jint,
    visit: *mut c_void,
) -> jint {
    // SAFETY: the JVM passes the pointer that `follow` gave it.
    let visit = unsafe { &mut *visit.cast::<F>() };
    // SAFETY: the JVM passes pointers to the tags; roots have no holder.
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
        // SAFETY: the kind determines the member of the union (JVMTI, "Heap Reference Info").
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
    match visit(&reference) {
        Visit::Abort => return jvmti::JVMTI_VISIT_ABORT,
        Visit::Continue => {}
        Visit::Skip => return 0,
        Visit::Retag(to, from) => {
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

/// A field of an object, as a heap walk reports it.
pub(crate) struct PrimitiveField<'a> {
    /// Its index, as JVMTI counts fields (jvmtiHeapReferenceInfoField).
    pub(crate) index: u32,
    pub(crate) value: Primitive,
    /// The object's tag.
    pub(crate) tag: &'a mut jlong,
}

/// The types of fields that the agent reads.
pub(crate) enum Primitive {
    Int(jint),
    Long(jlong),
}

/// A field of a class, static or not.
pub(crate) struct Field {
    pub(crate) id: jfieldID,
    pub(crate) name: String,
    pub(crate) is_static: bool,
    /// Whether it refers to an object or an array.
    pub(crate) is_reference: bool,
}

impl Jvmti {
    /// Visits every reference that is reachable from a root. Pauses the application meanwhile.
    pub(crate) fn follow<F: FnMut(&Reference) -> Visit>(self, mut visit: F) -> Result<()> {
        let callbacks = jvmti::jvmtiHeapCallbacks {
            heap_reference_callback: Some(on_reference::<F>),
            ..Default::default()
        };
        call!(
            self,
            FollowReferences,
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            &callbacks,
            (&raw mut visit).cast()
        )
    }

    /// Tags every object without a tag that is an instance of `class` or of a subclass: one heap
    /// walk, which pauses the application. `mark` returns the tag of the next object, or None to
    /// stop.
    ///
    /// HotSpot compares the classes before it looks up tags. In a walk that compares tags of
    /// classes it looks up two for each object of the heap, which takes three times as long.
    pub(crate) fn tag_instances<F: FnMut() -> Option<jlong>>(
        self,
        class: jclass,
        mut mark: F,
    ) -> Result<()> {
        extern "system" fn visit<F: FnMut() -> Option<jlong>>(
            _class_tag: jlong,
            _size: jlong,
            tag: *mut jlong,
            mark: *mut c_void,
        ) -> jvmti::jvmtiIterationControl {
            // SAFETY: the JVM passes the pointer that it was given.
            let mark = unsafe { &mut *mark.cast::<F>() };
            let Some(next) = mark() else { return jvmti::JVMTI_ITERATION_ABORT };
            // SAFETY: the JVM passes a pointer to the tag.
            unsafe { *tag = next };
            jvmti::JVMTI_ITERATION_CONTINUE
        }
        let filter = jvmti::JVMTI_HEAP_OBJECT_UNTAGGED;
        let mark = (&raw mut mark).cast();
        call!(self, IterateOverInstancesOfClass, class, filter, Some(visit::<F>), mark)
    }

    /// Calls `each` with every `int` and `long` field of every instance of this very class: one
    /// heap walk, which pauses the application. It ends when `each` returns false.
    pub(crate) fn each_field<F: FnMut(PrimitiveField<'_>) -> bool>(
        self,
        class: jclass,
        mut each: F,
    ) -> Result<()> {
        extern "system" fn visit<F: FnMut(PrimitiveField<'_>) -> bool>(
            _kind: jvmti::jvmtiHeapReferenceKind,
            info: *const jvmti::jvmtiHeapReferenceInfo,
            _class_tag: jlong,
            tag: *mut jlong,
            value: jvalue,
            value_type: jvmti::jvmtiPrimitiveType,
            each: *mut c_void,
        ) -> jint {
            // SAFETY: the type determines the member of the union.
            let value = unsafe {
                match value_type {
                    jvmti::JVMTI_PRIMITIVE_TYPE_INT => Primitive::Int(value.i),
                    jvmti::JVMTI_PRIMITIVE_TYPE_LONG => Primitive::Long(value.j),
                    _ => return 0,
                }
            };
            // SAFETY: the JVM passes the pointer that it was given, one to the tag, and for a field
            // one to this member of the union.
            let (each, index, tag) =
                unsafe { (&mut *each.cast::<F>(), (*info).field.index, &mut *tag) };
            let field = PrimitiveField { index: u32::try_from(index).unwrap_or(0), value, tag };
            if each(field) { 0 } else { jvmti::JVMTI_VISIT_ABORT }
        }
        let callbacks = jvmti::jvmtiHeapCallbacks {
            primitive_field_callback: Some(visit::<F>),
            ..Default::default()
        };
        call!(self, IterateThroughHeap, 0, class, &callbacks, (&raw mut each).cast())
    }

    /// Local references to all objects with one of these tags, each with its tag.
    pub(crate) fn objects_with_any(self, tags: &[jlong]) -> Result<Vec<(jlong, jobject)>> {
        let wanted = jint::try_from(tags.len()).unwrap_or(jint::MAX);
        let (mut count, mut objects, mut found) = (0, ptr::null_mut(), ptr::null_mut());
        call!(
            self,
            GetObjectsWithTags,
            wanted,
            tags.as_ptr(),
            &mut count,
            &mut objects,
            &mut found
        )?;
        // SAFETY: on success both have `count` entries.
        let all = unsafe {
            collected(
                slice(found, count).iter().copied().zip(slice(objects, count).iter().copied()),
            )
        };
        self.deallocate(objects.cast());
        self.deallocate(found.cast());
        all
    }

    /// The fields that a class declares; none for a class that was never prepared.
    pub(crate) fn fields(self, class: jclass) -> Result<Vec<Field>> {
        let ids = self.field_ids(class)?;
        ids.into_iter().map(|id| self.field(class, id)).collect()
    }

    /// How many fields a class declares.
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

    /// Local references to the interfaces that a class declares.
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
