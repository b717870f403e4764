//! Thin covers of the JVM's interfaces, the operating system and memory. No policy.

pub(crate) mod allocator;
#[cfg(feature = "fault-injection")]
pub(crate) mod failing_calls;
#[cfg(feature = "fault-injection")]
pub(crate) mod fault_injection;
pub(crate) mod interposer;
pub(crate) mod jni;
pub(crate) mod jvm_flags;
pub(crate) mod jvmti;
pub(crate) mod malloc;
pub(crate) mod memory;
pub(crate) mod object_free;
pub(crate) mod posix;
pub(crate) mod sync;
mod turns;
pub(crate) mod vm_structs;
pub(crate) mod wake;
