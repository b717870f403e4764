//! The `libzaudit.so` that a command uses, by its path in the JVM's file system.
//!
//! Invariant: one JVM gets one library. If one is loaded already, its own path is used: another
//! path would load a second agent, which knows nothing of the first.

use crate::error::{CliError, Code};
use crate::target::{LIBRARY, Target, user};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zaudit_core::files::reason;

/// The function that a running JVM calls in an agent, as the library's string table has it.
const ENTRY: &[u8] = b"Agent_OnAttach\0";

/// The most bytes of a library that are read.
const LARGEST: u64 = 256 << 20;

/// The library that the user named, as an absolute path, else the one that came with this program.
pub(crate) fn ours(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(named) = named {
        return std::path::absolute(named).map_err(|error| {
            CliError::new(Code::Usage, format!("cannot resolve --library: {}", reason(&error)), "")
        });
    }
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let folder = program.as_deref().and_then(Path::parent);
    let candidates =
        folder.map(|folder| [folder.join(LIBRARY), folder.join("../lib").join(LIBRARY)]);
    candidates
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .map(|path| path.canonicalize().unwrap_or(path))
        .ok_or_else(|| {
            let message = format!("there is no {LIBRARY} beside zaudit or in ../lib");
            CliError::new(
                Code::LibraryUnseen,
                message,
                "name it with --library PATH or ZAUDIT_LIBRARY",
            )
        })
}

/// The library for a program that we start. It must be readable for us.
pub(crate) fn for_program(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let path = ours(named)?;
    std::fs::File::open(&path).map_err(|error| {
        let message = format!("cannot open {}: {}", path.display(), reason(&error));
        CliError::new(Code::LibraryUnseen, message, format!("name a {LIBRARY} with --library PATH"))
    })?;
    Ok(path)
}

/// The library for a running JVM.
pub(crate) fn for_target(target: &Target, named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(loaded) = target.loaded_library(named.and_then(Path::file_name)) {
        return Ok(loaded);
    }
    let path = ours(named)?;
    let pid = target.pid;
    let shown = path.display();
    let copy = |from: &Path| {
        format!(
            "copy it to where that process sees it: cp {} /proc/{pid}/root/tmp/{LIBRARY} && chmod 755 \
             /proc/{pid}/root/tmp/{LIBRARY}, and use --library /tmp/{LIBRARY}",
            from.display()
        )
    };
    let user_of_jvm = target.impersonate()?;
    let seen = target.open(&path, libc::O_RDONLY | libc::O_NONBLOCK).and_then(|file| bytes(&file));
    drop(user_of_jvm);
    match seen {
        Ok(bytes) => expect_agent(&path, &bytes).map(|()| path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owner = user(target.status.user);
            let message = format!("{owner}, who runs process {pid}, cannot read {shown}");
            Err(CliError::new(Code::LibraryUnseen, message, copy(&path)))
        }
        // We see it and the JVM does not: it has another mount namespace, or a chroot.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
            let message =
                format!("process {pid} has a file system of its own, and {shown} is not in it");
            Err(CliError::new(Code::LibraryUnseen, message, copy(&path)))
        }
        Err(error) => {
            let message = format!("cannot read {shown}: {}", reason(&error));
            let hint =
                "give --library the path that the process sees; /proc/PID/root is its root folder";
            Err(CliError::new(Code::LibraryUnseen, message, hint))
        }
    }
}

fn bytes(file: &File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a file that is not an agent. The JVM would first print a warning into the program's
/// output, and JDK 8 would not say what is wrong.
fn expect_agent(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let path = path.display();
    if !bytes.starts_with(b"\x7fELF\x02") {
        let message = format!("{path} is not a 64-bit shared library");
        return Err(CliError::new(
            Code::LibraryUnseen,
            message,
            format!("name a {LIBRARY} with --library PATH"),
        ));
    }
    if bytes.windows(ENTRY.len()).any(|window| window == ENTRY) {
        return Ok(());
    }
    let message = format!(
        "{path} has no Agent_OnAttach: it is not a zaudit library, or from an older zaudit"
    );
    Err(CliError::new(
        Code::LibraryUnseen,
        message,
        format!("use the {LIBRARY} that came with this zaudit"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_recognized() {
        let check =
            |bytes: &[u8]| expect_agent(Path::new("/l.so"), bytes).map_err(|error| error.message);
        assert_eq!(check(b"\x7fELF\x02\x01 \0Agent_OnLoad\0Agent_OnAttach\0"), Ok(()));
        assert!(
            check(b"\x7fELF\x02\x01 \0Agent_OnLoad\0")
                .is_err_and(|why| why.contains("older zaudit"))
        );
        for bytes in [&b""[..], b"\x7fELF", b"\x7fELF\x01Agent_OnAttach\0", b"#!/bin/sh"] {
            assert!(check(bytes).is_err_and(|why| why.contains("not a 64-bit")));
        }
    }
}
