//! HotSpot's attach protocol, client side: make the JVM listen, send one request, read the answer.
//!
//! Owns the files and the socket by which that is done; what is requested is [`crate::request`]'s. A JVM opens
//! `/tmp/.java_pidN` when it gets SIGQUIT and finds `.attach_pidN` in its current folder or in `/tmp`. Invariant: SIGQUIT
//! is sent once at most, to a JVM that is going to look for that file, and the file stays until the JVM has looked: at
//! any other time the signal means a thread dump in the middle of the program's output.

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
use zaudit_core::report::duration;

/// The longest argument that a JVM takes.
pub(crate) const LONGEST_ARGUMENT: usize = 1_024;

/// An answer is a few lines; more is not read.
const LONGEST_ANSWER: usize = 1 << 20;

/// How long a JVM that starts may need until it has its signal handlers.
const START: Duration = Duration::from_secs(1);

/// How long another attacher's signal may take, on a machine that is busy.
const OTHERS: Duration = Duration::from_secs(2);

/// How long a JVM that starts may need until it takes agents.
const SETTLING: Duration = Duration::from_secs(10);

/// How long somebody who presses ctrl-C waits for an answer that is under way.
const GRACE: Duration = Duration::from_secs(2);

/// The first pause between two looks at the socket, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Whether the JVM could be attached to, as far as can be told without a signal.
pub(crate) fn expect_possible(target: &Target) -> Result<(), CliError> {
    if listening(target)?.is_some() {
        return Ok(());
    }
    let pid = target.pid;
    if !target.takes_commands() {
        let message =
            format!("process {pid} takes no commands: it was started with -XX:+DisableAttachMechanism");
        let hint = match target.presence() {
            Presence::Absent => "start it without, or under zaudit run".into(),
            _ => format!("its agent writes a report on kill -USR1 {pid}"),
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
            "try again, or start it without -Xrs or under zaudit run",
        ));
    }
    Ok(())
}

/// Sends the request and reads the whole answer.
pub(crate) fn request(target: &Target, words: &[&[u8]], deadline: &Deadline) -> Result<Vec<u8>, CliError> {
    settle(target, deadline)?;
    let mut socket = match connect(target)? {
        Some(socket) => {
            // Somebody gave up before the JVM came to itself: now the file has done its duty.
            let _ = sys::unlink_at(target.temporary(), &trigger_name(target));
            socket
        }
        None => raise(target, deadline)?,
    };
    let mut request = b"1\0".to_vec();
    for word in words {
        request.extend_from_slice(word);
        request.push(0);
    }
    // The request is far smaller than the socket's buffer: this never waits.
    match socket.write_all(&request) {
        // It has closed the door already: the answer, or its absence, says why.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(broken(target, &error)),
    }
    read(target, &mut socket, deadline)
}

fn read(target: &Target, socket: &mut UnixStream, deadline: &Deadline) -> Result<Vec<u8>, CliError> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    // Whoever is interrupted waits for the answer a little while all the same: only then are the agent's files there to
    // be removed.
    let mut grace: Option<Deadline> = None;
    loop {
        let left = match &grace {
            None => deadline.left().ok_or_else(|| late(target, deadline, "answered"))?,
            Some(grace) => grace.left().ok_or_else(CliError::interrupted)?,
        };
        let interruption = if grace.is_none() { sys::interruption() } else { None };
        let [readable, interrupted] = sys::wait([Some(socket.as_fd()), interruption], left);
        if interrupted {
            grace = Some(Deadline::after(GRACE.min(left)));
        }
        if !readable {
            continue;
        }
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(broken(target, &error)),
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
    // A JVM that ends closes the door first.
    if target.ends_within(if own { END.min(deadline.left().unwrap_or_default()) } else { Duration::ZERO }) {
        return Err(CliError::gone(target.pid));
    }
    let message = format!("process {} has closed the connection without an answer", target.pid);
    if own {
        return Err(CliError::new(Code::Failed, message, "it may be ending; try again"));
    }
    let hint =
        format!("a JVM answers only its own user and group: call zaudit as {}", user(target.status.user));
    Err(CliError::new(Code::NotPermitted, message, hint))
}

fn broken(target: &Target, error: &io::Error) -> CliError {
    let message = format!("the connection to process {} broke: {}", target.pid, reason(error));
    CliError::new(Code::Failed, message, "try again")
}

fn late(target: &Target, deadline: &Deadline, what: &str) -> CliError {
    let stopped = target.status_now().is_some_and(|status| status.stopped());
    let why = if stopped { "it is stopped" } else { "it hangs, or is very busy" };
    let message = format!("process {} has not {what} within {}: {why}", target.pid, duration(deadline.limit));
    let hint = if stopped {
        format!("let it go on: kill -CONT {}", target.pid)
    } else {
        "wait longer with --timeout, or look at it with a debugger".into()
    };
    CliError::new(Code::NoAnswer, message, hint)
}

/// The socket's file, if it is there and the JVM's own: anybody may write to `/tmp`.
fn listening(target: &Target) -> Result<Option<File>, CliError> {
    let name = OsString::from(format!(".java_pid{}", target.status.own_pid));
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let Ok(file) = sys::open_at(target.temporary(), &name, flags, 0) else { return Ok(None) };
    let file = File::from(file);
    match file.metadata() {
        Ok(found) if found.file_type().is_socket() && found.uid() == target.status.user => Ok(Some(file)),
        Ok(found) if found.uid() != target.status.user => {
            let message = format!(
                "/tmp/.java_pid{} belongs to {}, and is not the JVM's socket",
                target.status.own_pid,
                user(found.uid())
            );
            Err(CliError::new(Code::Failed, message, "remove it if nobody needs it, and try again"))
        }
        _ => Ok(None),
    }
}

/// A connection to the socket, if somebody listens there.
fn connect(target: &Target) -> Result<Option<UnixStream>, CliError> {
    let Some(file) = listening(target)? else { return Ok(None) };
    // Through our own descriptor: the path may be as long as it likes, and it is the file that was looked at.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    match sys::connect(&path) {
        Ok(socket) => Ok(Some(UnixStream::from(socket))),
        // Left by a process that was killed, or removed this moment.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let message = format!("process {} has a queue of commands that it does not answer", target.pid);
            Err(CliError::new(
                Code::NoAnswer,
                message,
                "it hangs, or is very busy: look at it with a debugger",
            ))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let message = format!("process {} does not let us connect to its attach socket", target.pid);
            let hint = format!("call zaudit as {}", user(target.status.user));
            Err(CliError::new(Code::NotPermitted, message, hint))
        }
        Err(error) => Err(broken(target, &error)),
    }
}

/// Makes the JVM open its socket, and connects to it.
fn raise(target: &Target, deadline: &Deadline) -> Result<UnixStream, CliError> {
    if let Some(socket) = started(target, deadline)? {
        return Ok(socket);
    }
    settle(target, deadline)?;
    let trigger = Trigger::create(target)?;
    // Another attacher has just sent the signal, and a second one would find the JVM listening already. That one removes its
    // file once the JVM listens: whoever makes a new one after that finds the socket.
    let patience = Deadline::after(if trigger.found { OTHERS } else { Duration::ZERO });
    loop {
        if let Some(socket) = connect(target)? {
            if !trigger.found {
                trigger.remove();
            }
            return Ok(socket);
        }
        if patience.left().is_none() {
            break;
        }
        if rest(target, PAUSES.0)? {
            return Err(CliError::gone(target.pid));
        }
    }
    if let Err(error) = sys::signal(target.process(), target.pid, libc::SIGQUIT) {
        trigger.remove();
        return Err(match error.raw_os_error() {
            Some(libc::ESRCH) => CliError::gone(target.pid),
            _ => {
                let message = format!("process {} cannot be sent SIGQUIT: {}", target.pid, reason(&error));
                CliError::new(Code::NotPermitted, message, "call zaudit as root")
            }
        });
    }
    let mut pause = PAUSES.0;
    loop {
        if let Some(socket) = connect(target)? {
            trigger.remove();
            return Ok(socket);
        }
        // Whoever gives up leaves the file. The signal is on its way: a JVM that comes to itself and finds no file would
        // print a thread dump.
        let Some(left) = deadline.left() else {
            return Err(late(target, deadline, "opened its attach socket"));
        };
        if rest(target, pause.min(left))? {
            trigger.remove();
            return Err(CliError::gone(target.pid));
        }
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}

/// Waits for a JVM that is just starting: until it handles SIGQUIT, which would end it before, or listens anyway, as with
/// `-Xrs` and `-XX:+StartAttachListener`.
fn started(target: &Target, deadline: &Deadline) -> Result<Option<UnixStream>, CliError> {
    let start = Deadline::after(START.min(deadline.limit));
    loop {
        match expect_possible(target) {
            Ok(()) => return connect(target),
            Err(error) if start.left().is_none() || !target.takes_commands() => return Err(error),
            Err(_) => {}
        }
        if rest(target, PAUSES.1)? {
            return Err(CliError::gone(target.pid));
        }
    }
}

/// Waits for a JVM that is just starting until it takes agents, at most for a while: it may not tell.
fn settle(target: &Target, deadline: &Deadline) -> Result<(), CliError> {
    let start = Deadline::after(SETTLING.min(deadline.limit));
    while target.starting() && start.left().is_some() {
        if rest(target, PAUSES.0 * 5)? {
            return Err(CliError::gone(target.pid));
        }
    }
    Ok(())
}

/// A pause for a JVM that is up to answering but not up to agents; how long it takes is the program's class path's.
pub(crate) fn wait_for_start(target: &Target, deadline: &Deadline) -> Result<(), CliError> {
    if deadline.left().is_none() {
        return Err(late(target, deadline, "come to its start"));
    }
    if rest(target, PAUSES.1)? { Err(CliError::gone(target.pid)) } else { Ok(()) }
}

/// A pause. Says whether the process has ended.
fn rest(target: &Target, pause: Duration) -> Result<bool, CliError> {
    let [ended, interrupted] = sys::wait([target.process(), sys::interruption()], pause);
    if interrupted {
        return Err(CliError::interrupted());
    }
    Ok(ended || target.status_now().is_none())
}

/// The file that turns SIGQUIT into a request to listen.
struct Trigger {
    folder: OwnedFd,
    name: OsString,
    /// Somebody else had created it.
    found: bool,
}

fn trigger_name(target: &Target) -> OsString {
    OsString::from(format!(".attach_pid{}", target.status.own_pid))
}

impl Trigger {
    /// Creates it in `/tmp`, or where the JVM looks first: a JVM that starts is for a moment in another folder than it will
    /// be when it looks. It counts only if it is the JVM's own user's.
    fn create(target: &Target) -> Result<Self, CliError> {
        let name = trigger_name(target);
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        let temporary = target.temporary().try_clone_to_owned().ok();
        for folder in temporary.into_iter().chain(target.current()) {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let mut found = false;
            let opened =
                sys::open_at(folder.as_fd(), &name, flags, 0o600).or_else(|error| match error.kind() {
                    // Another attacher's of this moment, or one that gave up: it serves us as well.
                    io::ErrorKind::AlreadyExists => {
                        found = true;
                        sys::open_at(folder.as_fd(), &name, libc::O_PATH | libc::O_NOFOLLOW, 0)
                    }
                    _ => Err(error),
                });
            let trigger = Trigger { folder, name: name.clone(), found };
            match opened.map(File::from).and_then(|file| file.metadata()) {
                Ok(found) if found.is_file() && found.uid() == target.status.user => return Ok(trigger),
                // Network folders make files of root somebody else's.
                Ok(_) => {
                    trigger.remove();
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
        Err(CliError::new(Code::Failed, message, "a JVM listens only if it finds that file"))
    }

    /// Removes it; that it is gone already is as good.
    fn remove(&self) {
        let _ = sys::unlink_at(self.folder.as_fd(), &self.name);
    }
}
