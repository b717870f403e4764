//! Protocol buffers as bytes on the wire, as much of them as a profile needs, and gzip around it.
//!
//! Knows field numbers of nothing. Invariant: a field that is zero or empty is left out, as the
//! format's own writers do.

use crate::report::out::Out;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use std::io;

/// A message under construction.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A whole number.
    pub(super) fn number(&mut self, field: u32, number: u64) -> &mut Self {
        if number != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(number);
        }
        self
    }

    /// Many of them, packed; they may be zero.
    pub(super) fn numbers(
        &mut self,
        field: u32,
        numbers: impl IntoIterator<Item = u64>,
    ) -> &mut Self {
        let mut packed = Message::default();
        numbers.into_iter().for_each(|number| packed.varint(number));
        if packed.0.is_empty() { self } else { self.message(field, &packed) }
    }

    /// A message in the message, which may be empty: there may be several of it.
    pub(super) fn message(&mut self, field: u32, message: &Message) -> &mut Self {
        self.text(field, &message.0)
    }

    /// A string in a list of strings, the empty one too.
    pub(super) fn text(&mut self, field: u32, text: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text);
        self
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// A gzip file without a name and a time, written piece by piece: the same pieces give the same
/// bytes.
pub(super) struct Gzip<'w> {
    out: Out<'w>,
    compressor: Box<CompressorOxide>,
    crc: u32,
    size: u32,
}

impl<'w> Gzip<'w> {
    pub(super) fn new(to: &'w mut dyn io::Write) -> Gzip<'w> {
        const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        const LEVEL: i32 = 6;
        let mut out = Out::new(to);
        out.bytes(&HEADER);
        let flags = create_comp_flags_from_zip_params(LEVEL, 0, 0);
        Gzip { out, compressor: Box::new(CompressorOxide::new(flags)), crc: !0, size: 0 }
    }

    /// Writes what a message has, and leaves it empty. False if a write has failed: there is no
    /// point in continuing.
    pub(super) fn take(&mut self, message: &mut Message) -> bool {
        self.crc = crc32(self.crc, &message.0);
        // The size modulo 2^32 is what the format wants.
        self.size = self.size.wrapping_add(message.0.len() as u32);
        self.compress(&message.0, TDEFLFlush::None);
        message.0.clear();
        self.out.is_ok()
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.compress(&[], TDEFLFlush::Finish);
        self.out.bytes(&(!self.crc).to_le_bytes());
        self.out.bytes(&self.size.to_le_bytes());
        self.out.finish()
    }

    fn compress(&mut self, bytes: &[u8], flush: TDEFLFlush) {
        // The status only repeats what the callback said, and the callback takes everything.
        compress_to_output(&mut self.compressor, bytes, flush, |piece| {
            self.out.bytes(piece);
            true
        });
    }
}

/// The checksum of gzip before its last inversion, with a table that is made at compile time.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    bytes.iter().fold(crc, |crc: u32, byte| {
        let at = (crc ^ u32::from(*byte)) & 0xff;
        TABLE.get(at as usize).copied().unwrap_or_default() ^ crc >> 8
    })
}

#[expect(clippy::indexing_slicing, reason = "at compile time a wrong index does not compile")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ crc >> 1 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_s_own_examples() {
        assert_eq!(!crc32(crc32(!0, b"1234"), b"56789"), 0xcbf4_3926);
        let mut message = Message::default();
        message
            .number(1, 150)
            .text(2, b"testing")
            .numbers(4, [3, 270, 86_942])
            .number(5, 0)
            .numbers(6, []);
        assert_eq!(
            message.0, b"\x08\x96\x01\x12\x07testing\x22\x06\x03\x8e\x02\x9e\xa7\x05",
            "those of the encoding's description"
        );
    }

    #[test]
    fn a_gzip_file() {
        let (mut file, mut plain) = (Vec::new(), Vec::new());
        let mut gzip = Gzip::new(&mut file);
        for piece in 0..10 {
            let mut message = Message::default();
            (0..10_000).for_each(|number| message.varint(number * piece));
            plain.extend_from_slice(&message.0);
            gzip.take(&mut message);
            assert!(message.0.is_empty());
        }
        gzip.finish().unwrap();
        let (body, tail) = file[10..].split_at(file.len() - 18);
        assert!(miniz_oxide::inflate::decompress_to_vec(body).unwrap() == plain);
        assert_eq!(tail[4..], (plain.len() as u32).to_le_bytes());
    }
}
