//! Every fixture on every JDK, and a quarter of them with each collector and compiler of one JDK:
//! counts to the unit.
//!
//! Each case runs its program audited, and compares that with a bare run, of another JDK if that
//! shows the same. Invariant: the two runs differ in nothing that the program's user can see, and
//! the audited one's report says exactly what the fixture's first comment says.

use libtest_mimic::Trial;
use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::fixtures::Fixture;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::once::{Once, Outcome};
use zaudit_tests::report::{Report, Site, Trigger};
use zaudit_tests::suite::{self, TestEnv, case, ensure_counts};

/// Flags of every program.
const CHECKS: [&str; 2] = ["-Xmx256m", "-Xcheck:jni"];

/// Boot classes are verified only on request: a bad rewrite would be silent corruption. The JVM
/// then takes twice as long to start, because it cannot use its CDS archive.
const VERIFICATION: [&str; 2] =
    ["-XX:+UnlockDiagnosticVMOptions", "-XX:+BytecodeVerificationLocal"];

/// With these programs, every class that we rewrite is loaded.
const REWRITTEN: [&str; 3] = ["EveryStream", "EntryStreamsReadToEnd", "ZipfsStreamsClosed"];

/// The collectors and compilers that the default JDK runs with. G1 has no row: the JDK chooses it
/// by itself with two processors and 2 GB of memory.
const MODES: [(&str, &[&str]); 8] = [
    ("serial", &["-XX:+UseSerialGC"]),
    ("parallel", &["-XX:+UseParallelGC"]),
    ("zgc", &["-XX:+UseZGC"]),
    ("shenandoah", &["-XX:+UseShenandoahGC"]),
    (EPSILON, &EPSILON_FLAGS),
    ("xint", &["-Xint"]),
    // Only what matters is compiled: all that a JVM starts with would take ten times as long.
    (
        "xcomp",
        &[
            "-Xcomp",
            "-XX:CompileCommand=quiet",
            "-XX:CompileCommand=compileonly,java.util.zip.*::*",
            "-XX:CompileCommand=compileonly,zaudit.*::*",
        ],
    ),
    ("c1", &["-XX:TieredStopAtLevel=1"]),
];

/// The collector that JDK 14 removed (JEP 363), and that JDK 9 and later warn of.
const CMS: [&str; 1] = ["-XX:+UseConcMarkSweepGC"];

/// What the agent does where it cannot do better.
const FALLBACKS: [(&str, &str); 2] = [("by_tag", "hooks=tag"), ("walk_off", "walk=off")];

/// The collector that never collects.
const EPSILON: &str = "epsilon";

/// Its advice about heap sizes comes with the time of day, which no two runs share.
const EPSILON_FLAGS: [&str; 5] = [
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+UseEpsilonGC",
    "-Xmx4g",
    "-Xlog:gc+init=error",
    "-Dfixture.collects=false",
];

/// A mode, a JDK and a fixture.
#[derive(Clone)]
struct Case {
    mode: String,
    /// Flags of both runs.
    flags: &'static [&'static str],
    /// Flags of the audited run.
    audited: &'static [&'static str],
    /// Options of the agent beside the fixture's own.
    options: &'static str,
    jdk: Jdk,
    fixture: Fixture,
}

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials = env.missing();
        for jdk in &env.jdks {
            trials.extend(row(env, &format!("jdk{}", jdk.major), &[], "", jdk));
            trials.extend(verified(env, &format!("jdk{}", jdk.major), "", jdk));
        }
        for (place, (mode, flags)) in MODES.into_iter().enumerate() {
            trials.extend(cells(place, row(env, mode, flags, "", env.default_jdk()))?);
        }
        if let Some(jdk) = env.jdks.iter().find(|jdk| jdk.major == 8) {
            trials.extend(cells(MODES.len(), row(env, "cms", &CMS, "", jdk))?);
        }
        for (mode, options) in FALLBACKS {
            trials.extend(row(env, mode, &[], options, env.default_jdk()));
            trials.extend(verified(env, mode, options, env.default_jdk()));
        }
        trials.push(case(env, "site_ids_are_the_same_in_every_run", ids_are_stable));
        Ok(trials)
    })
}

/// The row at this place of the table of modes and fixtures.
fn cells(place: usize, row: Vec<Trial>) -> Result<Vec<Trial>> {
    let columns = row.into_iter().enumerate();
    columns.map(|(column, trial)| suite::in_table(place, column, trial)).collect()
}

/// A mode and JDK with every fixture that it can run.
fn row(
    env: &TestEnv,
    mode: &str,
    flags: &'static [&'static str],
    options: &'static str,
    jdk: &Jdk,
) -> Vec<Trial> {
    let able = env.fixtures.iter().filter(|fixture| fixture.since <= jdk.major);
    able.map(|fixture| {
        let here = Case::new(mode, flags, options, jdk, fixture);
        case(env, format!("{mode}::{}", fixture.name), move |env| here.check(env))
    })
    .collect()
}

/// A mode and JDK that verifies the classes we rewrite.
fn verified(env: &TestEnv, mode: &str, options: &'static str, jdk: &Jdk) -> Vec<Trial> {
    let trials = REWRITTEN.iter().map(|name| {
        let (mode, jdk) = (mode.to_owned(), jdk.clone());
        case(env, format!("{mode}::verified::{name}"), move |env| {
            let case = Case::new(&mode, &[], options, &jdk, env.fixture(name)?);
            Case { audited: &VERIFICATION, ..case }.check(env)
        })
    });
    trials.collect()
}

impl Case {
    fn new(
        mode: &str,
        flags: &'static [&'static str],
        options: &'static str,
        jdk: &Jdk,
        fixture: &Fixture,
    ) -> Self {
        let (jdk, fixture) = (jdk.clone(), fixture.clone());
        Self { mode: mode.into(), flags, audited: &[], options, jdk, fixture }
    }

    fn check(&self, env: &TestEnv) -> Result<()> {
        let audited = self.jvm(self.flags)?.flags(self.audited);
        let options = match self.fixture.options.as_str() {
            "" => self.options.to_owned(),
            own => format!("{own},{}", self.options),
        };
        let audited = audited.audited(&env.library, options.trim_end_matches(',')).run()?;
        self.ensure_unharmed(&audited)?;
        let report = audited.report()?;
        ensure!(report.process.trigger == Trigger::Exit, {
            format!("trigger is {:?}", report.process.trigger)
        });
        let expected = self.fixture.expected(self.jdk.major, self.mode == EPSILON);
        ensure_counts(&self.fixture, &expected, &report)?;
        self.ensure_again(&report)?;
        self.ensure_sites(&report)
    }

    /// The program's user sees what a bare run shows: one that all modes and JDKs share, or if that
    /// differs one on the same JDK, or if it still differs one with the same flags. Some JDKs say
    /// more, and some flags print a warning.
    fn ensure_unharmed(&self, audited: &Ended) -> Result<()> {
        static SHARED: Once<String, Outcome> = Once::new();
        static OF_JDK: Once<(u32, String), Outcome> = Once::new();
        let name = self.fixture.name.clone();
        // One JDK's complaints about itself excuse no other's.
        let quiet = || {
            let mut bare = self.bare(&[])?;
            bare.complaints.clear();
            Ok(bare)
        };
        let shared = SHARED.get(name.clone(), quiet);
        let on_this_jdk = || OF_JDK.get((self.jdk.major, name), || self.bare(&[]));
        shared
            .and_then(|bare| unharmed(&bare, audited))
            .or_else(|_| unharmed(&on_this_jdk()?, audited))
            .or_else(|why| match self.flags {
                [] => Err(why),
                flags => unharmed(&self.bare(flags)?, audited),
            })
    }

    fn bare(&self, flags: &[&str]) -> Result<Outcome> {
        let bare = self.jvm(flags)?.run()?;
        ensure!(bare.code() == self.fixture.exit, "the bare program is not as it says: {bare}");
        Ok(bare.into())
    }

    fn jvm(&self, flags: &[&str]) -> Result<Jvm> {
        let jvm = Jvm::new(&self.jdk, &self.fixture)?.flags(CHECKS).flags(flags);
        let compiled = format!("-XX:CompileCommand=compileonly,{}*::*", self.fixture.name);
        Ok(if flags.contains(&"-Xcomp") { jvm.flags([compiled]) } else { jvm })
    }

    /// Where the fixture says which lines end what is ended already, the report has all of them,
    /// and no others.
    fn ensure_again(&self, report: &Report) -> Result<()> {
        let stated = &self.fixture.again;
        let found: Vec<_> =
            report.ended_again.iter().map(|e| (e.frame.to_string(), e.times)).collect();
        ensure!(stated.is_empty() || found == *stated, "ended again: {found:#?}, not {stated:#?}");
        Ok(())
    }

    /// Frames, subclass, hint and truncation are as the fixture says.
    fn ensure_sites(&self, report: &Report) -> Result<()> {
        let own: Vec<&Site> =
            report.sites.iter().filter(|site| site.is_of(&self.fixture.name)).collect();
        for frame in &self.fixture.frames {
            let found =
                own.iter().any(|site| site.frames.iter().any(|here| here.to_string() == *frame));
            ensure!(found, "no site has the frame {frame}: {own:#?}");
        }
        if let Some(class) = &self.fixture.class {
            let found = own.iter().any(|site| site.class.as_ref() == Some(class));
            ensure!(found, "no site is of class {class}: {own:#?}");
        }
        // Nothing is certain where nothing is collected.
        if let Some(begin) = self.fixture.says.as_ref().filter(|_| self.mode != EPSILON) {
            let said: Vec<&str> = own.iter().filter_map(|site| site.hint.as_deref()).collect();
            ensure!(said.iter().any(|hint| hint.starts_with(begin)), {
                format!("no hint begins {begin:?}: {said:#?}")
            });
        }
        let cut: Vec<&&Site> = own.iter().filter(|site| site.truncated).collect();
        match self.fixture.truncated {
            None => ensure!(cut.is_empty(), "truncated: {cut:#?}"),
            Some(limit) => {
                ensure!(!cut.is_empty(), "no site says that it was truncated");
                let long = cut.iter().find(|site| site.frames.len() > limit);
                ensure!(long.is_none(), "more than {limit} frames: {long:#?}");
            }
        }
        Ok(())
    }
}

/// The program printed the same and ended the same; the JVM had nothing to complain of that it had
/// not before.
fn unharmed(bare: &Outcome, audited: &Ended) -> Result<()> {
    let both = || format!("bare: {bare}\naudited: {audited}");
    ensure!(audited.printed() == bare.printed, "stdout differs\n{}", both());
    let fresh: Vec<String> = audited.complaints().difference(&bare.complaints).cloned().collect();
    ensure!(fresh.is_empty(), "-Xcheck:jni complains: {fresh:#?}\n{}", both());
    ensure!(audited.code() == bare.code, "exit codes differ\n{}", both());
    ensure!(bare.foreign_stderr == audited.foreign_stderr(), "stderr differs\n{}", both());
    let messages = audited.messages();
    ensure!(messages.is_empty(), "the agent had to say: {messages:#?}");
    Ok(())
}

/// A site's id is made of its kind and frames: two runs of one program give the same ids, generated
/// classes or not.
fn ids_are_stable(env: &TestEnv) -> Result<()> {
    for name in ["LambdaFrames", "Reflective", "GzipForgotten"] {
        let fixture = env.fixture(name)?;
        let ids = || -> Result<Vec<String>> {
            let report = Jvm::new(env.default_jdk(), fixture)?
                .audited(&env.library, "gc")
                .run()?
                .report()?;
            let own = report.sites.iter().filter(|site| site.is_of(name));
            let mut ids: Vec<String> = own.map(|site| site.id.clone()).collect();
            ids.sort();
            Ok(ids)
        };
        let (first, second) = (ids()?, ids()?);
        ensure!(!first.is_empty(), "{name} has no sites");
        ensure!(first == second, "{name}: {first:?} and then {second:?}");
    }
    Ok(())
}
