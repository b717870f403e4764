//! Class files: bytes in, bytes out.
