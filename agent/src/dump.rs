//! Where a report goes: file name patterns, and writing a file so that it is whole or not there.
//!
//! Knows nothing of what it writes. Invariant: a regular file is replaced by a rename, so that a reader never
//! sees half a report and a full disk leaves the one before in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A `file=` value: a path with `%p` (process id), `%t` (UTC time of the report, `20261123-132633`), `%%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Checks a pattern. The error says which sequence is unknown.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("a file name is needed".into());
        }
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c == '%' {
                match rest.next() {
                    Some('p' | 't' | '%') => {}
                    Some(other) => {
                        return Err(format!(
                            "unknown %{other}; there are %p (process id), %t (time) and %% (a %)"
                        ));
                    }
                    None => return Err("a lone % at the end; write %% for a %".into()),
                }
            }
        }
        Ok(Pattern(text.into()))
    }

    /// The path of one report. Reports on demand are numbered: `r.json`, `r.1.json`, `r.2.json`.
    pub fn path(&self, pid: u32, time: SystemTime, number: Option<u32>) -> PathBuf {
        let mut name = String::new();
        let mut rest = self.0.chars();
        while let Some(c) = rest.next() {
            match (c, if c == '%' { rest.next() } else { None }) {
                (_, Some('p')) => name.push_str(&pid.to_string()),
                (_, Some('t')) => name.push_str(&stamp(time)),
                (c, _) => name.push(c),
            }
        }
        let path = PathBuf::from(name);
        match number {
            None => path,
            Some(number) => {
                let extension = match path.extension() {
                    Some(extension) => format!("{number}.{}", extension.to_string_lossy()),
                    None => number.to_string(),
                };
                path.with_extension(extension)
            }
        }
    }
}

/// `20261123-132633`, UTC (days to date as in Howard Hinnant's `civil_from_days`).
fn stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Writes `bytes` to `path`: into a new file beside it (mode 0600) that then takes its place; or straight to it
/// where it is no place for files ([`is_special`]).
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        _ if is_special(path) => write_special(path, bytes),
        _ => replace(path, bytes),
    }
}

/// Whether `path` is a device, a pipe, a socket, or a name for an open descriptor (`/dev/stderr`, `/proc/self/fd/3`),
/// be it through links: reports on demand go there without a number. A link to a file is no such thing: it is
/// replaced, never followed.
pub fn is_special(path: &Path) -> bool {
    let system = |path: &Path| path.starts_with("/dev") || path.starts_with("/proc");
    let names_descriptor = fs::read_link(path).is_ok_and(|target| system(&target));
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    let other = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    names_descriptor
        || other
        || parent.is_some_and(|parent| system(&parent) && !parent.starts_with("/dev/shm"))
}

/// How long a pipe may keep a report waiting: the program that ends must not hang on a reader that is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opened without blocking: a pipe that nobody reads is an error (ENXIO), not a wait for ever.
fn write_special(path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let deadline = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let file = match create() {
        // Left by an earlier process of the same number that was killed while it wrote.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            create()?
        }
        other => other?,
    };
    let written = write_to(file, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that counts is the first one; the half file must not stay.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn write_to(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.flush()
}

/// Whether a report could be written to `path` as things stand: asked at start-up, so that a typing error is
/// not found out hours later.
pub fn check(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    Ok(())
}

/// An I/O error in the words of the system, without Rust's `(os error 28)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("zaudit-dump-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn patterns() {
        let path = |text: &str, number| Pattern::parse(text).unwrap().path(42, at(1_795_440_393), number);
        for (pattern, number, expected) in [
            ("r.json", None, "r.json"),
            ("r.json", Some(2), "r.2.json"),
            ("/a.b/r", Some(1), "/a.b/r.1"),
            ("r-%p-%t.txt", None, "r-42-20261123-132633.txt"),
            ("100%%", None, "100%"),
            ("%%p", None, "%p"),
        ] {
            assert_eq!(path(pattern, number), PathBuf::from(expected), "{pattern}");
        }
        for bad in ["", "r%", "r%x", "%"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stamps() {
        for (seconds, expected) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_251_200, "20240301-000000"),
            (4_102_444_799, "20991231-235959"),
        ] {
            assert_eq!(stamp(at(seconds)), expected);
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("replace");
        let path = folder.join("r.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_to_a_file_is_replaced_and_not_followed() {
        let folder = folder("link");
        let (target, link) = (folder.join("precious"), folder.join("r.json"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"report").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(fs::read(&link).unwrap(), b"report");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_name_for_a_descriptor_stays_what_it_is() {
        use std::os::fd::AsRawFd;
        let folder = folder("descriptor");
        let file = File::create(folder.join("out.txt")).unwrap();
        let link = folder.join("stdout");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).unwrap();
        assert!(
            is_special(&link) && is_special(Path::new("/dev/stderr")) && !is_special(&folder.join("out.txt"))
        );
        write(&link, b"one ").unwrap();
        write(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.join("out.txt")).unwrap(), b"one two");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_one_that_is_read_gets_all() {
        let folder = folder("pipe");
        let path = folder.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(write(&path, b"x").is_err());
        let long = vec![7; 1 << 20];
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        // The reader opens the pipe when it comes to it.
        while write(&path, &long).is_err_and(|error| error.raw_os_error() == Some(libc::ENXIO)) {
            std::thread::yield_now();
        }
        assert!(reader.join().unwrap() == long);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn errors_say_why() {
        let folder = folder("errors");
        assert_eq!(reason(&write(Path::new("/dev/full"), b"x").unwrap_err()), "No space left on device");
        assert_eq!(reason(&write(&folder, b"x").unwrap_err()), "is a directory");
        assert_eq!(reason(&check(&folder).unwrap_err()), "is a directory");
        assert_eq!(reason(&check(&folder.join("none/r.json")).unwrap_err()), "No such file or directory");
        assert!(check(Path::new("r.json")).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }
}
