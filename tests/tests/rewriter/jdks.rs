//! STAND-IN for `zaudit_tests::jdks`: the same names with the same meaning, to be swapped for it by one `use`.
//!
//! Owns: which JDKs there are, from `ZAUDIT_JDKS=/a:/b`, else from /usr/lib/jvm. Invariant: none at all is an error.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The releases that the rewriter is shown to work on.
pub(crate) const EXPECTED: [u32; 8] = [8, 11, 17, 21, 25, 26, 27, 28];

/// An unpacked JDK.
#[derive(Clone, Debug)]
pub(crate) struct Jdk {
    /// The feature release.
    pub(crate) major: u32,
    /// Its JAVA_HOME.
    pub(crate) home: PathBuf,
}

impl Jdk {
    /// Asks the release file, or the JDK itself where there is none, which Debian's JDK 8 has not.
    fn at(home: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(home.join("release")).or_else(|_| {
            let output = Command::new(home.join("bin/java")).arg("-version").output();
            output
                .map(|output| String::from_utf8_lossy(&output.stderr).replace("version ", "\nJAVA_VERSION="))
        });
        let text = text.map_err(|error| format!("{}: {error}", home.display()))?;
        let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""));
        let mut numbers =
            version.unwrap_or_default().split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
        let major = match numbers.next() {
            Some(1) => numbers.next(),
            major => major,
        };
        let major = major.ok_or_else(|| format!("{}: no version", home.display()))?;
        Ok(Self { major, home: home.to_path_buf() })
    }

    /// One of its programs.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// All JDKs, by release, one of each.
pub(crate) fn found() -> Result<Vec<Jdk>, String> {
    let mut jdks: Vec<Jdk> = match std::env::var("ZAUDIT_JDKS") {
        Ok(homes) if !homes.is_empty() => {
            homes.split(':').map(|home| Jdk::at(Path::new(home))).collect::<Result<_, _>>()?
        }
        _ => {
            let homes =
                std::fs::read_dir("/usr/lib/jvm").map_err(|error| format!("/usr/lib/jvm: {error}"))?;
            homes.filter_map(|home| Jdk::at(&home.ok()?.path()).ok()).collect()
        }
    };
    jdks.sort_by_key(|jdk| jdk.major);
    jdks.dedup_by_key(|jdk| jdk.major);
    if jdks.is_empty() { Err("no JDK at all: set ZAUDIT_JDKS=/path/a:/path/b".into()) } else { Ok(jdks) }
}

/// The expected releases that are not among `jdks`, each told on stderr.
pub(crate) fn missing(jdks: &[Jdk]) -> Vec<u32> {
    let gone: Vec<u32> =
        EXPECTED.into_iter().filter(|major| jdks.iter().all(|jdk| jdk.major != *major)).collect();
    for major in &gone {
        eprintln!("SKIPPED: no JDK {major} was found; nothing of it is tested");
    }
    gone
}

/// The JDK that compiles: 17, else the newest.
pub(crate) fn default_jdk(jdks: &[Jdk]) -> Result<&Jdk, String> {
    jdks.iter().find(|jdk| jdk.major == 17).or(jdks.last()).ok_or_else(|| "no JDK at all".into())
}
