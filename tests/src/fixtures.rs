//! The Java programs under `java-fixtures/`: what their first comment promises, and their classes.
//!
//! A fixture is one behaviour in one class with a `main`, plain Java 8 unless it is in
//! `since<N>/`; `libraries/` has what fixtures use, and what a suite runs in its own way. Its first
//! comment says what it does in prose, then what it comes to, in lines of `key: value`:
//!
//! ```text
//! // A GZIPInputStream that is never closed: its Inflater is freed by the GC only.
//! // expect: inflater created 3, collected 3
//! // expect on 8: inflater created 3, late 3      (releases, or `Epsilon`)
//! // options: gc,depth=64                         (the agent's; default `gc`)
//! // java: -Xss512k                               (more flags for the JVM)
//! // exit: 3                                      (default 0)
//! // frame: Plugin.open                           (in one of its sites; may be repeated)
//! // class: Main$Own                              (one of its sites is of this subclass)
//! // truncated: 64                                (one of its sites is cut there)
//! // again: 12 Main.close                         (calls of end() there on what was ended)
//! // says: call end() in                          (the hint of one of its sites begins so)
//! ```
//!
//! Invariant: a line that cannot be understood is an error that names file and line, never a looser
//! test.

use crate::expectation::Expectation;
use crate::jdks::{Jdk, default_jdk};
use crate::{Result, publish, repository, target_dir};
use std::collections::{BTreeMap, hash_map::DefaultHasher};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// A program and what it should come to.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its main class; fixtures are in no package.
    pub name: String,
    /// The oldest release that runs it.
    pub since: u32,
    /// The folder with its classes.
    pub classes: PathBuf,
    /// More options for the agent.
    pub options: String,
    /// More flags for the JVM.
    pub java: Vec<String>,
    /// The exit code.
    pub exit: i32,
    /// Frames that must be found.
    pub frames: Vec<String>,
    /// The subclass that must be found.
    pub class: Option<String>,
    /// Who ends what is ended already, and how often: all of them.
    pub again: Vec<(String, u64)>,
    /// How a hint begins.
    pub says: Option<String>,
    /// The most frames that a truncated site may have; `None` when nothing may be truncated.
    pub truncated: Option<usize>,
    expect: Expectation,
    expect_on: BTreeMap<String, Expectation>,
}

impl Fixture {
    /// What it comes to on this release, with this collector (`None`: one that collects).
    #[must_use]
    pub fn expected(&self, major: u32, epsilon: bool) -> Expectation {
        let here = self.expect_on.get(&major.to_string()).unwrap_or(&self.expect);
        match self.expect_on.get("Epsilon") {
            Some(stated) if epsilon => stated.clone(),
            None if epsilon => here.without_gc(),
            _ => here.clone(),
        }
    }

    fn parse(name: &str, since: u32, source: &str) -> Result<Self> {
        let mut fixture = Self {
            name: name.into(),
            since,
            classes: PathBuf::new(),
            options: "gc".into(),
            java: Vec::new(),
            exit: 0,
            frames: Vec::new(),
            class: None,
            again: Vec::new(),
            says: None,
            truncated: None,
            expect: Expectation::parse("nothing")?,
            expect_on: BTreeMap::new(),
        };
        let mut prose = 0;
        let mut stated = false;
        for (index, line) in source.lines().take_while(|line| line.starts_with("//")).enumerate() {
            let text = line.trim_start_matches('/').trim();
            let key = text.split_once(": ").filter(|(key, _)| is_key(key));
            let place = |why: String| format!("line {}: {why}", index + 1);
            match key {
                Some(("expect", value)) if !stated => {
                    fixture.expect = Expectation::parse(value).map_err(place)?;
                    stated = true;
                }
                Some((key, value)) => fixture.set(key, value.trim()).map_err(place)?,
                None if stated => return Err(place(format!("{text:?} is no `key: value`"))),
                None => prose += 1,
            }
        }
        match (prose, stated) {
            (0, _) => Err("its first comment does not say what it does".into()),
            (_, false) => Err("its first comment has no `expect:`".into()),
            _ => Ok(fixture),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "options" => self.options = value.into(),
            "java" => self.java = value.split_whitespace().map(String::from).collect(),
            "exit" => {
                self.exit = value.parse().map_err(|_| format!("exit {value:?} is no number"))?
            }
            "frame" => self.frames.push(value.into()),
            "again" => {
                let wrong = || format!("again {value:?} is no number and frame");
                let (times, frame) = value.split_once(' ').ok_or_else(wrong)?;
                self.again.push((frame.into(), times.parse().map_err(|_| wrong())?));
            }
            "says" => self.says = Some(value.into()),
            "class" => self.class = Some(value.into()),
            "truncated" => {
                self.truncated =
                    Some(value.parse().map_err(|_| format!("truncated {value:?} is no number"))?);
            }
            _ => {
                let places =
                    key.strip_prefix("expect on ").ok_or_else(|| format!("unknown key {key:?}"))?;
                for place in places.split_whitespace() {
                    if place != "Epsilon" && place.parse::<u32>().is_err() {
                        return Err(format!("{place:?} is neither a release nor `Epsilon`"));
                    }
                    self.expect_on.insert(place.into(), Expectation::parse(value)?);
                }
            }
        }
        Ok(())
    }
}

/// One lower-case word is a key, and so is `expect on …`; anything else before a colon is prose.
fn is_key(text: &str) -> bool {
    text.starts_with("expect on ")
        || (!text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase()))
}

/// A folder of sources for one release.
struct Sources {
    since: u32,
    files: Vec<(PathBuf, String)>,
    /// Compiled with them; no fixtures.
    libraries: Vec<(PathBuf, String)>,
}

/// Reads and compiles all fixtures that one of `jdks` can compile. What none can compile is
/// reported on stderr.
pub fn compiled(jdks: &[Jdk]) -> Result<Vec<Fixture>> {
    let mut fixtures = Vec::new();
    for sources in sources()? {
        let default = default_jdk(jdks)?;
        let able = if default.major >= sources.since {
            Some(default)
        } else {
            jdks.iter().find(|jdk| jdk.major >= sources.since)
        };
        let Some(jdk) = able else {
            eprintln!("SKIPPED: no JDK compiles the fixtures since {}", sources.since);
            continue;
        };
        let classes = compile(&sources, jdk)?;
        for (path, text) in &sources.files {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let fixture = Fixture::parse(&name, sources.since, text)
                .map_err(|why| format!("{}: {why}", path.display()))?;
            fixtures.push(Fixture { classes: classes.clone(), ..fixture });
        }
    }
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(fixtures)
}

fn sources() -> Result<Vec<Sources>> {
    let root = repository().join("java-fixtures");
    let libraries = java_files(&root.join("libraries"))?;
    let mut all = vec![Sources { since: 8, files: java_files(&root)?, libraries }];
    for folder in listed(&root)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(since) = name.strip_prefix("since").and_then(|number| number.parse().ok()) {
            all.push(Sources { since, files: java_files(&folder)?, libraries: Vec::new() });
        }
    }
    Ok(all)
}

fn java_files(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let java = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "java");
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(format!("{}: {error}", path.display())),
    };
    listed(folder)?.into_iter().filter(java).map(read).collect()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Compiles into a folder named by what went in, so that each test binary of a run finds what the
/// first one made.
fn compile(sources: &Sources, jdk: &Jdk) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (&sources.files, &sources.libraries, jdk.major, &jdk.home).hash(&mut hasher);
    let all = target_dir().join("java-fixtures");
    let classes = all.join(format!("since{}-{:016x}", sources.since, hasher.finish()));
    if classes.exists() {
        return Ok(classes);
    }
    let fresh = all.join(format!("since{}-{}.tmp", sources.since, std::process::id()));
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let output = jdk
        .javac_for(sources.since)
        .args(["-encoding", "UTF-8", "-proc:none", "-nowarn", "-Xlint:-options", "-g", "-d"])
        .arg(&fresh)
        .args(sources.files.iter().chain(&sources.libraries).map(|(path, _)| path))
        .output()
        .map_err(|error| format!("{}: {error}", jdk.tool("javac").display()))?;
    if !output.status.success() {
        return Err(format!(
            "javac of JDK {}:\n{}",
            jdk.major,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    publish(&fresh, &classes)?;
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Kind};

    const GOOD: &str = "// What it does: this.\n\
        // expect: inflater created 3, collected 3\n\
        // expect on 8 11: inflater created 3, late 3\n\
        // exit: 3\n\
        // frame: A.b\n\
        \n\
        class A {}\n\
        // options: x\n";

    #[test]
    fn a_comment_is_read() {
        let fixture = Fixture::parse("A", 8, GOOD).expect("good");
        assert_eq!((fixture.exit, fixture.options.as_str(), fixture.frames.len()), (3, "gc", 1));
        let late = Counts { created: 3, late: 3, ..Counts::default() };
        let collected = Counts { created: 3, collected: 3, ..Counts::default() };
        let live = Counts { created: 3, live: 3, ..Counts::default() };
        assert!(fixture.expected(11, false).differences(Kind::Inflater, &late).is_empty());
        assert!(fixture.expected(17, false).differences(Kind::Inflater, &collected).is_empty());
        assert!(fixture.expected(17, true).differences(Kind::Inflater, &live).is_empty());
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        for source in [
            "// expect: nothing\nclass A {}",
            "// Prose only.\nclass A {}",
            "// Prose.\n// expct: nothing\n",
            "// Prose.\n// expect: nothing\n// more prose\n",
            "// Prose.\n// expect: nothing\n// expect on Eight: nothing\n",
            "// Prose.\n// expect: nothing\n// exit: none\n",
            "// Prose.\n// expect: inflater created 1\n",
            "class A {}",
        ] {
            assert!(Fixture::parse("A", 8, source).is_err(), "{source:?} was taken");
        }
    }
}
