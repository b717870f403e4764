//! `zaudit install`: copies the library and this program into a folder, for containers, whose
//! images need no shell and no `cp` then.
//!
//! Invariant: a JVM that has the library of an earlier copy loaded keeps that one, because a new
//! file takes its place.

use crate::error::{CliError, Code};
use crate::library;
use crate::output;
use crate::target::LIBRARY;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zaudit_core::files::{self, reason};

/// Readable for every user: a JVM in a container seldom runs as the user who copies.
const MODE: u32 = 0o755;

/// Copies both files, and prints where they are.
pub(crate) fn run(named: Option<&Path>, folder: &Path) -> Result<(), CliError> {
    output::write(copy_both(named, folder)?.as_bytes()).map(|_| ())
}

/// Returns the paths of the copies, one a line.
fn copy_both(named: Option<&Path>, folder: &Path) -> Result<String, CliError> {
    let program = std::env::current_exe().map_err(|error| {
        CliError::new(Code::Failed, format!("cannot find zaudit: {}", reason(&error)), "")
    })?;
    let mut copied = String::new();
    for (from, name) in [(library::for_program(named)?, LIBRARY), (program, "zaudit")] {
        let to = folder.join(name);
        copy(&from, &to).map_err(|error| {
            let (from, to) = (from.display(), to.display());
            let message = format!("cannot copy {from} to {to}: {}", reason(&error));
            CliError::new(Code::Failed, message, "name a folder that exists and can be written to")
        })?;
        copied.push_str(&format!("{}\n", to.display()));
    }
    Ok(copied)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    files::write_for(MODE, to, &fs::read(from)?)?;
    // Whatever the umask is.
    fs::set_permissions(to, Permissions::from_mode(MODE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_copied_and_replaced() {
        let folder = std::env::temp_dir().join(format!("zaudit-install-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let library = folder.join("other name.so");
        for content in ["old", "new"] {
            fs::write(&library, content).unwrap();
            copy_both(Some(&library), &folder).unwrap();
            assert_eq!(fs::read_to_string(folder.join(LIBRARY)).unwrap(), content);
        }
        let own = std::env::current_exe().unwrap();
        assert!(fs::read(folder.join("zaudit")).unwrap() == fs::read(own).unwrap());
        for name in [LIBRARY, "zaudit"] {
            let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE, "{name}");
        }
        let error = copy_both(Some(&library), &folder.join("none")).unwrap_err();
        assert!(error.message.contains("No such file"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
