//! `/proc/PID/status`: name, state, user and signal mask of a process.
//!
//! Owns the syntax. Invariant: a line that is missing, or is not as the kernel writes it, gives no
//! status, never a panic or a guess.

/// The status of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Its name, at most 15 bytes.
    pub(crate) name: String,
    /// `R`, `S`, `T` …
    pub(crate) state: char,
    /// The process that this thread belongs to; its own id for a process.
    pub(crate) process: i32,
    /// Its effective user.
    pub(crate) user: u32,
    /// Its effective group.
    pub(crate) group: u32,
    /// Its process id in its own (the innermost) PID namespace.
    pub(crate) own_pid: i32,
    /// A bit for each signal with a handler.
    caught: u64,
}

impl Status {
    /// Parses the text; `None` if a line is missing that every kernel writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        // Real, effective, saved and file system id.
        let effective = |name| field(name)?.split_whitespace().nth(1)?.parse().ok();
        let process: i32 = field("Tgid")?.parse().ok()?;
        let own = field("NSpid").and_then(|numbers| numbers.split_whitespace().last());
        Some(Self {
            name: field("Name")?.to_owned(),
            state: field("State")?.chars().next()?,
            process,
            user: effective("Uid")?,
            group: effective("Gid")?,
            own_pid: own.map_or(Some(process), |number| number.parse().ok())?,
            caught: u64::from_str_radix(field("SigCgt")?, 16).ok()?,
        })
    }

    /// Whether it has a handler for this signal.
    pub(crate) fn catches(&self, signal: i32) -> bool {
        signal
            .checked_sub(1)
            .and_then(|bit| self.caught.checked_shr(bit.try_into().ok()?))
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Whether it is stopped by a signal or a debugger, and will not answer.
    pub(crate) fn stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it has ended, even if its parent has not waited for it.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JVM: &str = "Name:\tjava\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\nPPid:\t1\n\
        Uid:\t0\t1000\t0\t0\nGid:\t0\t1001\t0\t0\nGroups:\t0 \nNSpid:\t4242\t17\t3\nSigBlk:\t0000000000000000\n\
        SigIgn:\t0000000000000000\nSigCgt:\t2000000181005ccf\n";

    #[test]
    fn as_the_kernel_writes_it() {
        let status = Status::parse(JVM).unwrap();
        assert_eq!((status.process, status.own_pid), (4242, 3));
        assert_eq!((status.user, status.group, status.state), (1000, 1001, 'S'));
        assert!(
            status.catches(3) && !status.catches(9) && !status.catches(0) && !status.catches(65)
        );
        assert!(!status.stopped() && !status.ended());
        assert_eq!(status.name, "java");
    }

    #[test]
    fn old_kernels_have_no_namespaces() {
        let old = JVM.replace("NSpid:\t4242\t17\t3\n", "");
        assert_eq!(Status::parse(&old).unwrap().own_pid, 4242);
    }

    #[test]
    fn states() {
        for (state, stopped, ended) in [
            ("T (stopped)", true, false),
            ("t (tracing stop)", true, false),
            ("Z (zombie)", false, true),
        ] {
            let status = Status::parse(&JVM.replace("S (sleeping)", state)).unwrap();
            assert_eq!((status.stopped(), status.ended()), (stopped, ended), "{state}");
        }
    }

    #[test]
    fn a_name_is_no_field() {
        // A process may call itself anything but a line break, which the kernel escapes.
        let status = Status::parse(&JVM.replace("Name:\tjava", "Name:\tState:\tZ")).unwrap();
        assert_eq!(status.state, 'S');
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "Name:",
            "State:\t\n",
            &JVM.replace("4242", "x"),
            &JVM.replace("SigCgt:\t2", "SigCgt:\tz"),
        ] {
            assert_eq!(Status::parse(text), None, "{text}");
        }
    }
}
