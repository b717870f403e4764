//! Jar files, nothing compressed: thirty thousand small files would take longer to write than the
//! JVM to read them.
//!
//! Owns: the three records of the ZIP format (APPNOTE 4.3.7, 4.3.12, 4.3.16). Invariant: names are
//! ASCII and fewer than 65,536, which `finish` checks.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A jar under construction.
pub(crate) struct Jar {
    out: BufWriter<File>,
    written: u32,
    directory: Vec<u8>,
    entries: u32,
}

/// From the version needed to the length of the name, which both kinds of header share.
fn common(name: &str, bytes: &[u8]) -> Vec<u8> {
    // Version 1.0, no flags, stored, midnight of 1980-01-01.
    let mut header: Vec<u8> =
        [10u16, 0, 0, 0, 0x21].iter().flat_map(|item| item.to_le_bytes()).collect();
    let len = bytes.len() as u32;
    header.extend([crc32(bytes), len, len].iter().flat_map(|item| item.to_le_bytes()));
    header.extend((name.len() as u16).to_le_bytes());
    header
}

impl Jar {
    /// Starts one.
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        Ok(Self { out, written: 0, directory: Vec::new(), entries: 0 })
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let header = common(name, bytes);
        let local = [b"PK\x03\x04", header.as_slice(), &[0, 0], name.as_bytes(), bytes].concat();
        self.directory.extend([b"PK\x01\x02".as_slice(), &[10, 0], &header, &[0; 12]].concat());
        self.directory.extend(self.written.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.written += local.len() as u32;
        self.entries += 1;
        self.out.write_all(&local)
    }

    /// Writes the directory behind the files.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        let entries = u16::try_from(self.entries).map_err(std::io::Error::other)?.to_le_bytes();
        self.out.write_all(&self.directory)?;
        let len = (self.directory.len() as u32).to_le_bytes();
        self.out.write_all(
            &[
                b"PK\x05\x06".as_slice(),
                &[0; 4],
                &entries,
                &entries,
                &len,
                &self.written.to_le_bytes(),
                &[0; 2],
            ]
            .concat(),
        )?;
        self.out.flush()
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    !bytes
        .iter()
        .fold(!0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}
