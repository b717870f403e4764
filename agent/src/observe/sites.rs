//! The sites that the stacks in hooks belong to: what was created there, which frames count, and
//! the name of a subclass.

use crate::observe::stack::{Sites, capture, class_loading};
use crate::state::context::Context;
use crate::sys::jvmti::{Result, jobject, jvmtiError};
use zaudit_core::model::{Kind, OutOfMemory, Purpose};

/// The sites of instances of one kind.
pub(super) struct Allocations<'a> {
    pub(super) context: Context<'a>,
    pub(super) kind: Kind,
    pub(super) instance: jobject,
}

impl Sites for Allocations<'_> {
    fn of(&self) -> (Purpose, Kind) {
        (Purpose::Allocation, self.kind)
    }

    fn frames_above(&self) -> usize {
        // `getInflater()` returns at several places, so its own frame is left out.
        usize::from(self.kind == Kind::ZipEntry)
    }

    fn end(&self) -> Result<Option<usize>> {
        match self.kind {
            Kind::ZipEntry => class_loading::frames(self.context),
            Kind::Inflater | Kind::Deflater => Ok(None),
        }
    }

    fn subclass(&self) -> std::result::Result<Option<String>, OutOfMemory> {
        match self.kind {
            Kind::ZipEntry => Ok(None),
            kind => subclass(self.context, kind.noun(), self.instance),
        }
    }
}

/// The lines of double ends of one kind.
pub(super) struct DoubleEnds {
    pub(super) kind: Kind,
    pub(super) frames_above: usize,
}

impl Sites for DoubleEnds {
    fn of(&self) -> (Purpose, Kind) {
        (Purpose::DoubleEnd, self.kind)
    }

    fn frames_above(&self) -> usize {
        self.frames_above
    }

    fn end(&self) -> Result<Option<usize>> {
        Ok(None)
    }

    fn subclass(&self) -> std::result::Result<Option<String>, OutOfMemory> {
        Ok(None)
    }
}

/// The name of the instance's class if it is a subclass of the audited one.
fn subclass(
    Context { agent, audit, jni }: Context<'_>,
    audited: &str,
    instance: jobject,
) -> std::result::Result<Option<String>, OutOfMemory> {
    let class = jni.class_of(instance);
    let name = capture::class_name(agent.jvmti, class);
    jni.delete_local(class);
    match name {
        Ok(name) => Ok((name.strip_prefix("java.util.zip.") != Some(audited)).then_some(name)),
        // There may be memory for its name the next time.
        Err(jvmtiError::OUT_OF_MEMORY) => Err(OutOfMemory),
        Err(_) => {
            audit.session.record_unreadable("an instance's class could not be read");
            Ok(None)
        }
    }
}
