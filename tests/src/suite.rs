//! What every suite works with (JDKs, fixtures, the agent), made ready once, and the list of its
//! cases.
//!
//! Invariant: a suite that cannot be set up fails, and so does one that hangs; it never comes out
//! green with nothing in it.

use crate::ensure;
use crate::fixtures::{self, Fixture};
use crate::jdks::{self, Jdk};
use crate::{Result, agent, expectation::Expectation, report::Kind, report::Report};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// All that a suite works with.
#[derive(Clone)]
pub struct TestEnv {
    /// The JDKs, by release.
    pub jdks: Vec<Jdk>,
    /// The fixtures, by name.
    pub fixtures: Arc<[Fixture]>,
    /// The agent.
    pub library: PathBuf,
}

impl TestEnv {
    /// Finds, compiles and builds everything.
    pub fn ready() -> Result<Self> {
        let jdks = jdks::found()?;
        let fixtures = fixtures::compiled(&jdks)?.into();
        let library = agent::library()?;
        Ok(Self { jdks, fixtures, library })
    }

    /// The JDK of the extra cases.
    #[must_use]
    pub fn default_jdk(&self) -> &Jdk {
        jdks::default_jdk(&self.jdks).expect("there is a JDK")
    }

    /// The fixture of this name.
    pub fn fixture(&self, name: &str) -> Result<&Fixture> {
        let found = self.fixtures.iter().find(|fixture| fixture.name == name);
        found.ok_or_else(|| format!("no fixture is called {name}"))
    }

    /// An ignored test for each JDK that should be there and is not.
    #[must_use]
    pub fn missing(&self) -> Vec<Trial> {
        missing(&self.jdks)
    }
}

/// Runs a suite: the list that `cases` makes, named and filtered as `cargo test` does it.
pub fn main(cases: impl FnOnce(&TestEnv) -> Vec<Trial>) -> ExitCode {
    main_with(|env| Ok(cases(env)))
}

/// The same for a suite that prepares more. What cannot be prepared is no trial: a filter would
/// pass it over.
pub fn main_with(cases: impl FnOnce(&TestEnv) -> Result<Vec<Trial>>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Every case waits now and then, for a clock or a finalizer.
    let processors = thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(2 * processors);
    let trials = || -> Result<Vec<Trial>> {
        let env = TestEnv::ready()?;
        let trials = cases(&env)?;
        let complete = jdks::missing(&env.jdks).is_empty();
        match ensure_all_run(&trials) {
            // It would have been the turn of one that is missing.
            Err(why) if !complete => eprintln!("SKIPPED: {why}"),
            result => result?,
        }
        Ok(trials)
    };
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(why) => {
            eprintln!("this suite cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Ensures that of the tests that JDKs share out, each is run on one of them.
fn ensure_all_run(trials: &[Trial]) -> Result<()> {
    let is_jdk = |part: &&str| part.strip_prefix("jdk").is_some_and(|it| it.parse::<u32>().is_ok());
    let mut runs = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.name().split("::").any(|it| is_jdk(&it))) {
        let parts = trial.name().split("::").filter(|part| !is_jdk(part));
        let (run, shared) = runs.entry(parts.collect::<Vec<_>>()).or_insert((false, false));
        *run |= !trial.has_ignored_flag();
        *shared |= trial.kind() == NOT_ITS_TURN;
    }
    let never = runs.into_iter().filter(|(_, (run, shared))| *shared && !run);
    let never: Vec<String> = never.map(|(name, _)| name.join("::")).collect();
    ensure!(never.is_empty(), "no JDK runs {never:?}: change the order in their table");
    Ok(())
}

/// Something that not every machine has, and that a case cannot do without.
#[derive(Clone, Debug)]
pub enum Need {
    /// The tests run as root.
    Root,
    /// The tests do not run as root.
    NotRoot,
    /// A program of this name in `PATH`.
    Tool(&'static str),
    /// One of these releases of the JDK.
    Jdk(RangeInclusive<u32>),
    /// What it is, and why this machine does not have it, if it does not.
    Other(&'static str, Result<()>),
}

impl Need {
    /// A JDK of this release or a later one.
    #[must_use]
    pub const fn since(major: u32) -> Self {
        Self::Jdk(major..=u32::MAX)
    }

    /// Why this need is not met, in the words that stand before the name of an ignored test.
    #[must_use]
    pub fn unmet(&self, jdk: Option<&Jdk>) -> Option<String> {
        let (met, what) = match self {
            Self::Root => (is_root(), "root".to_owned()),
            Self::NotRoot => (!is_root(), "a user that is not root".into()),
            Self::Tool(name) => (in_path(name), (*name).to_owned()),
            Self::Jdk(releases) => {
                let met = jdk.is_some_and(|jdk| releases.contains(&jdk.major));
                let what = match (*releases.start(), *releases.end()) {
                    (from, u32::MAX) => format!("JDK {from} or later"),
                    (from, to) => format!("JDK {from} to {to}"),
                };
                (met, what)
            }
            Self::Other(what, Ok(())) => (true, (*what).to_owned()),
            Self::Other(what, Err(why)) => (false, format!("{what}: {why}")),
        };
        (!met).then(|| format!("needs {what}"))
    }
}

/// Whether the tests run as root.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whether a program of this name can be started.
fn in_path(name: &str) -> bool {
    let executable = |path: PathBuf| {
        fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| executable(folder.join(name)))
}

/// A test that does not run, with the reason before its name. If it is run all the same, it fails.
pub fn ignored(name: impl Into<String>, why: &str) -> Trial {
    let words = why.to_owned();
    // The kind is on the line of the test's name.
    let kind = why.split_whitespace().collect::<Vec<_>>().join(" ");
    Trial::test(name, move || Err(Failed::from(words))).with_kind(kind).with_ignored_flag(true)
}

/// An ignored test for each expected JDK that is not among `jdks`.
#[must_use]
pub fn missing(jdks: &[Jdk]) -> Vec<Trial> {
    let name = |major| format!("jdk{major}::missing");
    let majors = jdks::missing(jdks).into_iter();
    let majors = majors.inspect(|major| {
        eprintln!("SKIPPED: no JDK {major} was found; nothing of it is tested");
    });
    majors.map(|major| ignored(name(major), &format!("needs JDK {major}"))).collect()
}

/// The longest case takes minutes on a busy machine; what takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// `number` times the factor in `ZAUDIT_ROUNDS` (default 1): how often a case repeats what can go
/// wrong by chance, or how much of a shared list it does.
pub fn rounds(number: u32) -> Result<u32> {
    match std::env::var("ZAUDIT_ROUNDS") {
        Ok(factor) => factor
            .parse()
            .ok()
            .and_then(|factor: NonZeroU32| number.checked_mul(factor.get()))
            .ok_or_else(|| format!("ZAUDIT_ROUNDS={factor}: no number from 1, or too large")),
        Err(_) => Ok(number),
    }
}

/// Whether the case at `place`, one of `of` that share a list of work, does the item at `index`.
/// Each item is done by one of them, with `ZAUDIT_ROUNDS=n` by n.
pub fn has_turn(index: usize, place: usize, of: usize) -> Result<bool> {
    Ok(is_among(rounds(1)?, index, place, of))
}

fn is_among(turns: u32, index: usize, place: usize, of: usize) -> bool {
    (0..turns as usize).any(|turn| (index + turn) % of.max(1) == place)
}

/// A test and its name.
pub fn case(
    env: &TestEnv,
    name: impl Into<String>,
    test: impl FnOnce(&TestEnv) -> Result<()> + Send + 'static,
) -> Trial {
    let (env, name) = (env.clone(), name.into());
    Trial::test(name.clone(), move || {
        let (_until, ended) = channel::<()>();
        thread::spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs: not done after {LIMIT:?}, and the suite ends here");
                std::process::exit(101);
            }
        });
        test(&env).map_err(Failed::from)
    })
}

/// A test that needs something of the machine or of its JDK: an ignored one where that is not
/// there.
pub fn case_needing(
    env: &TestEnv,
    name: impl Into<String>,
    needs: &[Need],
    jdk: &Jdk,
    test: impl FnOnce(&TestEnv, &Jdk) -> Result<()> + Send + 'static,
) -> Trial {
    match needs.iter().find_map(|need| need.unmet(Some(jdk))) {
        Some(why) => ignored(name, &why),
        None => {
            let jdk = jdk.clone();
            case(env, name, move |env| test(env, &jdk))
        }
    }
}

/// `jdkN::NAME` for each JDK and each of these tests.
pub fn per_jdk<N, T>(env: &TestEnv, tests: impl IntoIterator<Item = (N, T)>) -> Vec<Trial>
where
    N: Into<String>,
    T: Fn(&TestEnv, &Jdk) -> Result<()> + Clone + Send + 'static,
{
    let none: &[Need] = &[];
    per_jdk_needing(env, tests.into_iter().map(|(name, test)| (name, none, test)))
}

/// `jdkN::NAME` on one JDK.
pub fn on_jdk(
    env: &TestEnv,
    jdk: &Jdk,
    name: &str,
    needs: &[Need],
    test: impl FnOnce(&TestEnv, &Jdk) -> Result<()> + Send + 'static,
) -> Trial {
    case_needing(env, format!("jdk{}::{name}", jdk.major), needs, jdk, test)
}

/// `jdkN::NAME` for each JDK and each of these tests, which need something of the machine or of the
/// JDK.
pub fn per_jdk_needing<N, S, T>(
    env: &TestEnv,
    tests: impl IntoIterator<Item = (N, S, T)>,
) -> Vec<Trial>
where
    N: Into<String>,
    S: AsRef<[Need]>,
    T: Fn(&TestEnv, &Jdk) -> Result<()> + Clone + Send + 'static,
{
    let tests: Vec<(String, S, T)> =
        tests.into_iter().map(|(name, needs, test)| (name.into(), needs, test)).collect();
    let mut trials = Vec::new();
    for jdk in &env.jdks {
        for (name, needs, test) in &tests {
            trials.push(on_jdk(env, jdk, name, needs.as_ref(), test.clone()));
        }
    }
    trials
}

/// The kind of a trial that runs only with more rounds.
const NOT_ITS_TURN: &str = "needs ZAUDIT_ROUNDS=4";

/// A cell of a table in which neighbouring cells try almost the same. Every fourth diagonal runs;
/// with `ZAUDIT_ROUNDS=n` n of four.
pub fn in_table(row: usize, column: usize, trial: Trial) -> Result<Trial> {
    one_of(row + column, 0, 4, trial)
}

/// The trial at `place`, one of `of` that share a list of work, with the item at `index`: see
/// `has_turn`.
pub fn one_of(index: usize, place: usize, of: usize, trial: Trial) -> Result<Trial> {
    let runs = trial.has_ignored_flag() || has_turn(index, place, of)?;
    let ignored = |trial: Trial| trial.with_kind(NOT_ITS_TURN).with_ignored_flag(true);
    Ok(if runs { trial } else { ignored(trial) })
}

/// The table of these tests, which are the same ones on each JDK. Its rows are releases, so that a
/// test runs, or does not, whichever JDKs are there.
pub fn table(env: &TestEnv, trials: Vec<Trial>) -> Result<Vec<Trial>> {
    let length = trials.len() / env.jdks.len().max(1);
    let places = env.jdks.iter().flat_map(|jdk| (0..length).map(|column| (jdk.place(), column)));
    places.zip(trials).map(|((row, column), trial)| in_table(row, column, trial)).collect()
}

/// Fails the test, with a message, unless a condition holds. The message is a format string, or a
/// string.
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $format:literal $($arguments:tt)*) => {
        if !$holds {
            return Err(format!($format $($arguments)*));
        }
    };
    ($holds:expr, $message:expr $(,)?) => {
        if !$holds {
            return Err($message);
        }
    };
}

/// Ensures that the sites that `fixture` has in `report` come to what was `expected`.
pub fn ensure_counts(fixture: &Fixture, expected: &Expectation, report: &Report) -> Result<()> {
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let sum = report.sum(kind, |site| site.is_of(&fixture.name));
        wrong.extend(expected.differences(kind, &sum));
    }
    let sites: Vec<String> = report.sites.iter().map(crate::report::Site::describe).collect();
    ensure!(wrong.is_empty(), "{}\nsites:\n{}", wrong.join("\n"), sites.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_by_as_many_cases_as_there_are_rounds() {
        for of in 1..=8 {
            for (turns, index) in
                (1..=10).flat_map(|turns| (0..40).map(move |index| (turns, index)))
            {
                let done = (0..of).filter(|place| is_among(turns, index, *place, of)).count();
                assert_eq!(done, of.min(turns as usize), "{turns} {index} {of}");
            }
        }
    }

    #[test]
    fn a_quarter_of_a_table_runs() {
        let cell = |row, column| {
            let trial = Trial::test(format!("{row}:{column}"), || Ok(()));
            in_table(row, column, trial).unwrap()
        };
        let runs = |row| (0..8).filter(|column| !cell(row, *column).has_ignored_flag()).collect();
        let run: Vec<Vec<usize>> = (0..5).map(runs).collect();
        assert_eq!(run, [[0, 4], [3, 7], [2, 6], [1, 5], [0, 4]]);
        let ignored = in_table(0, 1, ignored("other", "needs root")).unwrap();
        assert_eq!(ignored.kind(), "needs root");
    }

    #[test]
    fn a_test_whose_turn_never_comes_is_an_error() {
        let trial = |name: &str, runs: bool| {
            let trial = Trial::test(name, || Ok(()));
            if runs { trial } else { trial.with_kind(NOT_ITS_TURN).with_ignored_flag(true) }
        };
        let trials = |second| {
            [
                trial("jdk8::one", true),
                trial("jdk17::one", false),
                trial("two::jdk8", false),
                trial("two::jdk17", second),
                trial("serial::three", false),
                ignored("jdk8::four", "needs root"),
            ]
        };
        assert_eq!(ensure_all_run(&trials(true)), Ok(()));
        let why = ensure_all_run(&trials(false)).unwrap_err();
        assert!(why.contains("[\"two\"]"), "{why}");
    }

    #[test]
    fn needs_name_what_is_not_there() {
        let jdk = Jdk { major: 17, home: PathBuf::new() };
        assert_eq!(Need::since(9).unmet(Some(&jdk)), None);
        assert_eq!(Need::since(21).unmet(Some(&jdk)).as_deref(), Some("needs JDK 21 or later"));
        assert_eq!(Need::Jdk(8..=11).unmet(Some(&jdk)).as_deref(), Some("needs JDK 8 to 11"));
        assert_eq!(Need::Tool("sh").unmet(None), None);
        assert_eq!(Need::Tool("no such tool").unmet(None).as_deref(), Some("needs no such tool"));
        // One of the two is met, whichever user runs the tests.
        let (root, other) = (Need::Root.unmet(None), Need::NotRoot.unmet(None));
        assert_ne!(root.is_some(), other.is_some());
        let wanting = Need::Other("a browser", Err("there is none".into()));
        assert_eq!(wanting.unmet(None).as_deref(), Some("needs a browser: there is none"));
    }

    #[test]
    fn an_ignored_test_is_no_pass() {
        // Its own failure must not be read as one of ours.
        let aside = || Arguments { logfile: Some("/dev/null".into()), ..Arguments::default() };
        let arguments = Arguments { include_ignored: true, ..aside() };
        let trial = ignored("name", "needs\nroot");
        assert_eq!((trial.kind(), trial.has_ignored_flag()), ("needs root", true));
        assert!(libtest_mimic::run(&arguments, vec![trial]).has_failed());
        let conclusion = libtest_mimic::run(&aside(), vec![ignored("name", "needs root")]);
        assert_eq!((conclusion.num_passed, conclusion.num_ignored), (0, 1));
    }
}
