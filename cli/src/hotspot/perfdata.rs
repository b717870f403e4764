//! HotSpot's performance data (`hsperfdata_USER/PID`), of which only the strings are read.
//!
//! Owns the format, version 2; [`crate::target`] finds the file and checks its owner. Invariant:
//! any bytes can be parsed; an entry that is out of bounds is left out.

/// The strings of such a file, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerfData(Vec<(String, String)>);

const MAGIC: u32 = 0xcafe_c0c0;

/// Type letter of an entry that is text.
const TEXT: u8 = b'B';

impl PerfData {
    /// Parses the bytes; `None` if they are not such a file, or if the JVM has not filled it yet.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let magic = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let [order, major, _minor, accessible] = *bytes.get(4..8)?.first_chunk()?;
        if magic != MAGIC || major != 2 || accessible != 1 || order > 1 {
            return None;
        }
        let number = |at: usize| -> Option<usize> {
            let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
            let value =
                if order == 1 { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) };
            value.try_into().ok()
        };
        let (mut at, count) = (number(24)?, number(28)?);
        let mut strings = Vec::new();
        for _ in 0..count {
            let Some(length) = number(at).filter(|length| *length >= 20) else { break };
            let Some(entry) = at.checked_add(length).and_then(|end| bytes.get(at..end)) else {
                break;
            };
            if entry.get(12) == Some(&TEXT)
                && let (Some(name), Some(size), Some(data)) =
                    (number(at + 4), number(at + 8), number(at + 16))
                && let Some(name) = entry.get(name..).and_then(terminated)
                && let Some(value) = data.checked_add(size).and_then(|end| entry.get(data..end))
            {
                let value = terminated(value)
                    .unwrap_or_else(|| String::from_utf8_lossy(value).into_owned());
                strings.push((name, value));
            }
            at += length;
        }
        Some(Self(strings))
    }

    /// Whether the JVM is still starting. It marks the data as accessible when it begins to accept
    /// agents (JVMTI's live phase).
    pub(crate) fn starting(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC.to_be_bytes()) && bytes.get(7) == Some(&0)
    }

    /// The value of a string.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Main class or jar, and the program's arguments.
    pub(crate) fn command(&self) -> Option<&str> {
        self.get("sun.rt.javaCommand").filter(|command| !command.is_empty())
    }

    /// Whether the JVM accepts attach commands: the first capability, which `jcmd` checks, too.
    pub(crate) fn takes_commands(&self) -> Option<bool> {
        Some(self.get("sun.rt.jvmCapabilities")?.starts_with('1'))
    }

    /// The flags that the JVM was started with, from all sources.
    pub(crate) fn flags(&self) -> Option<&str> {
        self.get("java.rt.vmArgs")
    }
}

/// The text before the first zero.
fn terminated(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these strings, as a little-endian JVM writes it.
    fn file(strings: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = vec![0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1];
        bytes.resize(24, 0);
        bytes.extend(32u32.to_le_bytes());
        bytes.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        for (name, value) in strings {
            let (name, value) = (format!("{name}\0"), format!("{value}\0"));
            let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
            bytes.extend(number(20 + name.len() + value.len()));
            bytes.extend(number(20));
            bytes.extend(number(value.len()));
            bytes.extend([TEXT, 0, 5, 1]);
            bytes.extend(number(20 + name.len()));
            bytes.extend(name.into_bytes());
            bytes.extend(value.into_bytes());
        }
        bytes
    }

    fn good() -> Vec<u8> {
        file(&[("sun.rt.javaCommand", "org.acme.Main a b"), ("sun.rt.jvmCapabilities", "1000")])
    }

    #[test]
    fn strings() {
        let data = PerfData::parse(&good()).unwrap();
        assert_eq!(data.command(), Some("org.acme.Main a b"));
        assert_eq!(data.takes_commands(), Some(true));
        assert_eq!(data.flags(), None);
        let off = PerfData::parse(&file(&[("sun.rt.jvmCapabilities", "0000")])).unwrap();
        assert_eq!((off.takes_commands(), off.command()), (Some(false), None));
    }

    #[test]
    fn data_of_a_starting_jvm() {
        let mut bytes = good();
        assert!(
            !PerfData::starting(&bytes) && !PerfData::starting(b"") && !PerfData::starting(&[0; 9])
        );
        bytes[7] = 0;
        assert_eq!(PerfData::parse(&bytes), None);
        assert!(PerfData::starting(&bytes));
    }

    #[test]
    fn truncated_and_corrupt_data_is_parsed() {
        let bytes = good();
        for end in 0..bytes.len() {
            PerfData::parse(&bytes[..end]);
        }
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut hostile = bytes.clone();
                hostile[at] = byte;
                PerfData::parse(&hostile);
                // A number of four such bytes.
                hostile[at..].iter_mut().take(4).for_each(|b| *b = byte);
                PerfData::parse(&hostile);
            }
        }
        assert_eq!(PerfData::parse(b""), None);
        assert_eq!(PerfData::parse(&[0xff; 4096]), None);
    }

    #[test]
    fn a_wrong_count_is_limited_by_the_bytes() {
        let mut bytes = good();
        bytes[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(PerfData::parse(&bytes).unwrap().0.len(), 2);
    }
}
