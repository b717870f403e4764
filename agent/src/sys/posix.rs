//! What is asked of the operating system without a crate: the signal, the terminal, standard error, the exit code.
//!
//! Knows nothing of the JVM. Invariant: all that the signal handler does is to ring.

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

/// Says one line on standard error. It is the last resort: when it fails there is no other place for it.
pub(crate) fn say(line: &str) {
    write_stderr(format!("zaudit: {}\n", escape::text(line)).as_bytes());
}

/// How long standard error may block us while the program runs; at its end there is less ([`files::ending`]). A parent
/// that reads its child's pipe only after the child has ended must not keep it from ending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes to standard error. What nobody takes within a few seconds is lost.
pub(crate) fn write_stderr(bytes: &[u8]) {
    // It is the last resort: there is no other place for it.
    drop(Stderr::new().write_all(bytes));
}

/// Standard error, for one text that may come in pieces.
pub(crate) struct Stderr {
    /// None where it is not open for writing.
    patience: Option<Patience>,
}

impl Stderr {
    pub(crate) fn new() -> Stderr {
        // A JVM that was started without standard error may have opened a file of its own in that place.
        // SAFETY: F_GETFL only asks.
        let flags = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFL) };
        let open = flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
        Stderr { patience: open.then_some(Patience::Limited(PATIENCE)) }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let patience = self.patience.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        loop {
            let left = patience.left().as_millis();
            let begun = Instant::now();
            let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
            // SAFETY: one `pollfd` is given, and one is said.
            let ready = unsafe { libc::poll(&mut poll, 1, i32::try_from(left).unwrap_or(0)) };
            patience.spend(begun.elapsed());
            if ready == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // What poll calls writable takes this much without blocking (pipe(7)).
            let piece = bytes.get(..libc::PIPE_BUF).unwrap_or(bytes);
            // SAFETY: the piece is as long as is said.
            let written = unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
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

/// How long a pipe in the place of a file may keep us waiting for what it has to say.
const PIPE_PATIENCE: Duration = Duration::from_secs(2);

/// Reads a file of at most `limit` bytes that a user wrote. A pipe will do; one that nobody writes to is an error and
/// not a wait for ever: it may be the JVM's one thread for commands that reads.
pub(crate) fn read_small(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_all(Patient::open(path, limit)?)
}

fn read_all(mut file: Patient) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is read to its end, or to a limit. A pipe will do: see [`read_small`].
pub(crate) struct Patient {
    file: File,
    is_file: bool,
    deadline: Instant,
    limit: usize,
    read: usize,
}

impl Patient {
    pub(crate) fn open(path: &Path, limit: usize) -> io::Result<Patient> {
        Patient::open_for(path, limit, PIPE_PATIENCE)
    }

    fn open_for(path: &Path, limit: usize, patience: Duration) -> io::Result<Patient> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        let is_file = file.metadata()?.is_file();
        Ok(Patient { file, is_file, deadline: Instant::now() + patience, limit, read: 0 })
    }
}

impl Read for Patient {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.file.read(piece) {
                Ok(0) if self.read == 0 && !self.is_file && !piece.is_empty() => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nobody writes to this pipe"));
                }
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if Instant::now() < self.deadline => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => {
                    let why = "nothing more comes from this pipe, and it does not end";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
            }
        };
        self.read += count;
        if self.read > self.limit {
            let why = format!("it has more than {} KiB", self.limit >> 10);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(count)
    }
}

/// How text on standard error may look.
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

/// Bytes of this process that are in memory now (RSS).
pub(crate) fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    // SAFETY: it only asks.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    statm.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page)
}

/// Names the current thread for the system's own tools (`ps -L`, `top -H`); `zaudit ps` looks for it.
pub(crate) fn name_thread(name: &std::ffi::CStr) {
    // SAFETY: PR_SET_NAME reads a NUL-terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The one bell: a signal handler finds it without looking for the agent.
pub(crate) static WAKER: Waker = Waker::new();

/// Takes the signal if nobody else has it. The error says who has.
pub(crate) fn take_signal(signal: Signal) -> Result<(), String> {
    // SAFETY: a zeroed `sigaction` is the default one.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present disposition, changes nothing.
    if unsafe { libc::sigaction(signal.number, std::ptr::null(), &mut current) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    match current.sa_sigaction {
        // Taken for an audit before this one, and kept: with nobody to handle it it would end the process.
        ours if ours == on_signal as *const () as usize => return Ok(()),
        libc::SIG_DFL => {}
        libc::SIG_IGN => return Err("this process ignores it".into()),
        _ => return Err("somebody else handles it".into()),
    }
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe: an atomic and a system call.
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
    WAKER.wake(WakeReason::SIGNAL);
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// What the process is to end with instead of 0, and why.
static FAILURE: OnceLock<String> = OnceLock::new();
static FAILURE_CODE: AtomicI32 = AtomicI32::new(0);
/// The process whose code it is: a child that forks off inherits the handler.
static FAILING: AtomicU32 = AtomicU32::new(0);

/// From now on a process that would end with 0 ends with `code`. False where the C library has no `on_exit`.
pub(crate) fn fail_at_exit(code: u8, why: String) -> bool {
    type Handler = extern "C" fn(i32, *mut libc::c_void);
    FAILURE_CODE.store(i32::from(code), Ordering::Release);
    FAILING.store(std::process::id(), Ordering::Release);
    if FAILURE.set(why).is_err() {
        // An earlier report has failed already, and its handler waits.
        return true;
    }
    // glibc only: looked up, so that the library loads with others too.
    // SAFETY: the name is NUL-terminated.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"on_exit".as_ptr()) };
    if found.is_null() {
        return false;
    }
    // SAFETY: `on_exit(3)` has this type.
    let on_exit: extern "C" fn(Handler, *mut libc::c_void) -> i32 = unsafe { std::mem::transmute(found) };
    on_exit(exiting, std::ptr::null_mut()) == 0
}

/// Called by `exit(3)` before it flushes: every way out of a JVM but a signal comes by.
extern "C" fn exiting(status: i32, _argument: *mut libc::c_void) {
    let code = FAILURE_CODE.load(Ordering::Acquire);
    if status == 0 && code != 0 && FAILING.load(Ordering::Acquire) == std::process::id() {
        FAILURE_CODE.store(0, Ordering::Release);
        files::ending();
        if let Some(why) = FAILURE.get() {
            say(&format!("exit code {code} instead of 0: {why}"));
        }
        // SAFETY: glibc goes on with the remaining handlers and the new status.
        unsafe { libc::exit(code) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;

    #[test]
    fn small_files_are_read_and_nothing_else_keeps_us() {
        let folder = std::env::temp_dir().join(format!("zaudit-os-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, pipe) = (folder.join("file"), folder.join("pipe"));
        let why = |path: &Path| read_small(path, 8_192).unwrap_err().to_string();
        for (size, fits) in [(0, true), (8_192, true), (8_193, false), (1 << 20, false)] {
            std::fs::write(&file, vec![b'x'; size]).unwrap();
            assert_eq!(read_small(&file, 8_192).is_ok_and(|bytes| bytes.len() == size), fits, "{size}");
        }
        assert_eq!(why(&file), "it has more than 8 KiB");
        assert_eq!(why(Path::new("/dev/zero")), "it has more than 8 KiB");
        assert!(why(&folder).contains("directory") && why(&folder.join("none")).contains("No such file"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(why(&pipe), "nobody writes to this pipe");
        // What a shell makes of `<(command)`: one that says all, and one that goes on without a word.
        let (reader, mut writer) = io::pipe().unwrap();
        let name = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"one").unwrap();
        let error = Patient::open_for(&name, 8_192, Duration::ZERO).and_then(read_all).unwrap_err();
        assert_eq!(error.to_string(), "nothing more comes from this pipe, and it does not end");
        writer.write_all(b"two").unwrap();
        drop(writer);
        assert_eq!(read_small(&name, 8_192).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
