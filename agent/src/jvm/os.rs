//! What is asked of the operating system without a crate: the wake-up pipe, the signal, the terminal, stderr.
//!
//! Knows nothing of the JVM. Invariant: what the signal handler touches is an atomic and `write(2)`.

use crate::options::Signal;
use crate::report::Style;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// Says one line on standard error. It is the last resort: when it fails there is nobody left to tell.
pub(super) fn say(line: &str) {
    write_stderr(format!("zaudit: {line}\n").as_bytes());
}

/// How long standard error may keep us waiting: a parent that reads its child's pipe only after the child has
/// ended must not keep it from ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes to standard error. What nobody takes within a few seconds is lost.
pub(super) fn write_stderr(mut bytes: &[u8]) {
    // A JVM that was started without standard error may have opened a file of its own in that place.
    // SAFETY: F_GETFL only asks.
    let flags = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFL) };
    if flags < 0 || flags & libc::O_ACCMODE == libc::O_RDONLY {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one `pollfd` is given, and one is said.
        let ready = unsafe { libc::poll(&mut poll, 1, i32::try_from(left).unwrap_or(0)) };
        if ready == 0 {
            return;
        }
        // What poll calls writable takes this much without blocking (pipe(7)).
        let piece = bytes.get(..libc::PIPE_BUF).unwrap_or(bytes);
        // SAFETY: the piece is as long as is said.
        let written = unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
        match usize::try_from(written) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock if left > 0 => {}
                // It is the last resort: there is nobody left to tell.
                _ => return,
            },
        }
    }
}

/// How text on standard error may look.
pub(super) fn stderr_style() -> Style {
    if !io::stderr().is_terminal() {
        return Style::default();
    }
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    Style { width: terminal_width(), colour: !dumb && !set("NO_COLOR") }
}

fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`.
    let code = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &mut size) };
    (code == 0 && size.ws_col >= 40).then_some(usize::from(size.ws_col))
}

/// The pipe that wakes the agent's thread: anybody rings with one byte, the thread reads.
#[derive(Debug)]
pub(super) struct Bell {
    read: i32,
    write: i32,
}

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        let mut ends = [0; 2];
        // SAFETY: `pipe2` writes two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Out of the way: where a program was started without standard input, output or error, the pipe would
        // take their numbers, and whatever is printed would ring.
        let [read, write] = ends.map(|end| {
            // SAFETY: duplicates a descriptor that was just opened, and closes the first one.
            unsafe {
                let moved = libc::fcntl(end, libc::F_DUPFD_CLOEXEC, 64);
                if moved >= 0 {
                    libc::close(end);
                }
                moved
            }
        });
        if read < 0 || write < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Bell { read, write })
    }

    /// Never blocks: a full pipe has woken the thread already.
    pub(super) fn ring(&self, byte: u8) {
        ring(self.write, byte);
    }

    /// Waits for bytes. An error means that somebody closed the pipe: the bell is dead.
    pub(super) fn wait(&self, buffer: &mut [u8; 256]) -> io::Result<usize> {
        loop {
            let mut poll = libc::pollfd { fd: self.read, events: libc::POLLIN, revents: 0 };
            // SAFETY: one `pollfd` is given, and one is said.
            let ready = unsafe { libc::poll(&mut poll, 1, -1) };
            if ready > 0 && poll.revents & libc::POLLIN == 0 {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            // SAFETY: the buffer is as long as is said.
            let read = unsafe { libc::read(self.read, buffer.as_mut_ptr().cast(), buffer.len()) };
            match (usize::try_from(read), io::Error::last_os_error()) {
                (Ok(count), _) if count > 0 => return Ok(count),
                (Err(_), error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                (_, error) => return Err(error),
            }
        }
    }
}

fn ring(descriptor: i32, byte: u8) {
    // SAFETY: one byte is given, and one is said. The only expected error is a full pipe.
    unsafe { libc::write(descriptor, (&raw const byte).cast(), 1) };
}

/// Where the signal handler writes; -1 while there is no handler.
static SIGNAL_BELL: AtomicI32 = AtomicI32::new(-1);

/// The byte that the signal handler rings with.
pub(super) const SIGNAL_BYTE: u8 = b's';

/// Takes the signal if nobody else has it. The error says who has.
pub(super) fn take_signal(signal: Signal, bell: &Bell) -> Result<(), String> {
    // SAFETY: a zeroed `sigaction` is the default one.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present disposition, changes nothing.
    if unsafe { libc::sigaction(signal.number, std::ptr::null(), &mut current) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    match current.sa_sigaction {
        libc::SIG_DFL => {}
        libc::SIG_IGN => return Err("this process ignores it".into()),
        _ => return Err("somebody else handles it".into()),
    }
    SIGNAL_BELL.store(bell.write, Ordering::Relaxed);
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe: it reads an atomic and writes one byte.
    if unsafe { libc::sigaction(signal.number, &ours, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    Ok(())
}

extern "C" fn on_signal(_number: i32) {
    // SAFETY: `errno` is thread-local and always there; the interrupted code must find it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    ring(SIGNAL_BELL.load(Ordering::Relaxed), SIGNAL_BYTE);
    // SAFETY: as above.
    unsafe { *errno = saved };
}
