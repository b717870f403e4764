//! Which `libzaudit.so` a command is about, by the name that the JVM has for it.
//!
//! Invariant: one JVM gets one library. What is loaded already is asked again under its own name: any other would be a
//! second agent that knows nothing of the first.

use crate::failure::{Code, Failure, reason};
use crate::target::{LIBRARY, Target, user};
use std::io;
use std::path::{Path, PathBuf};

/// The library that was named, made absolute, else the one that came with this program.
pub(crate) fn ours(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return std::path::absolute(named)
            .map_err(|error| Failure::new(Code::Usage, format!("--library: {}", reason(&error)), ""));
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
            let matter = format!("there is no {LIBRARY} beside zaudit or in ../lib");
            Failure::new(Code::LibraryUnseen, matter, "name it with --library PATH or ZAUDIT_LIBRARY")
        })
}

/// The library for a program that we start: it must be there for ourselves.
pub(crate) fn for_program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = ours(named)?;
    std::fs::File::open(&path).map_err(|error| {
        let matter = format!("{}: {}", path.display(), reason(&error));
        Failure::new(Code::LibraryUnseen, matter, format!("name a {LIBRARY} with --library PATH"))
    })?;
    Ok(path)
}

/// The library for a JVM that runs.
pub(crate) fn for_target(target: &Target, named: Option<&Path>) -> Result<PathBuf, Failure> {
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
    let guise = target.guise()?;
    let seen = target.open(&path, libc::O_RDONLY | libc::O_NONBLOCK).and_then(|file| file.metadata());
    drop(guise);
    match seen {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => {
            Err(Failure::new(Code::LibraryUnseen, format!("{shown} is no file"), "name the library itself"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owner = user(target.status.user);
            let matter = format!("{owner}, who runs process {pid}, cannot read {shown}");
            Err(Failure::new(Code::LibraryUnseen, matter, copy(&path)))
        }
        Err(error) => {
            if !path.exists() {
                let matter = format!("{shown}: {}", reason(&error));
                let advice = "--library names it as the process sees it; copy it in through /proc/PID/root";
                return Err(Failure::new(Code::LibraryUnseen, matter, advice));
            }
            // Within reach for us and not for it: another mount namespace, or a chroot.
            let matter = format!("process {pid} has a file system of its own, and {shown} is not in it");
            Err(Failure::new(Code::LibraryUnseen, matter, copy(&path)))
        }
    }
}
