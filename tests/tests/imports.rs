//! What the agent's library can do at all: the functions that it has from the C library, its raw
//! system calls, and the files of `/proc` that it reads.
//!
//! Invariant: what `SECURITY.md` says that the agent never does, it has no function for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use zaudit_tests::{agent, repository};

/// Functions for the network and for sockets of any kind.
const NETWORK: [&str; 18] = [
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "send",
    "sendto",
    "sendmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "getaddrinfo",
    "gethostbyname",
    "res_query",
    "sendmmsg",
    "recvmmsg",
];

/// Functions that start a program or a process, or act on another one.
const PROCESSES: [&str; 28] = [
    "fork",
    "vfork",
    "clone",
    "execl",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "fexecve",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "popen",
    "kill",
    "tgkill",
    "ptrace",
    "process_vm_writev",
    "pidfd_open",
    "clone3",
    "execle",
    "execlp",
    "execveat",
    "raise",
    "tkill",
    "sigqueue",
    "pthread_kill",
    "pthread_sigqueue",
    "pidfd_send_signal",
];

/// Functions that change who may do what: of the process, of files, of memory.
const PERMISSIONS: [&str; 18] = [
    "setuid",
    "seteuid",
    "setreuid",
    "setresuid",
    "setgid",
    "setgroups",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "mprotect",
    "setregid",
    "setresgid",
    "setegid",
    "fchownat",
    "pkey_mprotect",
];

/// Descriptors that an agent might keep: it waits and wakes without one.
const DESCRIPTORS: [&str; 8] = [
    "pipe",
    "pipe2",
    "eventfd",
    "epoll_create",
    "epoll_create1",
    "inotify_init",
    "timerfd_create",
    "signalfd",
];

fn u64_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

/// The names that a shared library (ELF, 64 bits, little-endian) leaves to others.
fn imports(library: &[u8]) -> BTreeSet<String> {
    const SHT_DYNSYM: usize = 11;
    const SYMBOL: usize = 24;
    assert!(library.starts_with(b"\x7fELF\x02\x01"), "a library of a 64-bit Linux");
    let (headers, size, count) = (u64_at(library, 40), u16_at(library, 58), u16_at(library, 60));
    // Of a section: where it begins, how long it is, and which other one belongs to it.
    let section = |number: usize| {
        let at = headers + number * size;
        (u32_at(library, at + 4), u64_at(library, at + 24), u64_at(library, at + 32), at + 40)
    };
    let (_, symbols, length, link) =
        (0..count).map(section).find(|section| section.0 == SHT_DYNSYM).expect("dynamic symbols");
    let (_, names, ..) = section(u32_at(library, link));
    let undefined = (symbols..symbols + length).step_by(SYMBOL);
    let undefined = undefined.filter(|at| u16_at(library, at + 6) == 0);
    let name = |at: usize| {
        let rest = &library[names + u32_at(library, at)..];
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(rest[..end].to_vec()).unwrap()
    };
    undefined.map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_library_has_no_function_for_what_the_agent_never_does() {
    let library = agent::library().unwrap_or_else(|why| panic!("{why}"));
    let imports = imports(&fs::read(&library).unwrap());
    for used in ["open64", "rename", "sigaction", "memcpy"] {
        assert!(imports.contains(used), "the names were found: {imports:?}");
    }
    let denied = [&NETWORK[..], &PROCESSES, &PERMISSIONS, &DESCRIPTORS];
    let found: Vec<_> =
        denied.into_iter().flatten().filter(|name| imports.contains(**name)).collect();
    assert!(found.is_empty(), "{} imports {found:?}", library.display());
}

/// The sources of the agent and of what it is built from, without their unit tests and what only
/// builds for tests have.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("sys/failing_calls") {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|name| name == "rs")
                && !path.ends_with("tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
                let end = tests.iter().filter_map(|begin| text.find(begin)).min();
                let code = text[..end.unwrap_or(text.len())].to_owned();
                found.push((path, code));
            }
        }
    }
    let mut found = Vec::new();
    for package in ["agent", "core", "classfile", "instrument"] {
        walk(&repository().join(package).join("src"), &mut found);
    }
    assert!(found.len() > 100, "the sources were found: {}", found.len());
    found
}

/// A raw system call is not an imported function.
#[test]
fn raw_system_calls_are_waits_and_wakes() {
    let mut found = 0;
    for (path, code) in sources() {
        for call in code.split("syscall(").skip(1) {
            found += 1;
            assert!(call.trim_start().starts_with("libc::SYS_futex,"), "{}", path.display());
        }
    }
    assert!(found > 1, "the calls were found: {found}");
}

#[test]
fn each_file_of_the_system_is_named_on_the_page() {
    let page = fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let mut read = BTreeSet::new();
    for (path, code) in sources() {
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for literal in code.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            if ["/proc/", "/sys/", "/etc/", "/tmp", "/dev/"]
                .iter()
                .any(|at| literal.starts_with(at))
            {
                read.insert(literal.to_owned());
                assert!(page.contains(literal), "{}: {literal}", path.display());
            }
        }
    }
    assert!(read.contains("/proc/self/maps"), "the names were found: {read:?}");
}
