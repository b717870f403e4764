//! JVMs that make a class archive (CDS) or an AOT cache, and JVMs that use one.
//!
//! Invariant: where HotSpot takes agents, output, exit code and archive are those of the bare JVM;
//! where it refuses them, its own message is the only one, because our library is not even loaded.

use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Folder};
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, TestEnv, ensure_counts, on_jdk};

/// A way to make a CDS archive, since which release, its flags; `ARCHIVE` is the file.
const ARCHIVES: [(&str, u32, &[&str]); 3] = [
    ("at_exit", 17, &["-XX:ArchiveClassesAtExit=ARCHIVE"]),
    ("auto", 21, &["-XX:+AutoCreateSharedArchive", "-XX:SharedArchiveFile=ARCHIVE"]),
    (
        "dump",
        17,
        &["-Xshare:dump", "-XX:SharedArchiveFile=ARCHIVE", "-XX:SharedClassListFile=LIST"],
    ),
];

/// The same for an AOT cache, in two steps and in one.
const RECORD: [&str; 2] = ["-XX:AOTMode=record", "-XX:AOTConfiguration=ARCHIVE.config"];
const CREATE: [&str; 3] =
    ["-XX:AOTMode=create", "-XX:AOTConfiguration=ARCHIVE.config", "-XX:AOTCache=ARCHIVE"];
const OUTPUT: [&str; 1] = ["-XX:AOTCacheOutput=ARCHIVE"];

/// The first release that records for an AOT cache as these flags have it.
const AOT: u32 = 25;

/// How agent and flags come to the JVM.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Flags,
    ToolOptions,
    ArgumentFile,
    LauncherOptions,
}

type Test = fn(&Place, Way) -> Result<()>;

fn main() -> ExitCode {
    suite::main(|env| {
        let mut trials = env.missing();
        for jdk in env.jdks.iter().filter(|jdk| jdk.major >= 17) {
            for (name, _, flags) in ARCHIVES.into_iter().filter(|(_, since, _)| *since <= jdk.major)
            {
                for (way, label) in [(Way::Flags, "flags"), (Way::ToolOptions, "tool_options")] {
                    let name = format!("{name}::refused_by_{label}");
                    trials.push(trial(env, jdk, &name, way, move |place, way| {
                        refused(place, way, flags)
                    }));
                }
                trials.push(trial(
                    env,
                    jdk,
                    &format!("{name}::used"),
                    Way::Flags,
                    move |place, _| archive_is_used(place, flags),
                ));
            }
            if jdk.major >= AOT {
                let newest = env.jdks.iter().all(|other| other.major <= jdk.major);
                // Other ways to give the same flags are tried on the newest only.
                let ways = [
                    ("two_steps::flags", Way::Flags, two_steps as Test),
                    ("two_steps::tool_options", Way::ToolOptions, two_steps),
                    ("one_step::flags", Way::Flags, one_step),
                    ("one_step::tool_options", Way::ToolOptions, one_step),
                    ("one_step::argument_file", Way::ArgumentFile, one_step),
                    ("one_step::launcher_options", Way::LauncherOptions, one_step),
                ];
                let tried = |way| newest || way == Way::Flags;
                for (label, way, test) in ways.into_iter().filter(|(_, way, _)| tried(*way)) {
                    trials.push(trial(env, jdk, &format!("aot::{label}"), way, test));
                }
            }
        }
        trials
    })
}

fn trial(
    env: &TestEnv,
    jdk: &Jdk,
    name: &str,
    way: Way,
    test: impl FnOnce(&Place, Way) -> Result<()> + Send + 'static,
) -> Trial {
    on_jdk(env, jdk, name, &[], move |env: &TestEnv, jdk: &Jdk| test(&Place::new(env, jdk)?, way))
}

/// A folder with the program `NeverEnded` in a jar (classes in folders are not archived), and
/// archives of it.
struct Place<'a> {
    env: &'a TestEnv,
    jdk: &'a Jdk,
    folder: Arc<Folder>,
    jar: PathBuf,
}

impl<'a> Place<'a> {
    fn new(env: &'a TestEnv, jdk: &'a Jdk) -> Result<Self> {
        let folder = Arc::new(Folder::fresh()?);
        let jar = folder.0.join("app.jar");
        let mut archiver = Command::new(jdk.tool("jar"));
        archiver.arg("cf").arg(&jar).arg("-C").arg(&env.fixture("NeverEnded")?.classes);
        Said::of(archiver.arg("NeverEnded.class"))?.done()?;
        fs::write(folder.0.join("list"), "java/lang/Object\nNeverEnded\n")
            .map_err(|e| e.to_string())?;
        Ok(Self { env, jdk, folder, jar })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn jvm(&self) -> Result<Jvm> {
        Jvm::program(self.jdk, self.jar.as_os_str(), "NeverEnded")
    }

    /// Flags with the names of files put in.
    fn flags(&self, flags: &[&str], archive: &str) -> Vec<String> {
        let path = |name| self.file(name).display().to_string();
        flags
            .iter()
            .map(|f| f.replace("ARCHIVE", &path(archive)).replace("LIST", &path("list")))
            .collect()
    }

    /// With these flags, and with the agent if it has `options`.
    fn run(&self, way: Way, flags: &[&str], archive: &str, options: Option<&str>) -> Result<Ended> {
        let mut flags = self.flags(flags, archive);
        let jvm = self.jvm()?;
        if let Some(options) = options {
            let report = jvm.dir().join("r.json");
            let library = self.env.library.display();
            flags.push(format!(
                "-agentpath:{library}=file={},format=json,{options}",
                report.display()
            ));
        }
        let file = self.file("arguments");
        match way {
            Way::Flags => jvm.flags(flags),
            Way::ToolOptions => jvm.env("JAVA_TOOL_OPTIONS", &flags.join(" ")),
            Way::LauncherOptions => jvm.env("JDK_JAVA_OPTIONS", &flags.join(" ")),
            Way::ArgumentFile => {
                fs::write(&file, flags.join("\n")).map_err(|error| error.to_string())?;
                jvm.flags([format!("@{}", file.display())])
            }
        }
        .run()
    }

    /// The program is audited as usual while it uses what was made.
    fn ensure_used(&self, flags: &[String]) -> Result<()> {
        for audited in [false, true] {
            let jvm = self.jvm()?;
            let log = jvm.dir().join("loaded");
            let jvm = jvm.flags(flags).flags([format!("-Xlog:class+load:file={}", log.display())]);
            let ended = if audited { jvm.audited(&self.env.library, "gc") } else { jvm }.run()?;
            ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
            let loaded = read(&log)?;
            let found = loaded.lines().find(|line| line.contains(" NeverEnded source: "));
            ensure!(found.is_some_and(|line| line.contains("shared objects file")), {
                format!("the archive is not in use (audited: {audited}): {found:?}\n{ended}")
            });
            if audited {
                let fixture = self.env.fixture("NeverEnded")?;
                ensure_counts(fixture, &fixture.expected(self.jdk.major, false), &ended.report()?)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Output without what differs from run to run: sizes, and the names of files.
fn alike(ended: &Ended, archive: &str) -> String {
    let printed = ended.printed().replace(archive, "ARCHIVE");
    printed.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}

/// HotSpot ends before it loads the library: in its own words, and without ours.
fn refused(place: &Place, way: Way, flags: &[&str]) -> Result<()> {
    let ended = place.run(way, flags, "made.jsa", Some("gc"))?;
    ensure!(ended.code() == 1, "HotSpot takes agents here now: {ended}");
    let printed = ended.printed();
    let words =
        printed.contains("Error occurred during CDS dumping") && printed.contains("JVMTI agent");
    ensure!(words && ended.messages().is_empty(), "other words: {ended}");
    ensure!(!place.file("made.jsa").exists(), "there is an archive: {ended}");
    Ok(())
}

fn archive_is_used(place: &Place, flags: &[&str]) -> Result<()> {
    let made = place.run(Way::Flags, flags, "made.jsa", None)?;
    ensure!(made.code() == 0 && place.file("made.jsa").exists(), made.to_string());
    // What makes an archive if there is none uses it if there is one.
    let auto = flags.iter().any(|flag| flag.contains("AutoCreate"));
    let flags = if auto { flags } else { &["-Xshare:auto", "-XX:SharedArchiveFile=ARCHIVE"] };
    place.ensure_used(&place.flags(flags, "made.jsa"))
}

/// The bare JVM and one with the agent, side by side. What is printed is the same, and one line
/// says why nothing is audited.
fn record(place: &Place, way: Way, flags: &[&str]) -> Result<()> {
    let bare = place.run(way, flags, "bare.aot", None)?;
    let ended = place.run(way, flags, "made.aot", Some("gc,exit_code=23"))?;
    let same = alike(&ended, "made.aot") == alike(&bare, "bare.aot") && bare.code() == ended.code();
    ensure!(same && bare.code() == 0, "{bare}\n{ended}");
    let messages = ended.messages();
    let flag = flags.first().and_then(|flag| flag.split('=').next()).unwrap_or_default();
    let said = messages.len() == 1
        && messages[0].starts_with("zaudit: auditing is disabled: this JVM records");
    ensure!(said && messages[0].contains(flag), "one line about {flag} expected: {ended}");
    let others = |ended: &Ended| ended.foreign_stderr().lines().count();
    ensure!(others(&ended) == others(&bare), "stderr differs\n{bare}\n{ended}");
    ensure!(!ended.dir().join("r.json").exists(), "there is a report: {ended}");
    Ok(())
}

fn two_steps(place: &Place, way: Way) -> Result<()> {
    record(place, way, &RECORD)?;
    let made = place.run(way, &CREATE, "made.aot", Some("gc"))?;
    ensure!(made.code() == 0 && made.messages().is_empty(), made.to_string());
    cache_is_used(place)
}

fn one_step(place: &Place, way: Way) -> Result<()> {
    record(place, way, &OUTPUT)?;
    cache_is_used(place)
}

fn cache_is_used(place: &Place) -> Result<()> {
    place.ensure_used(&place.flags(&["-XX:AOTMode=auto", "-XX:AOTCache=ARCHIVE"], "made.aot"))
}
