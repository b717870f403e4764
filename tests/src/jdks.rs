//! Which JDKs there are: `ZAUDIT_JDKS=/a:/b`, else what the repository's `scripts/jdks` prints.
//!
//! Installing them is that script's work. Invariant: a JDK that should be there and is not becomes
//! an ignored test with a line on stderr, and no JDK at all a failure; nothing passes because
//! nothing ran.

use crate::{Result, repository};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The releases that the agent is shown to work on.
pub const EXPECTED: [u32; 8] = [8, 11, 17, 21, 25, 26, 27, 28];

/// The release that the extra cases (collectors, compilers, bad input …) run on.
const DEFAULT: u32 = 17;

/// An unpacked JDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jdk {
    /// The feature release: 8, 11, 17 …
    pub major: u32,
    /// Its JAVA_HOME.
    pub home: PathBuf,
}

impl Jdk {
    /// The JDK in `home`, its release read from what its own `java -version` says: not every build
    /// has a `release` file.
    pub fn at(home: &Path) -> Result<Self> {
        let java = home.join("bin/java");
        let failed = |why: String| format!("{}: {why}", java.display());
        let mut command = Command::new(&java);
        for name in ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"] {
            command.env_remove(name);
        }
        let output = command.arg("-version").output().map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let major = major_of(&text).ok_or_else(|| failed(format!("names no version: {text}")))?;
        Ok(Self { major, home: home.to_path_buf() })
    }

    /// One of its programs: `java`, `javac`, `jcmd`.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Its compiler for programs that run on this release and later ones.
    #[must_use]
    pub fn javac_for(&self, release: u32) -> Command {
        let (mut javac, release) = (self.javac(), release.to_string());
        match self.major {
            8 => javac.args(["-source", &release, "-target", &release]),
            _ => javac.args(["--release", &release]),
        };
        javac
    }

    /// Its compiler, which takes half as long for a few classes if it is not optimised itself.
    #[must_use]
    pub fn javac(&self) -> Command {
        let mut javac = Command::new(self.tool("javac"));
        javac.args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"]);
        javac
    }
}

/// `openjdk version "1.8.0_462"` is 8, `openjdk version "17.0.15" 2025-04-15` is 17,
/// `openjdk version "28-ea"` is 28.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split_once("version \"")?.1;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

/// All JDKs, by release. One of each release: the first named counts.
pub fn found() -> Result<Vec<Jdk>> {
    let mut jdks: Vec<Jdk> = match std::env::var("ZAUDIT_JDKS") {
        Ok(homes) if !homes.is_empty() => {
            homes.split(':').map(|home| Jdk::at(Path::new(home))).collect::<Result<_>>()?
        }
        _ => from_script()?,
    };
    jdks.sort_by_key(|jdk| jdk.major);
    jdks.dedup_by_key(|jdk| jdk.major);
    if jdks.is_empty() {
        Err("no JDK at all: run scripts/jdks, or set ZAUDIT_JDKS=/path/a:/path/b".into())
    } else {
        Ok(jdks)
    }
}

/// The expected releases that are not among `jdks`.
#[must_use]
pub fn missing(jdks: &[Jdk]) -> Vec<u32> {
    EXPECTED.into_iter().filter(|major| jdks.iter().all(|jdk| jdk.major != *major)).collect()
}

impl Jdk {
    /// The place of this release among the expected ones; of others, by their number.
    #[must_use]
    pub fn place(&self) -> usize {
        let place = EXPECTED.iter().position(|major| *major == self.major);
        place.unwrap_or(self.major as usize)
    }
}

/// The JDK of the extra cases: 17, else the newest.
pub fn default_jdk(jdks: &[Jdk]) -> Result<&Jdk> {
    jdks.iter()
        .find(|jdk| jdk.major == DEFAULT)
        .or(jdks.last())
        .ok_or_else(|| "no JDK at all".into())
}

fn from_script() -> Result<Vec<Jdk>> {
    let script = repository().join("scripts/jdks");
    let output = Command::new(&script).stderr(Stdio::inherit()).output().map_err(|error| {
        format!("{}: {error}; or set ZAUDIT_JDKS=/path/a:/path/b", script.display())
    })?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", script.display(), output.status));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(parse_line).collect()
}

/// A line of the script: `<major> <JAVA_HOME>`. What the `release` file says must agree.
fn parse_line(line: &str) -> Result<Jdk> {
    let (major, home) =
        line.split_once(' ').ok_or_else(|| format!("scripts/jdks printed {line:?}"))?;
    let jdk = Jdk::at(Path::new(home))?;
    if jdk.major.to_string() == major {
        Ok(jdk)
    } else {
        Err(format!("{home} is JDK {}, not {major}", jdk.major))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (text, major) in [
            ("openjdk version \"1.8.0_462\"\nOpenJDK Runtime Environment", Some(8)),
            ("Picked up nothing\nopenjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"28-ea\" 2027-03-16", Some(28)),
            ("java version \"25\" 2025-09-16 LTS", Some(25)),
            ("no such file", None),
        ] {
            assert_eq!(major_of(text), major, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_jdk_is_an_error() {
        assert!(parse_line("nonsense").is_err());
        assert!(parse_line("17 relative").is_err());
        assert!(parse_line("x17 /jdk").is_err());
        let error = parse_line("17 /a jdk").unwrap_err();
        assert!(
            error.starts_with("/a jdk/bin/java: "),
            "a home may have blanks in its name: {error}"
        );
    }
}
