//! Paths as text: fields and classes, threads and methods.
//!
//! The paths were found before. Invariant: a name that cannot be read is a question mark, never a
//! guess.

use super::{Root, tag_of};
use crate::observe::stack::capture::class_name;
use crate::sys::jni::{Jni, jfieldID};
use crate::sys::jvmti::{Jvmti, Result, jclass, jlong, jmethodID, jobject};
use std::collections::{BTreeMap, HashSet};
use zaudit_core::analysis::retention::{ENDS, Retained, RetainingPath, Step, Steps};

/// The objects on the paths, while they are named. A field is identified by its value: the field
/// index that a walk reports is counted over all superclasses and interfaces, and does not show
/// whether the field has another value by now.
pub(super) struct Names {
    jvmti: Jvmti,
    jni: Jni,
    objects: BTreeMap<jlong, jobject>,
}

impl Names {
    pub(super) fn of(jvmti: Jvmti, jni: Jni, paths: &[RetainingPath<'_, Root>]) -> Result<Names> {
        let mut tags = HashSet::new();
        for (root, steps) in paths.iter().flatten() {
            tags.extend(match root {
                Root::Static(tag) | Root::Thread(tag) | Root::Frame { thread: tag, .. } => {
                    Some(*tag)
                }
                Root::Other(_) => None,
            });
            tags.extend(steps.kept.iter().map(|step| tag_of(step.node)));
        }
        tags.remove(&0);
        let tags: Vec<jlong> = tags.into_iter().collect();
        let objects = if tags.is_empty() { Vec::new() } else { jvmti.objects_with_any(&tags)? };
        Ok(Names { jvmti, jni, objects: objects.into_iter().collect() })
    }

    /// The text of one path.
    pub(super) fn render(&self, root: &Root, Steps { kept: steps, left_out }: &Steps) -> Retained {
        let object = |at: usize| self.objects.get(&tag_of(steps.get(at)?.node)).copied();
        let mut path = Vec::new();
        let root = match root {
            Root::Static(class) => self.static_field(self.objects.get(class).copied(), object(0)),
            Root::Thread(tag) => {
                let thread = self.objects.get(tag).copied();
                path.push(self.field(thread, object(0)));
                self.thread(*tag)
            }
            Root::Frame { kind, thread, method } => {
                let method =
                    self.method(*method).map(|method| format!(" of {method}")).unwrap_or_default();
                format!("{kind}{method} in {}", self.thread(*thread))
            }
            Root::Other(text) => (*text).to_owned(),
        };
        for (at, pair) in steps.windows(2).enumerate() {
            if at + 1 == ENDS && *left_out > 0 {
                path.push(format!("… {left_out} more steps"));
                continue;
            }
            path.push(match pair {
                [_, Step { index: Some(index), .. }] => format!("[{index}]"),
                _ => self.field(object(at), object(at + 1)),
            });
        }
        path.push(
            object(steps.len().saturating_sub(1))
                .map_or_else(unknown, |instance| self.class_of(instance)),
        );
        Retained::By { root, path }
    }

    fn class_of(&self, object: jobject) -> String {
        let class = self.jni.class_of(object);
        let name = class_name(self.jvmti, class).unwrap_or_else(|_| unknown());
        self.jni.delete_local(class);
        name
    }

    fn thread(&self, tag: jlong) -> String {
        let thread = self.objects.get(&tag).copied();
        match thread.and_then(|thread| self.jvmti.thread_name(self.jni, thread).ok()) {
            Some(name) => format!("thread {name}"),
            // JVMTI does not list virtual threads.
            None => "a thread".into(),
        }
    }

    fn method(&self, method: jmethodID) -> Option<String> {
        if method.is_null() {
            return None;
        }
        let class = self.jvmti.declaring_class(method).ok()?;
        let name = class_name(self.jvmti, class).ok();
        self.jni.delete_local(class);
        Some(format!("{}.{}", name?, self.jvmti.method_name(method).ok()?))
    }

    /// The field of `holder` that refers to `held`.
    fn field(&self, holder: Option<jobject>, held: Option<jobject>) -> String {
        let (Some(holder), Some(held)) = (holder, held) else { return unknown() };
        let mut class = self.jni.class_of(holder);
        while !class.is_null() {
            let found =
                self.named(class, held, false, |field| self.jni.object_field(holder, field));
            let superclass = self.jni.superclass(class);
            self.jni.delete_local(class);
            if let Some(name) = found {
                self.jni.delete_local(superclass);
                return name;
            }
            class = superclass;
        }
        // The field was changed after the walk.
        format!("{}.?", self.class_of(holder))
    }

    fn static_field(&self, class: Option<jclass>, held: Option<jobject>) -> String {
        let (Some(class), Some(held)) = (class, held) else { return unknown() };
        match self.named(class, held, true, |field| self.jni.static_object_field(class, field)) {
            Some(name) => format!("static {name}"),
            None => match class_name(self.jvmti, class) {
                Ok(name) => format!("class {name}"),
                Err(_) => unknown(),
            },
        }
    }

    fn named(
        &self,
        class: jclass,
        held: jobject,
        is_static: bool,
        value: impl Fn(jfieldID) -> jobject,
    ) -> Option<String> {
        let fields = self.jvmti.fields(class).ok()?;
        let mut candidates =
            fields.into_iter().filter(|field| field.is_reference && field.is_static == is_static);
        let found = candidates.find(|field| {
            let value = value(field.id);
            let same = self.jni.same(value, held);
            self.jni.delete_local(value);
            same
        })?;
        Some(format!("{}.{}", class_name(self.jvmti, class).ok()?, found.name))
    }
}

fn unknown() -> String {
    "?".into()
}
