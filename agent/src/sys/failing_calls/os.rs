//! Functions of the C library that fail by chance.
//!
//! The linker gives every call of these functions in the library to the ones here (`--wrap`, see
//! `build.rs`), also those of the standard library and of crates. Invariant: nothing here calls a
//! function of the JVM, allocates, or takes a lock: a signal handler may be the caller.

use super::Failure::Code;
use super::{Function, PLAN, pick};
use std::ffi::{OsStr, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The file of `ZAUDIT_FAULT_LOG`.
pub(super) struct Log(c_int);

impl Log {
    pub(super) fn open(path: &OsStr) -> Option<Log> {
        let path = std::ffi::CString::new(path.as_bytes()).ok()?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
        // SAFETY: the path is NUL-terminated.
        let file = unsafe { real::open64(path.as_ptr(), flags, 0o600) };
        (file >= 0).then_some(Log(file))
    }

    pub(super) fn line(&self, what: &str, kind: &str, name: &str) {
        let mut line = [b'\n'; 80];
        let words = [what, " ", kind, " ", name].map(str::as_bytes).concat_into(&mut line);
        // SAFETY: the buffer has one byte more than the words.
        unsafe { real::write(self.0, line.as_ptr().cast(), words + 1) };
    }
}

trait ConcatInto {
    /// Copies all pieces, one behind the other, and returns their length. The last byte of `to`
    /// stays as it is.
    fn concat_into(self, to: &mut [u8]) -> usize;
}

impl<const N: usize> ConcatInto for [&[u8]; N] {
    fn concat_into(self, to: &mut [u8]) -> usize {
        let room = to.len().saturating_sub(1);
        let places = to.iter_mut().take(room);
        places.zip(self.into_iter().flatten()).map(|(place, byte)| *place = *byte).count()
    }
}

/// A random number if this call fails.
fn draw(name: &str) -> Option<u64> {
    let plan = PLAN.get().filter(|plan| plan.is_chosen("os", name))?;
    let random = plan.draw()?;
    plan.log("os", name);
    Some(random)
}

fn set_errno(errno: c_int) {
    // SAFETY: `errno` is thread-local and always valid.
    unsafe { *libc::__errno_location() = errno };
}

/// Sets `errno` to one of these.
fn fail(errors: &[c_int], random: u64) {
    set_errno(pick(errors, random).unwrap_or(libc::EIO));
}

/// How a transfer of bytes fails: not at all, but it transfers half of them, or with an error.
enum Transfer {
    Short(usize),
    Failed,
}

fn transfer(name: &str, count: usize, errors: &[c_int]) -> Option<Transfer> {
    let random = draw(name)?;
    if random & 1 == 0 && count > 1 {
        return Some(Transfer::Short(count / 2));
    }
    fail(errors, random >> 1);
    Some(Transfer::Failed)
}

const READ: [c_int; 2] = [libc::EINTR, libc::EIO];
const WRITE: [c_int; 4] = [libc::EINTR, libc::ENOSPC, libc::EIO, libc::EDQUOT];
const LOOK: [c_int; 3] = [libc::EIO, libc::ENOMEM, libc::EACCES];
const OPEN: [c_int; 6] =
    [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EACCES, libc::EINTR, libc::EIO];
const CREATE: [c_int; 4] = [libc::ENOSPC, libc::EROFS, libc::EMFILE, libc::EINTR];

/// Standard error is where the agent says what has failed: there, only what is tried again.
fn write_errors(file: c_int) -> &'static [c_int] {
    if file == libc::STDERR_FILENO { &[libc::EINTR, libc::EAGAIN] } else { &WRITE }
}

/// Declares the functions, the C library's as `real::NAME`, and lists them in [`OS`].
macro_rules! wrapped {
    ($(
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty {
            $body:expr
        }
    )*) => {
        mod real {
            use super::*;

            unsafe extern "C" {
                $(
                    #[link_name = concat!("__real_", stringify!($name))]
                    pub(super) fn $name($($argument: $type),*) -> $result;
                )*
            }
        }

        /// The functions of the C library.
        pub(crate) const OS: &[Function] = &[$((stringify!($name), Code)),*];

        $(
            #[unsafe(export_name = concat!("__wrap_", stringify!($name)))]
            unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                let failed: Option<$result> = $body;
                match failed {
                    Some(result) => result,
                    // SAFETY: the arguments are the caller's.
                    None => unsafe { real::$name($($argument),*) },
                }
            }
        )*
    };
}

// Functions with variable arguments take those that they may have: integers and pointers are passed
// as in a function without (System V ABI of x86-64, AAPCS64).
wrapped! {
    fn open64(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
        draw("open64").map(|random| {
            let errors: &[c_int] = if flags & libc::O_CREAT != 0 { &CREATE } else { &OPEN };
            fail(errors, random);
            -1
        })
    }

    fn read(file: c_int, to: *mut c_void, count: usize) -> isize {
        transfer("read", count, &READ).map(|how| match how {
            // SAFETY: the arguments are the caller's, for fewer bytes.
            Transfer::Short(count) => unsafe { real::read(file, to, count) },
            Transfer::Failed => -1,
        })
    }

    fn write(file: c_int, from: *const c_void, count: usize) -> isize {
        transfer("write", count, write_errors(file)).map(|how| match how {
            // SAFETY: the arguments are the caller's, for fewer bytes.
            Transfer::Short(count) => unsafe { real::write(file, from, count) },
            Transfer::Failed => -1,
        })
    }

    fn close(file: c_int) -> c_int {
        draw("close").map(|random| {
            // SAFETY: the descriptor is the caller's; it is gone also after an error (close(2)).
            unsafe { real::close(file) };
            fail(&READ, random);
            -1
        })
    }

    fn rename(from: *const c_char, to: *const c_char) -> c_int {
        draw("rename").map(|random| {
            fail(&[libc::ENOSPC, libc::EIO, libc::EACCES, libc::EROFS], random);
            -1
        })
    }

    fn unlink(path: *const c_char) -> c_int {
        draw("unlink").map(|random| {
            fail(&[libc::EIO, libc::EACCES, libc::EROFS], random);
            -1
        })
    }

    fn stat64(path: *const c_char, to: *mut c_void) -> c_int {
        draw("stat64").map(|random| {
            fail(&LOOK, random);
            -1
        })
    }

    fn lstat64(path: *const c_char, to: *mut c_void) -> c_int {
        draw("lstat64").map(|random| {
            fail(&LOOK, random);
            -1
        })
    }

    fn fstat64(file: c_int, to: *mut c_void) -> c_int {
        draw("fstat64").map(|random| {
            fail(&[libc::EIO, libc::ENOMEM], random);
            -1
        })
    }

    fn statx(
        folder: c_int, path: *const c_char, flags: c_int, wanted: u32, to: *mut c_void
    ) -> c_int {
        draw("statx").map(|random| {
            fail(&LOOK, random);
            -1
        })
    }

    fn opendir(path: *const c_char) -> *mut c_void {
        draw("opendir").map(|random| {
            fail(&[libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EACCES], random);
            ptr::null_mut()
        })
    }

    fn readdir64(folder: *mut c_void) -> *mut c_void {
        draw("readdir64").map(|random| {
            fail(&[libc::EIO, libc::ENOENT], random);
            ptr::null_mut()
        })
    }

    fn readlink(path: *const c_char, to: *mut c_char, count: usize) -> isize {
        draw("readlink").map(|random| {
            fail(&LOOK, random);
            -1
        })
    }

    fn realpath(path: *const c_char, to: *mut c_char) -> *mut c_char {
        draw("realpath").map(|random| {
            fail(&LOOK, random);
            ptr::null_mut()
        })
    }

    fn poll(files: *mut c_void, count: libc::nfds_t, timeout: c_int) -> c_int {
        draw("poll").map(|random| {
            fail(&[libc::EINTR, libc::ENOMEM], random);
            -1
        })
    }

    fn ioctl(file: c_int, request: libc::c_ulong, argument: *mut c_void) -> c_int {
        draw("ioctl").map(|_| {
            set_errno(libc::ENOTTY);
            -1
        })
    }

    fn mmap(
        at: *mut c_void, size: usize, protection: c_int, flags: c_int, file: c_int, offset: c_long
    ) -> *mut c_void {
        draw("mmap").map(|_| {
            set_errno(libc::ENOMEM);
            libc::MAP_FAILED
        })
    }

    fn mmap64(
        at: *mut c_void, size: usize, protection: c_int, flags: c_int, file: c_int, offset: i64
    ) -> *mut c_void {
        draw("mmap64").map(|_| {
            set_errno(libc::ENOMEM);
            libc::MAP_FAILED
        })
    }

    fn sigaction(number: c_int, new: *const c_void, old: *mut c_void) -> c_int {
        draw("sigaction").map(|_| {
            set_errno(libc::EINVAL);
            -1
        })
    }

    fn process_vm_readv(
        process: libc::pid_t,
        to: *const c_void,
        pieces: libc::c_ulong,
        from: *const c_void,
        sources: libc::c_ulong,
        flags: libc::c_ulong
    ) -> isize {
        draw("process_vm_readv").map(|random| {
            fail(&[libc::EPERM, libc::ENOSYS, libc::ENOMEM, libc::EFAULT], random);
            -1
        })
    }

    fn syscall(
        number: c_long,
        one: usize,
        two: usize,
        three: usize,
        four: usize,
        five: usize,
        six: usize
    ) -> c_long {
        futex_error(number, two).and_then(|errno| {
            draw("syscall")?;
            set_errno(errno);
            Some(-1)
        })
    }

    fn clock_nanosleep(
        clock: libc::clockid_t,
        flags: c_int,
        time: *const libc::timespec,
        left: *mut libc::timespec
    ) -> c_int {
        draw("clock_nanosleep").map(|_| {
            if flags & libc::TIMER_ABSTIME == 0 && !left.is_null() {
                // SAFETY: both are the caller's.
                unsafe { *left = *time };
            }
            libc::EINTR
        })
    }

    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void {
        draw("dlopen").map(|_| {
            // SAFETY: no library has this name. The call leaves the message for `dlerror`.
            unsafe { real::dlopen(c"injected fault".as_ptr(), flags) }
        })
    }

    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void {
        draw("dlsym").map(|_| {
            // SAFETY: no symbol has this name. The call leaves the message for `dlerror`.
            unsafe { real::dlsym(library, c"injected fault".as_ptr()) }
        })
    }

    fn dladdr(address: *const c_void, to: *mut libc::Dl_info) -> c_int {
        draw("dladdr").map(|_| 0)
    }
}

/// How a call of `futex` may fail; other calls of `syscall` do not, nor does a wake-up.
fn futex_error(number: c_long, operation: usize) -> Option<c_int> {
    let command = c_int::try_from(operation).ok()? & libc::FUTEX_CMD_MASK;
    match command {
        _ if number != libc::SYS_futex => None,
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => Some(libc::EINTR),
        libc::FUTEX_WAKE_OP => Some(libc::ENOSYS),
        _ => None,
    }
}
