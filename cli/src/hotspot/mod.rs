//! What HotSpot offers to other processes: its attach protocol, its performance data, its flags.

pub(crate) mod attach;
pub(crate) mod perfdata;
pub(crate) mod vm_flags;
