//! Where renderers write: straight to a writer that their caller has buffered.
//!
//! Keeps the first error, so that a renderer need not look at each write. Invariant: after an error
//! nothing more is written, and [`Out::finish`] says what it was.

use serde::{Serialize, Serializer};
use std::fmt;
use std::io::{self, Write};

pub(super) struct Out<'w> {
    to: &'w mut dyn Write,
    written: io::Result<()>,
}

impl<'w> Out<'w> {
    pub(super) fn new(to: &'w mut dyn Write) -> Out<'w> {
        Out { to, written: Ok(()) }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.written.is_ok() {
            self.written = self.to.write_all(bytes);
        }
    }

    /// Whether all was written so far. There is no point in continuing otherwise.
    pub(super) fn is_ok(&self) -> bool {
        self.written.is_ok()
    }

    /// The result of all writes.
    pub(super) fn finish(self) -> io::Result<()> {
        self.written
    }
}

impl fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes(bytes);
        match &self.written {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(error.kind().into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Out<'_> {
    /// Takes what a serializer of numbers, strings and lists says: where a write failed, that error
    /// is kept already.
    pub(super) fn serialized(&mut self, result: serde_json::Result<()>) {
        if let Err(error) = result
            && self.written.is_ok()
        {
            self.written = Err(error.into());
        }
    }
}

/// A list whose elements are made one after the other.
pub(super) struct Listed<I>(pub(super) I);

impl<T: Serialize, I: Iterator<Item = T> + Clone> Serialize for Listed<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.clone())
    }
}
