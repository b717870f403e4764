//! The gallery of known leaks: published libraries, the JDK itself, clean uses and pools, each held
//! against what is known of it.
//!
//! The cases stand in `tests/known_leaks/cases.txt` (how to read it is said at its top), the
//! programs that call the libraries in `tests/known_leaks/triggers`; Maven gets the libraries.
//! Invariant: a case names all that its program may leak, so a leak too many fails as one too few
//! does.

use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::maven;
use zaudit_tests::once::Once;
use zaudit_tests::report::{Counts, Kind, Report, Severity, Site};
use zaudit_tests::suite::{self, TestEnv};
use zaudit_tests::{Result, publish, repository, target_dir};

/// How often a trigger does its work: enough for what grows with the calls to differ from what does
/// not.
const CALLS: u64 = 7;

/// What must come of the instances of one kind that were made at one place.
#[derive(Clone, Debug)]
struct Expected {
    outcome: Outcome,
    kind: Kind,
    /// `None`: some.
    count: Option<u64>,
    frame: String,
    /// Words of the hint.
    says: Option<String>,
}

/// The first word of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Late or collected.
    Leak,
    /// Lost in all, however many calls there are.
    Once,
    Ended,
    Live,
}

/// A program, where it runs, what it is run with, and what must come out.
#[derive(Clone, Debug, Default)]
struct Case {
    trigger: String,
    jdks: Vec<u32>,
    libraries: Vec<String>,
    expected: Vec<Expected>,
    skip: Option<String>,
}

fn main() -> ExitCode {
    suite::main_with(|env| {
        let cases = read_cases()?;
        let mut trials = env.missing();
        trials.push(suite::case(env, "what_is_no_case_is_refused", |_| refuses()));
        trials.push(suite::case(env, "a_case_that_is_wrong_fails", notices));
        // The versions of a library that leak, and those that do not, run on the same JDKs.
        let triggers: BTreeSet<&str> = cases.iter().map(|case| case.trigger.as_str()).collect();
        for case in &cases {
            let index = triggers.range(..case.trigger.as_str()).count();
            for (place, major) in case.jdks.iter().enumerate() {
                let Some(trial) = trial(env, &cases, case, *major) else { continue };
                let of = case.jdks.len().min(4);
                trials.push(suite::one_of(index, place % 4, of, trial)?);
            }
        }
        Ok(trials)
    })
}

fn trial(env: &TestEnv, cases: &[Case], case: &Case, major: u32) -> Option<Trial> {
    let name = format!("{}::jdk{major}", case.name());
    if let Some(why) = &case.skip {
        return Some(suite::ignored(name, why));
    }
    // A JDK that is not there was counted already.
    let jdk = env.jdks.iter().find(|jdk| jdk.major == major)?.clone();
    let (case, all) = (case.clone(), cases.to_vec());
    Some(suite::case(env, name, move |env| case.check(env, &all, &jdk)))
}

impl Case {
    /// The trigger and the versions of what it is run with.
    fn name(&self) -> String {
        let version =
            |library: &String| library.rsplit_once(':').map(|(_, version)| version.to_owned());
        let versions: Vec<String> = self.libraries.iter().take(1).filter_map(version).collect();
        if versions.is_empty() {
            self.trigger.clone()
        } else {
            format!("{}::{}", self.trigger, versions.join("+"))
        }
    }

    fn check(&self, env: &TestEnv, all: &[Case], jdk: &Jdk) -> Result<()> {
        let ended = self.run(env, all, jdk)?;
        let wrong = self.wrong(&ended.report()?);
        ensure!(wrong.is_empty(), "{}\n{ended}", wrong.join("\n"));
        Ok(())
    }

    fn run(&self, env: &TestEnv, all: &[Case], jdk: &Jdk) -> Result<Ended> {
        let libraries = self.class_path(all)?;
        let oldest = env.jdks.iter().find(|jdk| self.jdks.contains(&jdk.major)).unwrap_or(jdk);
        let mut class_path = self.compiled(&libraries, oldest)?.into_os_string();
        if !libraries.is_empty() {
            class_path.push(":");
            class_path.push(&libraries);
        }
        let ended = Jvm::program(jdk, &class_path, &self.trigger)?
            .flags(["-Xmx256m", "-Djava.awt.headless=true"])
            .args(&[&CALLS.to_string()])
            .audited(&env.library, "gc")
            .run()?;
        ensure!(ended.code() == 0, "the trigger fails: {ended}");
        Ok(ended)
    }

    /// All in which `report` differs from what is known.
    fn wrong(&self, report: &Report) -> Vec<String> {
        let mut wrong: Vec<String> =
            self.expected.iter().filter_map(|one| one.difference(report)).collect();
        for site in &report.sites {
            let known =
                |outcome| self.expected.iter().any(|one| one.outcome == outcome && one.is_of(site));
            let fits = match site.severity {
                Severity::Clean => true,
                Severity::Suspect => known(Outcome::Live),
                Severity::Leak => known(Outcome::Leak) || known(Outcome::Once),
            };
            if !fits {
                wrong.push(format!("unexpected {:?}: {}", site.severity, site.describe()));
            }
        }
        wrong
    }

    /// The program's classes, compiled by `jdk`.
    fn compiled(&self, libraries: &str, jdk: &Jdk) -> Result<PathBuf> {
        static COMPILED: Once<(String, String, u32), PathBuf> = Once::new();
        let key = (self.trigger.clone(), libraries.to_owned(), jdk.major);
        COMPILED.get(key, || self.compile(libraries, jdk))
    }

    fn compile(&self, libraries: &str, jdk: &Jdk) -> Result<PathBuf> {
        let source =
            repository().join("tests/known_leaks/triggers").join(format!("{}.java", self.trigger));
        let text = fs::read_to_string(&source)
            .map_err(|error| format!("{}: {error}", source.display()))?;
        let mut hasher = DefaultHasher::new();
        (&text, libraries, &jdk.home).hash(&mut hasher);
        let name = format!("{}-{:016x}", self.trigger, hasher.finish());
        let classes = work().join("classes").join(&name);
        if classes.exists() {
            return Ok(classes);
        }
        let fresh = work().join("classes").join(format!("{name}-{}.tmp", std::process::id()));
        fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
        let output = jdk
            .javac()
            .args([
                "-source",
                "8",
                "-target",
                "8",
                "-encoding",
                "UTF-8",
                "-proc:none",
                "-nowarn",
                "-Xlint:-options",
                "-g",
            ])
            .args(["-cp", libraries, "-d"])
            .arg(&fresh)
            .arg(&source)
            .output()
            .map_err(|error| format!("{}: {error}", jdk.tool("javac").display()))?;
        ensure!(output.status.success(), "javac: {}", String::from_utf8_lossy(&output.stderr));
        publish(&fresh, &classes)?;
        Ok(classes)
    }

    /// The folder of this case's libraries, named by them.
    fn folder(&self) -> String {
        self.libraries.join("_and_").replace(':', "_")
    }

    /// The class path of the libraries, with all that they need.
    fn class_path(&self, all: &[Case]) -> Result<String> {
        static ANSWER: OnceLock<Result<String>> = OnceLock::new();
        if self.libraries.is_empty() {
            return Ok(String::new());
        }
        if let Some(known) = self.known_class_path() {
            return Ok(known);
        }
        let said = ANSWER.get_or_init(|| ask_maven(all)).clone()?;
        self.known_class_path()
            .ok_or_else(|| format!("Maven cannot get {:?}:\n{said}", self.libraries))
    }

    /// What Maven said before; it holds as long as the files are there.
    fn known_class_path(&self) -> Option<String> {
        let list = fs::read_to_string(work().join("maven").join(self.folder()).join(LIST)).ok()?;
        let list = list.trim();
        (!list.is_empty() && list.split(':').all(|file| Path::new(file).exists()))
            .then(|| list.into())
    }

    fn pom(&self) -> String {
        let mut dependencies = String::new();
        for library in &self.libraries {
            let mut parts = library.split(':');
            let mut part = || parts.next().unwrap_or_default();
            dependencies += &format!(
                "    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>\n",
                part(),
                part(),
                part()
            );
        }
        pom(&self.folder(), &format!("<dependencies>\n{dependencies}</dependencies>"))
    }
}

impl Expected {
    fn is_of(&self, site: &Site) -> bool {
        // The frames of java.util.zip, and the first one outside of it.
        let inner = site
            .frames
            .iter()
            .take_while(|frame| frame.class.starts_with("java.util.zip."))
            .count();
        site.kind == self.kind
            && site.frames.iter().take(inner + 1).any(|frame| frame.to_string() == self.frame)
    }

    fn difference(&self, report: &Report) -> Option<String> {
        let found = report.sum(self.kind, |site| self.is_of(site));
        let Counts { created, ended, late, collected, live, expected, .. } = found;
        let (count, rest) = match self.outcome {
            Outcome::Leak | Outcome::Once => (late + collected, live + expected),
            // Under the same frame the JDK's class loaders have theirs, which a rule covers.
            Outcome::Ended => (ended, created - ended - expected),
            Outcome::Live => (live, late + collected + expected),
        };
        let wanted = match self.outcome {
            Outcome::Live | Outcome::Once => self.count,
            _ => self.count.map(|count| count * CALLS),
        };
        let right = wanted.map_or(count > 0, |wanted| wanted == count) && rest == 0;
        if !right {
            return Some(format!("expected {self:?} in {CALLS} calls, found {found:?}"));
        }
        let leaks = || {
            report.sites.iter().filter(|site| site.severity == Severity::Leak && self.is_of(site))
        };
        let says = |words: &str| {
            leaks().all(|site| site.hint.as_ref().is_some_and(|hint| hint.contains(words)))
        };
        let words = self.says.as_deref().unwrap_or_default();
        let hints =
            || leaks().map(|site| site.hint.as_deref().unwrap_or("nothing")).collect::<Vec<_>>();
        (!says(words)).then(|| format!("{self:?}: the hint is {:?}", hints()))
    }
}

/// The name of the file in which Maven leaves a class path.
const LIST: &str = "classpath";

fn work() -> PathBuf {
    target_dir().join("gallery")
}

fn pom(name: &str, rest: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>zaudit.gallery</groupId><artifactId>{name}</artifactId><version>1</version>\n{rest}\n</project>\n"
    )
}

/// Asks Maven once for all libraries that are not known yet; what one of them lacks keeps no other
/// from being got. Answers what it said.
fn ask_maven(all: &[Case]) -> Result<String> {
    let folders = work().join("maven");
    let mut modules = String::new();
    let mut seen = Vec::new();
    for case in
        all.iter().filter(|case| !case.libraries.is_empty() && case.known_class_path().is_none())
    {
        let folder = folders.join(case.folder());
        if !seen.contains(&folder) {
            fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            write(&folder.join("pom.xml"), &case.pom())?;
            modules += &format!("<module>{}</module>", case.folder());
            seen.push(folder);
        }
    }
    let file = folders.join("pom.xml");
    write(
        &file,
        &pom("all", &format!("<packaging>pom</packaging>\n<modules>{modules}</modules>")),
    )?;
    let mut mvn = maven::mvn();
    mvn.args(["-q", "--fail-at-end", "-DincludeScope=runtime"])
        // It mostly waits for the network.
        .args(["--threads", "8"])
        // Below each module's own folder.
        .arg(format!("-Dmdep.outputFile={LIST}"))
        .arg("-f")
        .arg(&file)
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath");
    let output = maven::run(&mut mvn)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn read_cases() -> Result<Vec<Case>> {
    let file = repository().join("tests/known_leaks/cases.txt");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&text).map_err(|why| format!("{}: {why}", file.display()))
}

fn parse(text: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = |why: &str| format!("line {}: {why}: {line:?}", index + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            [trigger, "on", rest @ ..] if !line.starts_with(' ') => {
                let jdks: Vec<u32> = rest.iter().map_while(|word| word.parse().ok()).collect();
                let libraries: Vec<String> = match &rest[jdks.len()..] {
                    [] => Vec::new(),
                    ["with", libraries @ ..] => libraries.iter().map(ToString::to_string).collect(),
                    _ => return Err(place("neither a release nor `with`")),
                };
                let odd = libraries.iter().any(|library| library.split(':').count() != 3);
                if jdks.is_empty() || odd {
                    return Err(place("no release, or no coordinates"));
                }
                cases.push(Case { trigger: (*trigger).into(), jdks, libraries, ..Case::default() });
            }
            words if line.starts_with(' ') => {
                let case = cases.last_mut().ok_or_else(|| place("belongs to no case"))?;
                match words {
                    ["says", words @ ..] if !words.is_empty() => {
                        let one =
                            case.expected.last_mut().filter(|one| one.outcome == Outcome::Leak);
                        one.ok_or_else(|| place("belongs to no leak"))?.says =
                            Some(words.join(" "));
                    }
                    ["skip", reason @ ..] if !reason.is_empty() => {
                        case.skip = Some(reason.join(" "))
                    }
                    [outcome, kind, count, frame] => {
                        let one = Expected::parse(outcome, kind, count, frame);
                        case.expected.push(one.ok_or_else(|| place("no outcome, kind or count"))?);
                    }
                    _ => return Err(place("nothing that is known")),
                }
            }
            _ => return Err(place("no case")),
        }
    }
    match cases.iter().find(|case| case.expected.is_empty() && case.skip.is_none()) {
        Some(case) => Err(format!("{} expects nothing", case.name())),
        None if cases.is_empty() => Err("no case".into()),
        None => Ok(cases),
    }
}

impl Expected {
    fn parse(outcome: &str, kind: &str, count: &str, frame: &str) -> Option<Self> {
        let outcome = match outcome {
            "leak" => Outcome::Leak,
            "ended" => Outcome::Ended,
            "live" => Outcome::Live,
            "once" => Outcome::Once,
            _ => return None,
        };
        let kind = match kind {
            "inflater" => Kind::Inflater,
            "deflater" => Kind::Deflater,
            "zip_entry" => Kind::ZipEntry,
            _ => return None,
        };
        let count = match count {
            "some" if outcome != Outcome::Leak => None,
            number => Some(number.parse().ok().filter(|number| *number > 0)?),
        };
        Some(Self { outcome, kind, count, frame: frame.into(), says: None })
    }
}

fn refuses() -> Result<()> {
    for text in [
        "",
        "A on 8\n",
        "A on eight\n    leak inflater 1 B.c\n",
        "A on 8 with b:c\n    leak inflater 1 B.c\n",
        "    leak inflater 1 B.c\n",
        "A on 8\n    lost inflater 1 B.c\n",
        "A on 8\n    leak zip 1 B.c\n",
        "A on 8\n    leak inflater some B.c\n",
        "A on 8\n    leak inflater 0 B.c\n",
        "A on 8\n    skip\n",
        "A on 8\n    ended inflater 1 B.c\n    says nothing\n",
    ] {
        ensure!(parse(text).is_err(), "{text:?} was taken");
    }
    ensure!(parse("A on 8 11 with b:c:1\n    ended inflater some B.c\n").is_ok(), {
        "a sound one was refused".into()
    });
    Ok(())
}

/// A leak that is there in every release, held against what it is not.
fn notices(env: &TestEnv) -> Result<()> {
    let case = |expected: &str| {
        let mut cases =
            parse(&format!("ZipOfNothing on {}\n    {expected}\n", env.default_jdk().major))?;
        cases.pop().ok_or_else(|| "no case".to_owned())
    };
    let right = case("leak inflater 1 java.util.zip.ZipInputStream.<init>")?;
    let report = right.run(env, &[], env.default_jdk())?.report()?;
    ensure!(right.wrong(&report).is_empty(), "{:?}", right.wrong(&report));
    for (expected, complaints) in [
        (
            "leak inflater 1 java.util.zip.ZipInputStream.<init>\n    says close the ZipInputStream",
            0,
        ),
        ("leak inflater 1 java.util.zip.ZipInputStream.<init>\n    says what no hint says", 1),
        ("leak inflater 2 java.util.zip.ZipInputStream.<init>", 1),
        ("leak deflater 1 java.util.zip.ZipInputStream.<init>", 2),
        ("ended inflater 1 java.util.zip.ZipInputStream.<init>", 2),
        ("live inflater some java.util.zip.ZipInputStream.<init>", 2),
        ("leak inflater 1 java.util.zip.ZipFile.<init>", 2),
    ] {
        let wrong = case(expected)?.wrong(&report);
        ensure!(wrong.len() == complaints, "{expected}: {wrong:?}");
    }
    Ok(())
}
