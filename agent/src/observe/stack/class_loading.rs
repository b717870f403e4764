//! Cuts the stacks of entry streams that the JDK opens to load classes.
//!
//! Each class that is loaded from an archive has a stack of its own, but the line that happens to
//! need the class first says nothing about the stream. Without the cut, an application would have
//! thousands of sites more, and would start more slowly.

use crate::state::context::Context;
use crate::sys::jvmti::{Result, jvmtiFrameInfo};
use std::mem::MaybeUninit;

/// Between the stream and the method that defines the class there are nine frames at most, if the
/// JDK reads the archive itself.
const INNERMOST: usize = 16;

/// The number of frames from the caller of `getInflater()` up to the JDK's method that defines a
/// class, if the current thread, which is in a hook, is loading one.
pub(crate) fn frames(Context { agent, jni, .. }: Context<'_>) -> Result<Option<usize>> {
    let Some(classes) = agent.classes.get() else { return Ok(None) };
    let mut buffer = [const { MaybeUninit::uninit() }; INNERMOST];
    // Without those of the callback and of `getInflater()`.
    let frames = agent.jvmti.frames(std::ptr::null_mut(), 2, &mut buffer)?;
    let definers = classes.definers(agent.jvmti, jni);
    let defines = |frame: &jvmtiFrameInfo| definers.contains(&Some(frame.method as usize));
    Ok(frames.iter().position(defines).map(|outermost| outermost + 1))
}
