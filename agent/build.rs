//! Sets how the library is linked.

/// The functions of the C library that fail by chance in a library for tests: its calls of them are
/// linked to `src/sys/failing_calls/os.rs`.
const WRAPPED: [&str; 25] = [
    "clock_nanosleep",
    "close",
    "dladdr",
    "dlopen",
    "dlsym",
    "fstat64",
    "ioctl",
    "lstat64",
    "mmap",
    "mmap64",
    "open64",
    "opendir",
    "poll",
    "process_vm_readv",
    "read",
    "readdir64",
    "readlink",
    "realpath",
    "rename",
    "sigaction",
    "stat64",
    "statx",
    "syscall",
    "unlink",
    "write",
];

fn main() {
    // JDK 21 and later unload an agent whose attach failed, while hooks and handlers may still call
    // it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    if std::env::var_os("CARGO_FEATURE_FAULT_INJECTION").is_some() {
        for name in WRAPPED {
            println!("cargo::rustc-cdylib-link-arg=-Wl,--wrap={name}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}
