//! Big-endian reading and writing.
//!
//! Owns: the cursor that every parser here moves along, and the `put_*` functions that write.
//! Leaves to others: what the bytes mean. Invariant: a reader never reads past its slice; a
//! truncated item is a [`Refusal`].

use super::Refusal;

/// A cursor over one part of a class file; `part` names it in refusals.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    part: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self { rest: bytes, part }
    }

    fn cut_short(&self) -> Refusal {
        Refusal::new(format!("{} is truncated", self.part))
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Refusal> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.cut_short())?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.cut_short())?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u1(&mut self) -> Result<u8, Refusal> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(super) fn u2(&mut self) -> Result<u16, Refusal> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u4(&mut self) -> Result<u32, Refusal> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i2(&mut self) -> Result<i16, Refusal> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i4(&mut self) -> Result<i32, Refusal> {
        self.array().map(i32::from_be_bytes)
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What was read since `start`, an earlier copy of this reader.
    pub(super) fn since(&self, start: &Self) -> &'a [u8] {
        let read = start.rest.len().saturating_sub(self.rest.len());
        start.rest.get(..read).unwrap_or_default()
    }

    /// Checks that nothing is left.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Refusal::new(format!("{} has {left} trailing bytes", self.part))),
        }
    }
}

/// Appends class file items.
pub trait Put {
    /// Appends these bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a `u1`.
    fn put_u1(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends a `u2`.
    fn put_u2(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a `u4`.
    fn put_u4(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a signed `u4`.
    fn put_i4(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A length as the four bytes that attributes and code use for it.
pub(super) fn length_u4(len: usize) -> Result<u32, Refusal> {
    u32::try_from(len).map_err(|_| Refusal::new("an attribute grows past 4 GiB"))
}
