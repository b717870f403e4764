//! HotSpot's interfaces for other processes: the attach protocol, the performance data, the flags.

pub(crate) mod attach;
pub(crate) mod perfdata;
pub(crate) mod vm_flags;
