//! Old snapshots: which files this process wrote one after the other, and when the oldest goes.
//!
//! Names and writing are elsewhere. Invariant: only files that were recorded as written are
//! deleted.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The snapshots that this process wrote and has not deleted, oldest first.
#[derive(Debug, Default)]
pub struct Rotation {
    written: VecDeque<PathBuf>,
    /// Whether the last file that had to go could not be deleted: that was said.
    failing: bool,
}

impl Rotation {
    /// Whether no snapshot was written.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// `path` was just written: deletes the oldest files beyond `keep`, never this one. A file that
    /// cannot be deleted is left behind for good; only the first error in a row is returned, with
    /// its path.
    pub fn wrote(&mut self, path: &Path, keep: usize) -> Result<(), (PathBuf, io::Error)> {
        self.written.retain(|known| known != path);
        self.written.push_back(path.to_owned());
        let mut first = Ok(());
        while self.written.len() > keep.max(1) {
            let Some(oldest) = self.written.pop_front() else { break };
            match fs::remove_file(&oldest) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    if !self.failing {
                        first = Err((oldest, error));
                    }
                    self.failing = true;
                }
                _ => self.failing = false,
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::folder;

    fn left(folder: &Path) -> Vec<String> {
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_and_no_file_of_others() {
        let folder = folder("rotation");
        fs::write(folder.join("r.0.json"), "somebody else's").unwrap();
        let mut rotation = Rotation::default();
        assert!(rotation.is_empty());
        // The number of the file, and which are there afterwards.
        for (number, expected) in [
            (1, &[0, 1][..]),
            (2, &[0, 1, 2]),
            (2, &[0, 1, 2]),
            (3, &[0, 2, 3]),
            (2, &[0, 2, 3]),
            (4, &[0, 2, 4]),
        ] {
            let path = folder.join(format!("r.{number}.json"));
            fs::write(&path, "").unwrap();
            rotation.wrote(&path, 2).unwrap();
            let expected: Vec<_> =
                expected.iter().map(|number| format!("r.{number}.json")).collect();
            assert_eq!(left(&folder), expected, "after {number}");
        }
        assert!(!rotation.is_empty());
        // The limit was lowered: all surplus files go at once, except the one that was just
        // written.
        let path = folder.join("r.5.json");
        fs::write(&path, "").unwrap();
        rotation.wrote(&path, 0).unwrap();
        assert_eq!(left(&folder), ["r.0.json", "r.5.json"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_deleted_is_an_error_once_and_what_is_gone_is_none() {
        let folder = folder("rotation-errors");
        let mut rotation = Rotation::default();
        // What happens to each file before the next is written, and whether an error is returned.
        let (stays, gone, blocked) = (0, 1, 2);
        for (number, (outcome, fails)) in [
            (stays, false),
            (gone, false),
            (blocked, false),
            (blocked, true),
            (stays, false),
            (blocked, false),
            (stays, true),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.join(format!("r.{number}"));
            fs::write(&path, "").unwrap();
            assert_eq!(rotation.wrote(&path, 1).is_err(), fails, "{number}");
            if outcome != stays {
                fs::remove_file(&path).unwrap();
            }
            if outcome == blocked {
                fs::create_dir(&path).unwrap();
            }
        }
        assert_eq!(left(&folder), ["r.2", "r.3", "r.5", "r.6"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
