//! Parsers for files of `/proc/PID`. They read no file themselves.

pub(crate) mod maps;
pub(crate) mod status;
pub(crate) mod unix_sockets;
