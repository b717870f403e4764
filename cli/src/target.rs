//! Inspection of another process: its user, whether it is a HotSpot JVM, and the folders through
//! which to reach it.
//!
//! Owns what is read from `/proc/PID`, and with which user's rights; [`crate::hotspot::attach`]
//! talks to the JVM. Invariant: an inspection changes nothing, and no link in the file system of
//! the process leads out of it.

use crate::error::{CliError, Code};
use crate::hotspot::perfdata::PerfData;
use crate::hotspot::vm_flags::Flags;
use crate::proc::maps::Maps;
use crate::proc::status::Status;
use crate::proc::unix_sockets;
use crate::sys::{self, EffectiveUser};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zaudit_core::files::reason;
use zaudit_core::jvm_flags::zero_terminated;

/// How long to wait for the end of a JVM that is exiting.
pub(crate) const END: Duration = Duration::from_secs(5);

/// How long to wait until a program that is called `java` has loaded the JVM.
const LOADING: Duration = Duration::from_secs(2);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

/// The agent's file name.
pub(crate) const LIBRARY: &str = "libzaudit.so";

/// The most bytes of HotSpot's performance data that are read. Usually there are 32 KiB.
const LARGEST_PERFDATA: u64 = 1 << 20;

/// A HotSpot JVM that we may attach to.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its process id in our namespace.
    pub(crate) pid: i32,
    /// Its status at the time of the inspection.
    pub(crate) status: Status,
    /// A pidfd: stands for this process even if its id is reused. `None` before Linux 5.3.
    process: Option<OwnedFd>,
    root: OwnedFd,
    temporary: OwnedFd,
    maps: Maps,
    perfdata: Option<PerfData>,
}

/// The state of the agent in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is auditing.
    Armed,
    /// It waits for the option `delay`.
    Waiting,
    /// It is loaded and idle.
    Loaded,
    /// It is not loaded.
    Absent,
}

impl Presence {
    /// The word that `zaudit ps` shows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Presence::Armed => "armed",
            Presence::Waiting => "waiting",
            Presence::Loaded => "loaded",
            Presence::Absent => "-",
        }
    }
}

/// Reads `/proc/PID/status`. Fails if there is no such process.
pub(crate) fn status(pid: i32) -> Result<Status, CliError> {
    let none = || {
        CliError::new(
            Code::NoProcess,
            format!("there is no process {pid}"),
            "zaudit ps lists the running JVMs",
        )
    };
    let text = fs::read(format!("/proc/{pid}/status")).map_err(|_| none())?;
    let status = Status::parse(&String::from_utf8_lossy(&text)).ok_or_else(none)?;
    if status.ended() {
        return Err(CliError::gone(pid));
    }
    if status.process != pid {
        let process = status.process;
        let message = format!("{pid} is a thread of process {process}");
        return Err(CliError::new(
            Code::NoProcess,
            message,
            format!("use the id of the process: {process}"),
        ));
    }
    Ok(status)
}

/// Does `work` as ourselves, and if that is not permitted, as the user of the process. Root in a
/// container often may not inspect the processes of other users, but may become any of them.
fn as_either<T>(status: &Status, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied && sys::effective().0 == 0 =>
        {
            let _user = sys::impersonate(status.user, status.group)?;
            work()
        }
        other => other,
    }
}

/// The name of a user, else the number.
pub(crate) fn user(number: u32) -> String {
    sys::user_name(number).unwrap_or_else(|| number.to_string())
}

fn not_permitted(pid: i32, status: &Status) -> CliError {
    let owner = user(status.user);
    let (own_user, own_group) = sys::effective();
    if own_user != status.user && own_user != 0 {
        let message = format!("process {pid} belongs to {owner}");
        let hint = format!("run zaudit as {owner} or as root: sudo -u {owner} zaudit …");
        return CliError::new(Code::NotPermitted, message, hint);
    }
    if own_user != 0 && own_group != status.group {
        let message =
            format!("process {pid} runs as group {}, and we as group {own_group}", status.group);
        let hint = "a JVM answers only its own group: run zaudit through sg or newgrp, or as root";
        return CliError::new(Code::NotPermitted, message, hint);
    }
    let message = format!("the system does not let us look into process {pid}");
    CliError::new(
        Code::NotPermitted,
        message,
        "run zaudit as root, in a container with --cap-add SYS_PTRACE",
    )
}

/// The files that a process has mapped.
pub(crate) fn maps(pid: i32, status: &Status) -> io::Result<Maps> {
    Ok(Maps::parse(&as_either(status, || fs::read(format!("/proc/{pid}/maps")))?))
}

/// The state of the agent. Everybody may see the names of threads, but only the process's user its
/// mapped files.
pub(crate) fn presence(pid: i32, maps: Option<&Maps>) -> Presence {
    let loaded = maps.is_some_and(|maps| maps.named(OsStr::new(LIBRARY)).is_some());
    if maps.is_some() && !loaded {
        return Presence::Absent;
    }
    let mut presence = if loaded { Presence::Loaded } else { Presence::Absent };
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        match fs::read(task.path().join("comm")).unwrap_or_default().trim_ascii_end() {
            b"zaudit" => return Presence::Armed,
            b"zaudit-delay" => presence = Presence::Waiting,
            _ => {}
        }
    }
    presence
}

/// The command line of a process, with blanks between the words.
pub(crate) fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = zero_terminated(&bytes).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

impl Target {
    /// Inspects a process. The error is the first obstacle to attaching.
    pub(crate) fn find(pid: i32) -> Result<Self, CliError> {
        let status = status(pid)?;
        let process = match sys::pidfd(pid) {
            Ok(process) => Some(process),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                return Err(CliError::gone(pid));
            }
            Err(_) => None,
        };
        let own = sys::effective();
        if own.0 != 0 && own != (status.user, status.group) {
            return Err(not_permitted(pid, &status));
        }
        let ends = |limit| sys::wait([process.as_ref().map(AsFd::as_fd)], limit) == [true];
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => not_permitted(pid, &status),
            _ if !Path::new(&format!("/proc/{pid}")).exists() => CliError::gone(pid),
            // A process that is exiting loses these files first.
            Some(libc::ENOENT | libc::ESRCH) if ends(END) => CliError::gone(pid),
            _ => CliError::new(
                Code::Failed,
                format!("cannot read /proc/{pid}: {}", reason(&error)),
                "",
            ),
        };
        expect_64_bits(pid, &status).map_err(&failed)??;
        let mut maps = maps(pid, &status).map_err(&failed)?;
        // The program `java` loads libjvm.so a moment after it has started.
        let found = Instant::now();
        while !maps.hotspot() && status.name == "java" && found.elapsed() < LOADING {
            if ends(PAUSE) {
                return Err(CliError::gone(pid));
            }
            maps = self::maps(pid, &status).map_err(&failed)?;
        }
        if !maps.hotspot() {
            // A process that is exiting releases its memory first, perhaps while we read.
            let mapped = self::maps(pid, &status).is_ok_and(|again| !again.is_empty());
            let limit = if mapped { Duration::ZERO } else { END };
            if ends(limit) {
                return Err(CliError::gone(pid));
            }
            let message = format!(
                "process {pid} ({}) is not a HotSpot JVM: no libjvm.so is in it",
                status.name
            );
            return Err(CliError::new(
                Code::NotHotSpot,
                message,
                "zaudit ps lists the running JVMs",
            ));
        }
        if status.stopped() {
            let message = format!("process {pid} is stopped, by a signal or a debugger");
            return Err(CliError::new(
                Code::NoAnswer,
                message,
                format!("continue it first: kill -CONT {pid}"),
            ));
        }
        let root = format!("/proc/{pid}/root");
        let root = as_either(&status, || sys::open_folder(Path::new(&root))).map_err(&failed)?;
        let temporary =
            as_either(&status, || sys::open_within(root.as_fd(), Path::new("/tmp"), FOLDER))
                .map_err(|error| {
                    let message = format!("cannot open /tmp of process {pid}: {}", reason(&error));
                    CliError::new(
                        Code::Failed,
                        message,
                        "a JVM accepts commands through a socket in /tmp",
                    )
                })?;
        let perfdata =
            performance_data(&status, temporary.as_fd()).and_then(|bytes| PerfData::parse(&bytes));
        Ok(Self { pid, status, process, root, temporary, maps, perfdata })
    }

    /// Takes on the identity of the JVM's user until the result is dropped.
    pub(crate) fn impersonate(&self) -> Result<EffectiveUser, CliError> {
        sys::impersonate(self.status.user, self.status.group)
            .map_err(|_| not_permitted(self.pid, &self.status))
    }

    /// The `/tmp` of the process.
    pub(crate) fn temporary(&self) -> BorrowedFd<'_> {
        self.temporary.as_fd()
    }

    /// Its current folder now.
    pub(crate) fn current(&self) -> Option<OwnedFd> {
        sys::open_folder(Path::new(&format!("/proc/{}/cwd", self.pid))).ok()
    }

    /// Its pidfd, which becomes readable when it ends. `None` before Linux 5.3.
    pub(crate) fn process(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(AsFd::as_fd)
    }

    /// Its status now; `None` if it has ended.
    pub(crate) fn status_now(&self) -> Option<Status> {
        // Its id may have been reused; the descriptor tells.
        let [ended] = sys::wait([self.process()], Duration::ZERO);
        if ended { None } else { status(self.pid).ok() }
    }

    /// Whether a socket listens that was bound to one of these file names. Where nothing says so,
    /// one may.
    pub(crate) fn may_listen_at(&self, names: &[&str]) -> bool {
        let bytes = fs::read(format!("/proc/{}/net/unix", self.pid));
        bytes.map_or(true, |bytes| unix_sockets::listens(&String::from_utf8_lossy(&bytes), names))
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let [ended] = sys::wait([self.process()], limit);
        ended || self.status_now().is_none()
    }

    /// Opens a file by its path in the file system of the process.
    pub(crate) fn open(&self, path: &Path, flags: i32) -> io::Result<File> {
        sys::open_within(self.root.as_fd(), path, flags).map(File::from)
    }

    /// The path of the agent's library in the file system of the process, if it is loaded. `known`
    /// is another file name that it may have.
    pub(crate) fn loaded_library(&self, known: Option<&OsStr>) -> Option<PathBuf> {
        let found = self.maps.named(OsStr::new(LIBRARY)).or_else(|| self.maps.named(known?))?;
        // In a chroot the process sees a shorter path than we do.
        let root = fs::read_link(format!("/proc/{}/root", self.pid)).unwrap_or_default();
        match found.strip_prefix(&root) {
            Ok(inner) => Some(Path::new("/").join(inner)),
            Err(_) => Some(found.clone()),
        }
    }

    /// The state of the agent.
    pub(crate) fn presence(&self) -> Presence {
        presence(self.pid, Some(&self.maps))
    }

    /// Whether the JVM accepts attach commands, as far as is known.
    pub(crate) fn takes_commands(&self) -> bool {
        let published = self.perfdata.as_ref().and_then(PerfData::takes_commands);
        published.unwrap_or_else(|| self.flags().switch("DisableAttachMechanism") != Some(true))
    }

    /// Whether the JVM is still starting, as far as is known.
    pub(crate) fn starting(&self) -> bool {
        performance_data(&self.status, self.temporary())
            .is_some_and(|bytes| PerfData::starting(&bytes))
    }

    /// Whether the JVM accepts agents while it runs, as far as its flags tell.
    pub(crate) fn takes_agents(&self) -> bool {
        self.flags().switch("EnableDynamicAgentLoading") != Some(false)
    }

    /// The flags that the JVM was started with.
    pub(crate) fn flags(&self) -> Flags {
        if let Some(flags) = self.perfdata.as_ref().and_then(PerfData::flags) {
            return Flags::of(flags);
        }
        let read = |name: &str| {
            as_either(&self.status, || fs::read(format!("/proc/{}/{name}", self.pid)))
                .unwrap_or_default()
        };
        Flags::collect(&read("cmdline"), &read("environ"), &|path| self.text(path))
    }

    /// The first 64 KiB of a file that its command line names.
    fn text(&self, path: &str) -> Option<String> {
        let folder = fs::read_link(format!("/proc/{}/cwd", self.pid)).unwrap_or_default();
        let path = folder.join(path);
        let file =
            as_either(&self.status, || self.open(&path, libc::O_RDONLY | libc::O_NONBLOCK)).ok()?;
        let mut text = Vec::new();
        file.metadata().ok().filter(fs::Metadata::is_file)?;
        file.take(64 << 10).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Main class or jar, and the program's arguments, else the whole command line.
    pub(crate) fn command(&self) -> String {
        let published = self.perfdata.as_ref().and_then(PerfData::command);
        published.map_or_else(|| command_line(self.pid), str::to_owned)
    }
}

/// Flags that open a folder to resolve paths below it, without the right to list it.
const FOLDER: i32 = libc::O_PATH | libc::O_DIRECTORY;

/// Refuses 32-bit programs: the fifth byte of an ELF file is its class.
fn expect_64_bits(pid: i32, status: &Status) -> io::Result<Result<(), CliError>> {
    let opened = as_either(status, || File::open(format!("/proc/{pid}/exe")));
    let mut head = Vec::new();
    match opened {
        Ok(file) => file.take(5).read_to_end(&mut head)?,
        // Kernel threads have no program file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(match head.as_slice() {
        [0x7f, b'E', b'L', b'F', 1] => Err(CliError::new(
            Code::NotHotSpot,
            format!("process {pid} ({}) is a 32-bit program", status.name),
            "zaudit audits 64-bit HotSpot JVMs only",
        )),
        _ => Ok(()),
    })
}

/// The performance data that the JVM publishes. The name of its folder ends with the user's name as
/// the JVM's own system (its container) knows it, so all such folders are searched; a file counts
/// only if it belongs to the JVM's user.
fn performance_data(status: &Status, temporary: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let is_own = |file: &File| file.metadata().is_ok_and(|found| found.uid() == status.user);
    let read = |folder: &OsStr| -> io::Result<Option<Vec<u8>>> {
        let folder = File::from(sys::open_at(temporary, folder, FOLDER | libc::O_NOFOLLOW, 0)?);
        let name = OsString::from(status.own_pid.to_string());
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::from(sys::open_at(folder.as_fd(), &name, flags, 0)?);
        if !is_own(&folder) || !is_own(&file) || !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_PERFDATA).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    let listed =
        as_either(status, || fs::read_dir(format!("/proc/self/fd/{}", temporary.as_raw_fd())));
    listed
        .ok()?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.as_bytes().starts_with(b"hsperfdata_"))
        .find_map(|name| as_either(status, || read(&name)).ok().flatten())
}
