//! Which `libzaudit.so` a command is about, by the name that the JVM has for it.
//!
//! Invariant: one JVM gets one library. What is loaded already is asked again under its own name: any other would be a
//! second agent that knows nothing of the first.

use crate::error::{CliError, Code};
use crate::target::{LIBRARY, Target, user};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zaudit_core::files::reason;

/// What a JVM calls in an agent that comes while it runs, as a library's table of names has it.
const ENTRY: &[u8] = b"Agent_OnAttach\0";

/// No agent is larger than this.
const LARGEST: u64 = 256 << 20;

/// The library that was named, made absolute, else the one that came with this program.
pub(crate) fn ours(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(named) = named {
        return std::path::absolute(named)
            .map_err(|error| CliError::new(Code::Usage, format!("--library: {}", reason(&error)), ""));
    }
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let folder = program.as_deref().and_then(Path::parent);
    let candidates = folder.map(|folder| [folder.join(LIBRARY), folder.join("../lib").join(LIBRARY)]);
    candidates
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .map(|path| path.canonicalize().unwrap_or(path))
        .ok_or_else(|| {
            let message = format!("there is no {LIBRARY} beside zaudit or in ../lib");
            CliError::new(Code::LibraryUnseen, message, "name it with --library PATH or ZAUDIT_LIBRARY")
        })
}

/// The library for a program that we start: it must be there for ourselves.
pub(crate) fn for_program(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let path = ours(named)?;
    std::fs::File::open(&path).map_err(|error| {
        let message = format!("{}: {}", path.display(), reason(&error));
        CliError::new(Code::LibraryUnseen, message, format!("name a {LIBRARY} with --library PATH"))
    })?;
    Ok(path)
}

/// The library for a JVM that runs.
pub(crate) fn for_target(target: &Target, named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(loaded) = target.loaded_library(named.and_then(Path::file_name)) {
        return Ok(loaded);
    }
    let path = ours(named)?;
    let pid = target.pid;
    let shown = path.display();
    let copy = |from: &Path| {
        format!(
            "copy it where that process sees it: cp {} /proc/{pid}/root/tmp/{LIBRARY} && chmod 755 \
             /proc/{pid}/root/tmp/{LIBRARY}, and name it so: --library /tmp/{LIBRARY}",
            from.display()
        )
    };
    let impersonate = target.impersonate()?;
    let seen = target.open(&path, libc::O_RDONLY | libc::O_NONBLOCK).and_then(|file| bytes(&file));
    drop(impersonate);
    match seen {
        Ok(bytes) => expect_agent(&path, &bytes).map(|()| path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owner = user(target.status.user);
            let message = format!("{owner}, who runs process {pid}, cannot read {shown}");
            Err(CliError::new(Code::LibraryUnseen, message, copy(&path)))
        }
        // Within reach for us and not for it: another mount namespace, or a chroot.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
            let message = format!("process {pid} has a file system of its own, and {shown} is not in it");
            Err(CliError::new(Code::LibraryUnseen, message, copy(&path)))
        }
        Err(error) => {
            let message = format!("{shown}: {}", reason(&error));
            let hint = "--library names a libzaudit.so as the process sees it; it can be copied in through /proc/PID/root";
            Err(CliError::new(Code::LibraryUnseen, message, hint))
        }
    }
}

fn bytes(file: &File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A JVM warns on the program's own streams before it finds out what we can see ourselves, and JDK 8 does not tell.
fn expect_agent(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let path = path.display();
    if !bytes.starts_with(b"\x7fELF\x02") {
        let message = format!("{path} is no 64-bit shared library");
        return Err(CliError::new(
            Code::LibraryUnseen,
            message,
            format!("name a {LIBRARY} with --library PATH"),
        ));
    }
    if bytes.windows(ENTRY.len()).any(|window| window == ENTRY) {
        return Ok(());
    }
    let message =
        format!("{path} cannot be attached to a JVM that runs: it is of an older zaudit, or of none");
    Err(CliError::new(Code::LibraryUnseen, message, format!("use the {LIBRARY} that came with this zaudit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_agent() {
        let check = |bytes: &[u8]| expect_agent(Path::new("/l.so"), bytes).map_err(|error| error.message);
        assert_eq!(check(b"\x7fELF\x02\x01 \0Agent_OnLoad\0Agent_OnAttach\0"), Ok(()));
        assert!(check(b"\x7fELF\x02\x01 \0Agent_OnLoad\0").is_err_and(|why| why.contains("older zaudit")));
        for bytes in [&b""[..], b"\x7fELF", b"\x7fELF\x01Agent_OnAttach\0", b"#!/bin/sh"] {
            assert!(check(bytes).is_err_and(|why| why.contains("no 64-bit")));
        }
    }
}
