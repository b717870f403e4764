//! `/proc/PID/net/unix`: the Unix-domain sockets of a network namespace.
//!
//! Owns the syntax. Invariant: a line that is not as the kernel writes it is no socket.

/// The flag of a socket that listens (`__SO_ACCEPTCON`).
const LISTENS: u32 = 1 << 16;

/// Whether a socket listens that was bound to a path with one of these file names.
pub(crate) fn listens(text: &str, names: &[&str]) -> bool {
    text.lines().any(|line| {
        // Num, RefCount, Protocol, Flags, Type, St, Inode, Path
        let mut fields = line.split_whitespace();
        let flags = fields.nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
        let path = fields.nth(3).unwrap_or_default();
        flags.is_some_and(|flags| flags & LISTENS != 0)
            && path.rsplit_once('/').is_some_and(|(_, name)| names.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_listen_count() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 35 /tmp/.java_pid7.tmp\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 36 /tmp/.java_pid8.tmp\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 37\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 38 @/.java_pid9x\n";
        let at = |name| listens(text, &[name]);
        assert!(at(".java_pid7.tmp"));
        assert!(!at(".java_pid8.tmp") && !at(".java_pid7") && !at(".java_pid9"));
        assert!(!listens("", &[""]) && !listens("x x x 10000 x x x", &[""]));
    }
}
