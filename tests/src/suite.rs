//! The bench that every suite works at: JDKs, fixtures and agent made ready once, and named cells run on it.
//!
//! Invariant: a suite that cannot be set up fails, and so does one that hangs; it never comes out green with nothing in it.

use crate::fixtures::{self, Fixture};
use crate::jdks::{self, Jdk};
use crate::{Result, agent, expectation::Expectation, report::Kind, report::Report};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// All that a suite works with.
#[derive(Clone)]
pub struct Bench {
    /// The JDKs, by release.
    pub jdks: Vec<Jdk>,
    /// The fixtures, by name.
    pub fixtures: Vec<Fixture>,
    /// The agent.
    pub library: PathBuf,
}

impl Bench {
    /// Finds, compiles and builds everything.
    pub fn ready() -> Result<Self> {
        let jdks = jdks::found()?;
        let fixtures = fixtures::compiled(&jdks)?;
        let library = agent::library()?;
        Ok(Self { jdks, fixtures, library })
    }

    /// The JDK of the extra cells.
    #[must_use]
    pub fn default_jdk(&self) -> &Jdk {
        jdks::default_jdk(&self.jdks).expect("a bench has a JDK")
    }

    /// The fixture of this name.
    pub fn fixture(&self, name: &str) -> Result<&Fixture> {
        let found = self.fixtures.iter().find(|fixture| fixture.name == name);
        found.ok_or_else(|| format!("no fixture is called {name}"))
    }

    /// An ignored test for each JDK that should be there and is not.
    #[must_use]
    pub fn missing(&self) -> Vec<Trial> {
        let trial = |major| Trial::test(format!("jdk{major}::missing"), || Ok(())).with_ignored_flag(true);
        jdks::missing(&self.jdks).into_iter().map(trial).collect()
    }
}

/// Runs a suite: what `cells` makes of the bench, named and filtered as `cargo test` has it.
pub fn main(cells: impl FnOnce(&Bench) -> Vec<Trial>) -> ExitCode {
    prepared(|bench| Ok(cells(bench)))
}

/// The same for one that needs more than a bench. What cannot be prepared is no trial: a filter would pass it over.
pub fn prepared(cells: impl FnOnce(&Bench) -> Result<Vec<Trial>>) -> ExitCode {
    let arguments = Arguments::from_args();
    match Bench::ready().and_then(|bench| cells(&bench)) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(why) => {
            eprintln!("this suite cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The longest cell takes minutes on a busy machine; what takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A named cell on a bench.
pub fn cell(
    bench: &Bench,
    name: impl Into<String>,
    test: impl FnOnce(&Bench) -> Result<()> + Send + 'static,
) -> Trial {
    let (bench, name) = (bench.clone(), name.into());
    Trial::test(name.clone(), move || {
        let (_until, ended) = channel::<()>();
        thread::spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs: not done after {LIMIT:?}, and the suite ends here");
                std::process::exit(101);
            }
        });
        test(&bench).map_err(Failed::from)
    })
}

/// Fails the test, with a message, unless a condition holds. The message is a format string, or a string.
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

/// Claims that the sites that `fixture` has in `report` come to what was `expected`.
pub fn claim_counts(fixture: &Fixture, expected: &Expectation, report: &Report) -> Result<()> {
    let mut wrong = Vec::new();
    for kind in [Kind::Inflater, Kind::Deflater] {
        let sum = report.sum(kind, |site| site.is_of(&fixture.name));
        wrong.extend(expected.differences(kind, &sum));
    }
    let sites: Vec<String> = report.sites.iter().map(crate::report::Site::describe).collect();
    ensure!(wrong.is_empty(), "{}\nsites:\n{}", wrong.join("\n"), sites.join("\n"));
    Ok(())
}
