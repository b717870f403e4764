//! The flags that this JVM was started with: JVMTI does not report them.

use crate::sys::posix::read_small;
use std::path::Path;
use zaudit_core::jvm_flags::{Start, words, zero_terminated};

/// The size limit of an argument file, in bytes.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Whether this JVM may have a flag, as any word of the command line or of a variable. That
/// includes programs that pass flags to the JVM in ways of their own.
pub(crate) fn may_have(flag: &str) -> bool {
    let variables = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"];
    let values = variables.map(|name| std::env::var(name).unwrap_or_default());
    zero_terminated(&command_line()).any(|word| word == flag)
        || values.iter().any(|value| words(value).iter().any(|word| word == flag))
}

/// The flags of this JVM, in the order of increasing precedence.
pub(crate) fn of_this_jvm() -> Vec<String> {
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let program = std::fs::read_link("/proc/self/exe").ok().and_then(|path| file_name(&path));
    // The kernel appends that if the JDK was replaced while this JVM runs.
    let program = program.as_deref().map(|name| name.trim_end_matches(" (deleted)"));
    let start = Start {
        is_launcher: program == Some("java"),
        arguments: zero_terminated(&command_line()).skip(1).collect(),
        variable: &|name| std::env::var_os(name).map(|value| text(value.as_encoded_bytes())),
        file: &|path| read_small(path.as_ref(), MAX_FILE_BYTES).ok().map(|bytes| text(&bytes)),
    };
    start.flags()
}

fn command_line() -> Vec<u8> {
    std::fs::read("/proc/self/cmdline").unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
