//! The client side of HotSpot's attach protocol: make the JVM listen, send one request, read the
//! answer.
//!
//! Owns the files and the socket of the protocol; [`mod@crate::request`] decides what to request. A
//! JVM opens `/tmp/.java_pidN` when it receives SIGQUIT and finds `.attach_pidN` in its current
//! folder or in `/tmp`. Otherwise the signal prints a thread dump into the program's output.
//! Invariant: SIGQUIT is sent only to a JVM that will look for that file. It is sent once more if
//! there is no socket after five seconds. The file stays until the JVM has looked for it.

use crate::duration::Deadline;
use crate::error::{CliError, Code};
use crate::sys;
use crate::target::{END, Presence, Target, user};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use zaudit_core::files::reason;
use zaudit_core::wording::duration;

/// The longest argument that a JVM accepts, in bytes.
pub(crate) const LONGEST_ARGUMENT: usize = 1_024;

/// The longest answer that is read, in bytes. An answer is a few lines.
const LONGEST_ANSWER: usize = 1 << 20;

/// How long to wait until a starting JVM has its signal handlers.
const HANDLERS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for the effect of a signal that another client has sent, on a busy machine.
const OTHER_CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

/// When SIGQUIT is sent again if there is no socket yet, as the JDK's tools do. A JVM that handles
/// it while it starts may take its own new socket for one that another process has left, and remove
/// it.
const SECOND_SIGNAL: Duration = Duration::from_secs(5);

/// How long to wait until a starting JVM accepts agents.
const LIVE_PHASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for a pending answer after ctrl-C.
const INTERRUPT_GRACE: Duration = Duration::from_secs(2);

/// The first and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Fails if the JVM cannot be attached to, as far as this is known without sending a signal.
pub(crate) fn expect_possible(target: &Target) -> Result<(), CliError> {
    if listens(target)? { Ok(()) } else { expect_signal(target) }
}

/// Fails if SIGQUIT would not make the JVM listen.
fn expect_signal(target: &Target) -> Result<(), CliError> {
    let pid = target.pid;
    if !target.takes_commands() {
        let message = format!(
            "process {pid} takes no commands: it was started with -XX:+DisableAttachMechanism"
        );
        let hint = match target.presence() {
            Presence::Absent => "restart it without that flag, or under zaudit run".into(),
            _ => format!("kill -USR1 {pid} makes its agent write a report"),
        };
        return Err(CliError::new(Code::AttachOff, message, hint));
    }
    if target.status_now().is_some_and(|status| !status.catches(libc::SIGQUIT)) {
        let message = format!(
            "process {pid} does not handle SIGQUIT and has no attach socket: it is just starting, or was started with -Xrs \
             (ReduceSignalUsage) and has lost its socket in /tmp"
        );
        return Err(CliError::new(
            Code::AttachOff,
            message,
            "try again, or restart it without -Xrs or under zaudit run",
        ));
    }
    Ok(())
}

/// Sends the request and reads the whole answer.
pub(crate) fn request(
    target: &Target,
    words: &[&[u8]],
    deadline: &Deadline,
) -> Result<Vec<u8>, CliError> {
    wait_until_live(target, deadline)?;
    let mut socket = match connect(target)? {
        Some(socket) => {
            // Left by a client that gave up before the JVM answered. The JVM listens, so the file
            // is not needed.
            let _ = sys::unlink_at(target.temporary(), &attach_file_name(target));
            socket
        }
        None => wake_listener(target, deadline)?,
    };
    let mut request = b"1\0".to_vec();
    for word in words {
        request.extend_from_slice(word);
        request.push(0);
    }
    // The request is far smaller than the socket's buffer, so this does not block.
    match socket.write_all(&request) {
        // The JVM has closed the connection already; its answer, or the lack of one, says why.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(io_error(target, &error)),
    }
    read(target, &mut socket, deadline)
}

fn read(
    target: &Target,
    socket: &mut UnixStream,
    deadline: &Deadline,
) -> Result<Vec<u8>, CliError> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    // After ctrl-C, wait a little longer for the answer: before that, the agent's files are not
    // there to be removed.
    let mut grace: Option<Deadline> = None;
    loop {
        let left = match &grace {
            None => deadline.left().ok_or_else(|| timeout_error(target, deadline, "answered"))?,
            Some(grace) => grace.left().ok_or_else(CliError::interrupted)?,
        };
        let interruption = if grace.is_none() { sys::interruption() } else { None };
        let [readable, interrupted] = sys::wait([Some(socket.as_fd()), interruption], left);
        if interrupted {
            grace = Some(Deadline::after(INTERRUPT_GRACE.min(left)));
        }
        if !readable {
            continue;
        }
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(io_error(target, &error)),
        }
        if answer.len() > LONGEST_ANSWER {
            break;
        }
    }
    if grace.is_some() {
        return Err(CliError::interrupted());
    }
    if !answer.is_empty() {
        return Ok(answer);
    }
    let own = sys::effective() == (target.status.user, target.status.group);
    // A JVM that is exiting closes its socket first.
    if target.ends_within(if own {
        END.min(deadline.left().unwrap_or_default())
    } else {
        Duration::ZERO
    }) {
        return Err(CliError::gone(target.pid));
    }
    let message = format!("process {} closed the connection without an answer", target.pid);
    if own {
        return Err(CliError::new(Code::Failed, message, "it may be ending; try again"));
    }
    let hint = format!(
        "a JVM answers only its own user and group: run zaudit as {}",
        user(target.status.user)
    );
    Err(CliError::new(Code::NotPermitted, message, hint))
}

fn io_error(target: &Target, error: &io::Error) -> CliError {
    let message = format!("the connection to process {} failed: {}", target.pid, reason(error));
    CliError::new(Code::Failed, message, "try again")
}

fn timeout_error(target: &Target, deadline: &Deadline, what: &str) -> CliError {
    let stopped = target.status_now().is_some_and(|status| status.stopped());
    let why = if stopped { "it is stopped" } else { "it hangs, or is very busy" };
    let message =
        format!("process {} has not {what} within {}: {why}", target.pid, duration(deadline.limit));
    let hint = if stopped {
        format!("continue it: kill -CONT {}", target.pid)
    } else {
        "use a longer --timeout, or inspect it with a debugger".into()
    };
    CliError::new(Code::NoAnswer, message, hint)
}

/// Opens the socket's file, if it exists. It must belong to the JVM's user, because everybody may
/// write to `/tmp`.
fn open_socket(target: &Target) -> Result<Option<File>, CliError> {
    let name = OsString::from(format!(".java_pid{}", target.status.own_pid));
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let Ok(file) = sys::open_at(target.temporary(), &name, flags, 0) else { return Ok(None) };
    let file = File::from(file);
    match file.metadata() {
        Ok(found) if found.file_type().is_socket() && found.uid() == target.status.user => {
            Ok(Some(file))
        }
        Ok(found) if found.uid() != target.status.user => {
            let message = format!(
                "/tmp/.java_pid{} belongs to {}, and is not the JVM's socket",
                target.status.own_pid,
                user(found.uid())
            );
            Err(CliError::new(
                Code::Failed,
                message,
                "remove it if it is not needed, and try again",
            ))
        }
        _ => Ok(None),
    }
}

/// Whether the JVM listens on its socket. Its file does not say that: a process that was killed
/// leaves its own, and process ids are used again.
fn listens(target: &Target) -> Result<bool, CliError> {
    // HotSpot renames the file after it has bound the socket.
    let name = format!(".java_pid{}", target.status.own_pid);
    let names = [name.as_str(), &format!("{name}.tmp")];
    Ok(open_socket(target)?.is_some() && target.may_listen_at(&names))
}

/// Connects to the socket, if the JVM listens on it.
fn connect(target: &Target) -> Result<Option<UnixStream>, CliError> {
    let Some(file) = open_socket(target)? else { return Ok(None) };
    // Through our own descriptor: a path may be too long for a socket address, and this is the file
    // that was checked.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    match sys::connect(&path) {
        Ok(socket) => Ok(Some(UnixStream::from(socket))),
        // Left by a process that was killed, or just removed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let message =
                format!("process {} does not answer the commands in its queue", target.pid);
            Err(CliError::new(
                Code::NoAnswer,
                message,
                "it hangs, or is very busy: inspect it with a debugger",
            ))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let message =
                format!("no permission to connect to the attach socket of process {}", target.pid);
            let hint = format!("run zaudit as {}", user(target.status.user));
            Err(CliError::new(Code::NotPermitted, message, hint))
        }
        Err(error) => Err(io_error(target, &error)),
    }
}

/// Makes the JVM open its socket, and connects to it.
fn wake_listener(target: &Target, deadline: &Deadline) -> Result<UnixStream, CliError> {
    if let Some(socket) = wait_for_signal_handlers(target, deadline)? {
        return Ok(socket);
    }
    wait_until_live(target, deadline)?;
    let attach_file = AttachFile::create(target)?;
    // If the file existed, another client has just sent the signal. A second signal would reach a
    // JVM that listens already and print a thread dump. That client removes its file once the JVM
    // listens, so a client that creates a new file after that finds the socket.
    let other_client =
        Deadline::after(if attach_file.existed { OTHER_CLIENT_TIMEOUT } else { Duration::ZERO });
    loop {
        if let Some(socket) = connect(target)? {
            if !attach_file.existed {
                attach_file.remove();
            }
            return Ok(socket);
        }
        if other_client.left().is_none() {
            break;
        }
        if pause(target, PAUSES.0)? {
            return Err(CliError::gone(target.pid));
        }
    }
    send_quit(target).inspect_err(|_| attach_file.remove())?;
    let mut again = Some(Deadline::after(SECOND_SIGNAL));
    let mut delay = PAUSES.0;
    loop {
        if let Some(socket) = connect(target)? {
            attach_file.remove();
            return Ok(socket);
        }
        if again.as_ref().is_some_and(|again| again.left().is_none()) {
            again = None;
            send_quit(target).inspect_err(|_| attach_file.remove())?;
        }
        // On a timeout the file stays. The signal is pending, and a JVM that handles it later
        // without finding the file would print a thread dump.
        let Some(left) = deadline.left() else {
            return Err(timeout_error(target, deadline, "opened its attach socket"));
        };
        if pause(target, delay.min(left))? {
            attach_file.remove();
            return Err(CliError::gone(target.pid));
        }
        delay = (delay * 3 / 2).min(PAUSES.1);
    }
}

fn send_quit(target: &Target) -> Result<(), CliError> {
    sys::signal(target.process(), target.pid, libc::SIGQUIT).map_err(|error| {
        if error.raw_os_error() == Some(libc::ESRCH) {
            return CliError::gone(target.pid);
        }
        let message = format!("cannot send SIGQUIT to process {}: {}", target.pid, reason(&error));
        CliError::new(Code::NotPermitted, message, "run zaudit as root")
    })
}

/// Waits until a starting JVM handles SIGQUIT, which would kill it before that. Returns a
/// connection if it listens anyway, as with `-Xrs` and `-XX:+StartAttachListener`.
fn wait_for_signal_handlers(
    target: &Target,
    deadline: &Deadline,
) -> Result<Option<UnixStream>, CliError> {
    let start = Deadline::after(HANDLERS_TIMEOUT.min(deadline.limit));
    loop {
        if let Some(socket) = connect(target)? {
            return Ok(Some(socket));
        }
        match expect_signal(target) {
            Ok(()) => return Ok(None),
            Err(error) if start.left().is_none() || !target.takes_commands() => return Err(error),
            Err(_) => {}
        }
        if pause(target, PAUSES.1)? {
            return Err(CliError::gone(target.pid));
        }
    }
}

/// Waits until a starting JVM accepts agents (JVMTI's live phase). The wait is limited, because not
/// every JVM publishes its phase.
fn wait_until_live(target: &Target, deadline: &Deadline) -> Result<(), CliError> {
    let start = Deadline::after(LIVE_PHASE_TIMEOUT.min(deadline.limit));
    while target.starting() && start.left().is_some() {
        if pause(target, PAUSES.0 * 5)? {
            return Err(CliError::gone(target.pid));
        }
    }
    Ok(())
}

/// Pauses for a JVM that answers but does not accept agents yet. How long that takes depends on its
/// class path.
pub(crate) fn wait_for_start(target: &Target, deadline: &Deadline) -> Result<(), CliError> {
    if deadline.left().is_none() {
        return Err(timeout_error(target, deadline, "finished starting"));
    }
    if pause(target, PAUSES.1)? { Err(CliError::gone(target.pid)) } else { Ok(()) }
}

/// Pauses, unless the user interrupts. Returns whether the process has ended.
fn pause(target: &Target, duration: Duration) -> Result<bool, CliError> {
    let [ended, interrupted] = sys::wait([target.process(), sys::interruption()], duration);
    if interrupted {
        return Err(CliError::interrupted());
    }
    Ok(ended || target.status_now().is_none())
}

/// The file that turns SIGQUIT into a request to listen.
struct AttachFile {
    folder: OwnedFd,
    name: OsString,
    /// Whether another client had created it.
    existed: bool,
}

fn attach_file_name(target: &Target) -> OsString {
    OsString::from(format!(".attach_pid{}", target.status.own_pid))
}

impl AttachFile {
    /// Creates the file in `/tmp`, else in the JVM's current folder. The JVM looks in its current
    /// folder first, but a starting JVM may change its folder before it looks. The file counts only
    /// if it belongs to the JVM's user.
    fn create(target: &Target) -> Result<Self, CliError> {
        let name = attach_file_name(target);
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        let temporary = target.temporary().try_clone_to_owned().ok();
        for folder in temporary.into_iter().chain(target.current()) {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let mut existed = false;
            let opened = sys::open_at(folder.as_fd(), &name, flags, 0o600).or_else(|error| {
                match error.kind() {
                    // From another client, or left by one that gave up. It serves as well.
                    io::ErrorKind::AlreadyExists => {
                        existed = true;
                        sys::open_at(folder.as_fd(), &name, libc::O_PATH | libc::O_NOFOLLOW, 0)
                    }
                    _ => Err(error),
                }
            });
            let attach_file = AttachFile { folder, name: name.clone(), existed };
            match opened.map(File::from).and_then(|file| file.metadata()) {
                Ok(found) if found.is_file() && found.uid() == target.status.user => {
                    return Ok(attach_file);
                }
                // Network file systems may map root to another user.
                Ok(_) => {
                    attach_file.remove();
                    why = io::Error::from(io::ErrorKind::PermissionDenied);
                }
                Err(error) => why = error,
            }
        }
        let message = format!(
            "cannot create .attach_pid{} in /tmp or the current folder of process {}: {}",
            target.status.own_pid,
            target.pid,
            reason(&why)
        );
        Err(CliError::new(
            Code::Failed,
            message,
            "the JVM opens its attach socket only if this file exists",
        ))
    }

    /// Removes the file. It may be gone already.
    fn remove(&self) {
        let _ = sys::unlink_at(self.folder.as_fd(), &self.name);
    }
}
