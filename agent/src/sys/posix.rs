//! The operating system, as far as no crate covers it: the signal, the terminal, standard error,
//! the exit code.
//!
//! Knows nothing of the JVM. Invariant: the signal handler wakes the agent's thread and does
//! nothing else.

use crate::sys::wake::{WakeReason, Waker};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use zaudit_core::escape;
use zaudit_core::files::{self, Patience};
use zaudit_core::options::Signal;
use zaudit_core::report::Style;

/// Prints one line on standard error. If that fails, there is no other place for the line.
pub(crate) fn say(line: &str) {
    write_stderr(format!("zaudit: {}\n", escape::text(line)).as_bytes());
}

/// How long standard error may block the agent while the program runs; at the process's end the
/// limit is shorter ([`files::ending`]). A parent that reads its child's pipe only after the child
/// has ended must not prevent that end.
const STDERR_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes to standard error. Bytes that no reader takes within a few seconds are lost.
pub(crate) fn write_stderr(bytes: &[u8]) {
    // If that fails, there is no other place for the bytes.
    drop(Stderr::new().write_all(bytes));
}

/// Standard error, for one text that may be written in pieces.
pub(crate) struct Stderr {
    /// None if standard error is not open for writing.
    patience: Option<Patience>,
}

impl Stderr {
    pub(crate) fn new() -> Stderr {
        // A JVM that was started without standard error may have opened a file of its own under
        // that descriptor.
        // SAFETY: F_GETFL only reads.
        let flags = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFL) };
        let open = flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
        Stderr { patience: open.then_some(Patience::Limited(STDERR_TIMEOUT)) }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let patience = self.patience.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        loop {
            let left = patience.left().as_millis();
            let begun = Instant::now();
            let mut poll =
                libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
            // SAFETY: one `pollfd` is passed, with the count 1.
            let ready = unsafe { libc::poll(&mut poll, 1, i32::try_from(left).unwrap_or(0)) };
            patience.spend(begun.elapsed());
            if ready == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // poll(2) guarantees that this much can be written without blocking (pipe(7)).
            let piece = bytes.get(..libc::PIPE_BUF).unwrap_or(bytes);
            // SAFETY: the piece has the length that is passed.
            let written =
                unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
            match usize::try_from(written) {
                Ok(count) => return Ok(count),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::WouldBlock && left > 0 => {}
                    error if error.kind() == io::ErrorKind::Interrupted && left > 0 => {}
                    error => return Err(error),
                },
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long a pipe in place of a file may block the agent.
const PIPE_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a file of at most `limit` bytes that a user wrote. It may be a pipe; a pipe without a
/// writer is an error and not an endless wait, because the reader may be the JVM's one thread for
/// commands.
pub(crate) fn read_small(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_all(TimedReader::open(path, limit)?)
}

fn read_all(mut file: TimedReader) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is read to its end, or to a limit. It may be a pipe: see [`read_small`].
pub(crate) struct TimedReader {
    file: File,
    is_file: bool,
    /// When a pipe must have been closed.
    deadline: Instant,
    /// In bytes.
    limit: usize,
    /// Bytes read so far.
    read: usize,
}

impl TimedReader {
    pub(crate) fn open(path: &Path, limit: usize) -> io::Result<TimedReader> {
        TimedReader::open_for(path, limit, PIPE_TIMEOUT)
    }

    fn open_for(path: &Path, limit: usize, timeout: Duration) -> io::Result<TimedReader> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let is_file = file.metadata()?.is_file();
        Ok(TimedReader { file, is_file, deadline: Instant::now() + timeout, limit, read: 0 })
    }
}

impl Read for TimedReader {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.file.read(piece) {
                Ok(0) if self.read == 0 && !self.is_file && !piece.is_empty() => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the pipe has no writer",
                    ));
                }
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if Instant::now() < self.deadline => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                Err(_) => {
                    let why = "timed out: the pipe has no more data and was not closed";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
            }
        };
        self.read += count;
        if self.read > self.limit {
            let why = format!("larger than {} KiB", self.limit >> 10);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(count)
    }
}

/// The style of text on standard error.
pub(crate) fn stderr_style() -> Style {
    if !io::stderr().is_terminal() {
        return Style::default();
    }
    Style::for_terminal(terminal_width(), |name| std::env::var_os(name))
}

fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`.
    let code = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &mut size) };
    (code == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// The resident set size of this process, in bytes.
pub(crate) fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    // SAFETY: it only reads.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    statm.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page)
}

/// Nanoseconds on the kernel's monotonic clock.
pub(crate) fn nanos() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// The same clock at its last tick, a few milliseconds ago at most.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills the structure.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Names the current thread for the system's tools (`ps -L`, `top -H`) and for `zaudit ps`.
pub(crate) fn name_thread(name: &std::ffi::CStr) {
    // SAFETY: PR_SET_NAME reads a NUL-terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The one waker, static so that a signal handler finds it without the agent.
pub(crate) static WAKER: Waker = Waker::new();

/// Installs the handler if the signal has its default action. The error message says what prevents
/// that.
pub(crate) fn take_signal(signal: Signal) -> Result<(), String> {
    // SAFETY: a zeroed `sigaction` is the default one.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: reads the present disposition, changes nothing.
    if unsafe { libc::sigaction(signal.number, std::ptr::null(), &mut current) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    match current.sa_sigaction {
        // Installed for an earlier audit, and kept: without a handler the signal would end the
        // process.
        ours if ours == on_signal as *const () as usize => return Ok(()),
        libc::SIG_DFL => {}
        libc::SIG_IGN => return Err("the process ignores this signal".into()),
        _ => return Err("the signal already has a handler".into()),
    }
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe: an atomic operation and a system call.
    if unsafe { libc::sigaction(signal.number, &ours, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    Ok(())
}

extern "C" fn on_signal(_number: i32) {
    // SAFETY: `errno` is thread-local and always valid; the interrupted code must find it
    // unchanged.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    WAKER.wake(WakeReason::SIGNAL);
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// Why the process ends with another exit code than 0.
static FAILURE: OnceLock<String> = OnceLock::new();
/// The exit code instead of 0; 0 if there is none.
static FAILURE_CODE: AtomicI32 = AtomicI32::new(0);
/// The process that the code is for: a forked child inherits the handler.
static FAILING: AtomicU32 = AtomicU32::new(0);

/// Replaces the exit code 0 of the process by `code`. False if the C library has no `on_exit`.
pub(crate) fn fail_at_exit(code: u8, why: String) -> bool {
    type Handler = extern "C" fn(i32, *mut libc::c_void);
    FAILURE_CODE.store(i32::from(code), Ordering::Release);
    FAILING.store(std::process::id(), Ordering::Release);
    if FAILURE.set(why).is_err() {
        // An earlier report has failed already and installed the handler.
        return true;
    }
    // glibc only: looked up at run time, so that the library loads with other C libraries, too.
    // SAFETY: the name is NUL-terminated.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"on_exit".as_ptr()) };
    if found.is_null() {
        return false;
    }
    // SAFETY: `on_exit(3)` has this type.
    let on_exit: extern "C" fn(Handler, *mut libc::c_void) -> i32 =
        unsafe { std::mem::transmute(found) };
    on_exit(exiting, std::ptr::null_mut()) == 0
}

/// Called by `exit(3)` before it flushes: every exit of a JVM calls it, except one by a signal.
extern "C" fn exiting(status: i32, _argument: *mut libc::c_void) {
    let code = FAILURE_CODE.load(Ordering::Acquire);
    if status == 0 && code != 0 && FAILING.load(Ordering::Acquire) == std::process::id() {
        FAILURE_CODE.store(0, Ordering::Release);
        files::ending();
        if let Some(why) = FAILURE.get() {
            say(&format!("exit code {code} instead of 0: {why}"));
        }
        // SAFETY: glibc continues with the remaining handlers and the new status.
        unsafe { libc::exit(code) };
    }
}

/// Ends the process at once, without the handlers of `exit(3)`: they would free what the JVM's
/// running threads still use.
pub(crate) fn end_process(code: u8) -> ! {
    // SAFETY: there are no preconditions.
    unsafe { libc::_exit(code.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no O_NOCTTY")]
    fn small_files_are_read_and_nothing_else_blocks() {
        let folder = std::env::temp_dir().join(format!("zaudit-os-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, pipe) = (folder.join("file"), folder.join("pipe"));
        let why = |path: &Path| read_small(path, 8_192).unwrap_err().to_string();
        for (size, fits) in [(0, true), (8_192, true), (8_193, false), (1 << 20, false)] {
            std::fs::write(&file, vec![b'x'; size]).unwrap();
            assert_eq!(
                read_small(&file, 8_192).is_ok_and(|bytes| bytes.len() == size),
                fits,
                "{size}"
            );
        }
        assert_eq!(why(&file), "larger than 8 KiB");
        assert_eq!(why(Path::new("/dev/zero")), "larger than 8 KiB");
        assert!(
            why(&folder).contains("directory")
                && why(&folder.join("none")).contains("No such file")
        );
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(why(&pipe), "the pipe has no writer");
        // What a shell makes of `<(command)`: a command that ends, and one that does not.
        let (reader, mut writer) = io::pipe().unwrap();
        let name = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"one").unwrap();
        let error =
            TimedReader::open_for(&name, 8_192, Duration::ZERO).and_then(read_all).unwrap_err();
        assert_eq!(error.to_string(), "timed out: the pipe has no more data and was not closed");
        writer.write_all(b"two").unwrap();
        drop(writer);
        assert_eq!(read_small(&name, 8_192).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
