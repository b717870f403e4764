//! The system calls that the standard library does not offer.
//!
//! Owns all `unsafe` code of this program, and no policy. Invariant: arguments and results are safe
//! Rust types, and every error is an `io::Error`.

#![expect(unsafe_code, reason = "the only module with unsafe code")]

use std::ffi::{CStr, CString, OsStr, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// The descriptor that a system call returned, or its error.
fn descriptor(result: i64) -> io::Result<OwnedFd> {
    match RawFd::try_from(result) {
        // SAFETY: the system has just created this descriptor, and nothing else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn checked(result: c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Our effective user and group.
pub(crate) fn effective() -> (u32, u32) {
    // SAFETY: both only return a number.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Another user's identity. Dropping it restores the one before.
#[derive(Debug)]
pub(crate) struct EffectiveUser {
    before: Option<(u32, u32, Vec<libc::gid_t>)>,
}

/// Makes `user` and `group` the effective ones, and `group` the only group. Does nothing if they
/// are already.
pub(crate) fn impersonate(user: u32, group: u32) -> io::Result<EffectiveUser> {
    let (own_user, own_group) = effective();
    if (own_user, own_group) == (user, group) {
        return Ok(EffectiveUser { before: None });
    }
    // SAFETY: a count of 0 asks for the number of groups and writes nothing.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).map_err(|_| io::Error::last_os_error())?];
    // SAFETY: the list has room for `count` groups.
    let count = unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).map_err(|_| io::Error::last_os_error())?);
    let effective_user = EffectiveUser { before: Some((own_user, own_group, groups)) };
    // Some user namespaces do not permit setgroups; user and group are enough then.
    // SAFETY: one group, and a pointer to it.
    let _ = unsafe { libc::setgroups(1, &raw const group) };
    // The group first: without root's user id it cannot be changed.
    // SAFETY: both take a number.
    checked(unsafe { libc::setegid(group) })?;
    // SAFETY: as above.
    checked(unsafe { libc::seteuid(user) })?;
    Ok(effective_user)
}

impl Drop for EffectiveUser {
    fn drop(&mut self) {
        let Some((user, group, groups)) = &self.before else { return };
        // The saved ids permit going back.
        // SAFETY: numbers, and a list with its own length.
        unsafe {
            let _ = libc::seteuid(*user);
            let _ = libc::setegid(*group);
            let _ = libc::setgroups(groups.len(), groups.as_ptr());
        }
    }
}

/// The name of a user, if it has one.
pub(crate) fn user_name(user: u32) -> Option<String> {
    let mut buffer = vec![0u8; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: zeros are valid for all fields of passwd: pointers and numbers.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    // SAFETY: the buffer is passed with its length; `entry` and `found` are writable.
    let code = unsafe {
        libc::getpwuid_r(
            user,
            &raw mut entry,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &raw mut found,
        )
    };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: the entry was found, and its name is a terminated string within the buffer, which
    // still lives.
    Some(unsafe { CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned())
}

/// A descriptor that stands for this process even if its id is reused. Linux 5.3 and later.
pub(crate) fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two numbers go in, a descriptor comes out.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Sends a signal, through the pidfd if there is one.
pub(crate) fn signal(process: Option<BorrowedFd<'_>>, pid: i32, number: c_int) -> io::Result<()> {
    match process {
        None => {
            // SAFETY: two numbers.
            checked(unsafe { libc::kill(pid, number) })
        }
        Some(process) => {
            let none = std::ptr::null::<libc::siginfo_t>();
            // SAFETY: a descriptor that is open, a number, and no further information.
            let result = unsafe {
                libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), number, none, 0)
            };
            if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
        }
    }
}

/// Opens a folder to resolve paths below it, without the right to list it.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    std::fs::File::options().read(true).custom_flags(flags).open(path).map(OwnedFd::from)
}

/// Opens `name` below the folder `at`.
pub(crate) fn open_at(
    at: BorrowedFd<'_>,
    name: &OsStr,
    flags: c_int,
    mode: u32,
) -> io::Result<OwnedFd> {
    let name = c_string(name)?;
    // SAFETY: an open folder and a terminated string.
    let result =
        unsafe { libc::openat(at.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    descriptor(result.into())
}

/// Opens `path` like a process whose root folder is `root`: no link leads out of it. Before Linux
/// 5.6, links are resolved from our own root.
pub(crate) fn open_within(root: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    let name = c_string(path.as_os_str())?;
    // SAFETY: zeros are valid for all fields of open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::try_from(flags | libc::O_CLOEXEC).unwrap_or_default();
    how.resolve = libc::RESOLVE_IN_ROOT;
    // SAFETY: an open folder, a terminated string, and a structure with its own size.
    let result = descriptor(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    });
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS)) => {
            open_at(root, path.strip_prefix("/").unwrap_or(path).as_os_str(), flags, 0)
        }
        other => other,
    }
}

/// Removes the file `name` from the folder `at`.
pub(crate) fn unlink_at(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = c_string(name)?;
    // SAFETY: an open folder and a terminated string.
    checked(unsafe { libc::unlinkat(at.as_raw_fd(), name.as_ptr(), 0) })
}

/// Connects to the socket at `path` without waiting. `WouldBlock` means that its queue is full.
pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    // SAFETY: three numbers go in, a descriptor comes out.
    let socket = descriptor(
        unsafe {
            libc::socket(
                libc::AF_UNIX,
                libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        }
        .into(),
    )?;
    // SAFETY: zeros are valid for all fields of sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default();
    let name = path.as_os_str().as_bytes();
    if name.len() >= address.sun_path.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).unwrap_or_default();
    // SAFETY: an open socket, and an address with its size. The path is shorter than its field, so
    // it is terminated.
    checked(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) })?;
    Ok(socket)
}

/// Waits until one of `descriptors` is readable or at its end, at most for `limit`. Returns for
/// each whether it is. A signal ends the wait, too.
pub(crate) fn wait<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    limit: Duration,
) -> [bool; N] {
    // poll(2) ignores negative numbers.
    let mut polled = descriptors.map(|descriptor| libc::pollfd {
        fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = c_int::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(c_int::MAX);
    let count = libc::nfds_t::try_from(N).unwrap_or_default();
    // SAFETY: an array with its length.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), count, limit) };
    polled.map(|descriptor| result > 0 && descriptor.revents != 0)
}

/// The end of the pipe that the signal handler writes to; -1 before the pipe exists.
static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

/// The end of that pipe that becomes readable after a signal.
static INTERRUPTED: OnceLock<OwnedFd> = OnceLock::new();

extern "C" fn write_to_signal_pipe(_signal: c_int) {
    let byte = [1u8];
    // SAFETY: `write` is async-signal-safe. The interrupted code's errno is restored.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let _ = libc::write(SIGNAL_PIPE.load(Ordering::Relaxed), byte.as_ptr().cast(), 1);
        *errno = before;
    }
}

/// A descriptor that becomes readable, for good, on ctrl-C, a closed terminal and `kill`. From the
/// first call on, these no longer end the process.
pub(crate) fn interruption() -> Option<BorrowedFd<'static>> {
    if let Some(end) = INTERRUPTED.get() {
        return Some(end.as_fd());
    }
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }).ok()?;
    let [read, write] = ends;
    SIGNAL_PIPE.store(write, Ordering::Relaxed);
    // SAFETY: the system has just created it, and nothing else owns it.
    let end = INTERRUPTED.get_or_init(|| unsafe { OwnedFd::from_raw_fd(read) });
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: a structure of zeros blocks no signal and has no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the structure for the old action is writable.
        let known = unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) } == 0;
        // A signal that was ignored at our start (nohup) stays ignored.
        if !known || action.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        // SAFETY: as above. Without SA_RESTART, so that a blocking read is interrupted.
        action = unsafe { std::mem::zeroed() };
        action.sa_sigaction = write_to_signal_pipe as *const () as usize;
        // SAFETY: the handler is async-signal-safe.
        let _ = unsafe { libc::sigaction(number, &raw const action, std::ptr::null_mut()) };
    }
    Some(end.as_fd())
}

/// Whether the user has interrupted us since [`interruption`] was first called.
pub(crate) fn interrupted() -> bool {
    let [interrupted] = wait([INTERRUPTED.get().map(AsFd::as_fd)], Duration::ZERO);
    interrupted
}

/// Columns and lines of the terminal on standard output.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the structure is writable.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0)
        .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}
