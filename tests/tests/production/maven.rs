//! A Maven build whose tests leak: Surefire's forked JVM ends with the gate's code, and the build
//! fails and says why.
//!
//! The project is in `java-fixtures/maven`, and `docs/build-tools.md` explains it. Invariant: the
//! project leaks as it is; each test works on a copy of its own, and fixes it, covers it with a
//! rule or builds it in another way.

use super::{listed, read, write};
use std::fs;
use std::path::{Path, PathBuf};
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::maven;
use zaudit_tests::suite::TestEnv;
use zaudit_tests::{Result, repository};

const WHY: &str = "zaudit: exit code 23 instead of 0: 1 Deflater was never ended; only the garbage collector freed it";

/// A copy of the project, and the JDK that Surefire's JVM is of.
struct Project {
    jdk: Jdk,
    library: PathBuf,
    /// Keeps the folder.
    place: Jvm,
}

/// What Maven said.
struct Build {
    passed: bool,
    output: String,
    /// The agent's reports.
    reports: Vec<String>,
}

impl Project {
    fn copied(env: &TestEnv, jdk: &Jdk) -> Result<Self> {
        let place = Jvm::new(jdk, env.fixture("Ended")?)?;
        copy(&repository().join("java-fixtures/maven"), place.dir())?;
        Ok(Self { jdk: jdk.clone(), library: env.library.clone(), place })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.dir().join(name)
    }

    /// Replaces what must be there.
    fn edit(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let (file, text) = (self.file(name), read(&self.file(name))?);
        ensure!(text.matches(from).count() == 1, "{name} has not one {from:?}");
        write(&file, &text.replace(from, to))
    }

    fn build(&self, words: &[&str]) -> Result<Build> {
        let mut mvn = maven::mvn();
        mvn.arg("test")
            .arg(format!("-Dzaudit.library={}", self.library.display()))
            .arg(format!("-Djvm={}", self.jdk.tool("java").display()))
            .args(words)
            .current_dir(self.place.dir());
        let output = maven::run(&mut mvn)?;
        let said = [output.stdout, output.stderr].concat();
        let mut reports = Vec::new();
        for name in listed(&self.file("target"))?.iter().filter(|name| name.starts_with("zaudit-"))
        {
            reports.push(read(&self.file("target").join(name))?);
        }
        Ok(Build {
            passed: output.status.success(),
            output: String::from_utf8_lossy(&said).into_owned(),
            reports,
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            // What an earlier build left.
            if entry.file_name() != "target" {
                fs::create_dir_all(&target).map_err(failed)?;
                copy(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), &target).map_err(failed)?;
        }
    }
    Ok(())
}

impl Build {
    /// All tests passed, and the build failed all the same; who reads its output knows why, who
    /// reads the report knows where.
    fn ensure_failed(&self) -> Result<()> {
        let why = || format!("{}\n{:#?}", self.output, self.reports);
        ensure!(self.output.contains("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0"), why());
        ensure!(!self.passed && self.output.contains("BUILD FAILURE"), why());
        ensure!(self.output.lines().any(|line| line.ends_with(WHY)), why());
        ensure!(
            self.reports.len() == 1 && self.reports[0].contains("shop.Packer.pack(Packer.java:"),
            why()
        );
        Ok(())
    }

    fn ensure_passed(&self) -> Result<()> {
        let why = || format!("{}\n{:#?}", self.output, self.reports);
        ensure!(self.output.contains("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0"), why());
        ensure!(self.passed && self.output.contains("BUILD SUCCESS"), why());
        ensure!(!self.output.contains("zaudit: ") && self.reports.is_empty(), why());
        Ok(())
    }
}

pub(super) fn leak(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    Project::copied(env, jdk)?.build(&[])?.ensure_failed()
}

pub(super) fn fixed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let project = Project::copied(env, jdk)?;
    let source = "src/main/java/shop/Packer.java";
    project.edit(source, "        return ", "        deflater.end();\n        return ")?;
    project.build(&[])?.ensure_passed()
}

/// What the page tells people to write is what the project has, and the line that it has them look
/// for is the agent's.
pub(super) fn page(_bench: &TestEnv, _jdk: &Jdk) -> Result<()> {
    let page = read(&repository().join("docs/build-tools.md"))?;
    let pom = read(&repository().join("java-fixtures/maven/pom.xml"))?;
    let settings = page.split("```xml\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines: Vec<&str> =
        settings.ok_or("the page shows no settings")?.lines().map(str::trim).collect();
    let strange: Vec<&&str> = lines
        .iter()
        .filter(|line| !line.is_empty() && !pom.lines().any(|own| own.trim() == **line))
        .collect();
    ensure!(lines.len() > 10 && strange.is_empty(), "not in pom.xml: {strange:#?}");
    ensure!(page.lines().filter(|line| *line == WHY).count() == 2, "not on the page: {WHY}");
    Ok(())
}

/// A line in the project's file of rules.
pub(super) fn suppressed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let project = Project::copied(env, jdk)?;
    let rules = read(&project.file("zaudit.rules"))?;
    write(&project.file("zaudit.rules"), &format!("{rules}leak:shop.Packer.pack\n"))?;
    project.build(&[])?.ensure_passed()
}

/// A JVM for each test class, several JVMs, and one that speaks to Maven through a socket.
pub(super) fn fork_modes(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for words in [&["-DreuseForks=false"][..], &["-DforkCount=2"]] {
        let project = Project::copied(env, jdk)?;
        project.build(words)?.ensure_failed().map_err(|why| format!("{words:?}: {why}"))?;
    }
    let project = Project::copied(env, jdk)?;
    let factory = "org.apache.maven.plugin.surefire.extensions.SurefireForkNodeFactory";
    let node = format!("<configuration><forkNode implementation=\"{factory}\"/></configuration>");
    project.edit(
        "pom.xml",
        "<version>3.5.2</version>",
        &format!("<version>3.5.2</version>{node}"),
    )?;
    project.build(&[])?.ensure_failed().map_err(|why| format!("{factory}: {why}"))
}

/// Without a JVM of their own the tests run in Maven's, which has no agent: nothing is audited, and
/// the page warns of it.
pub(super) fn no_fork(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    Project::copied(env, jdk)?.build(&["-DforkCount=0"])?.ensure_passed()
}

/// Who lets builds pass with failing tests: not with this.
pub(super) fn failures_ignored(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    Project::copied(env, jdk)?.build(&["-Dmaven.test.failure.ignore=true"])?.ensure_failed()
}
