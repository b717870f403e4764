//! Audits that begin and end while the program runs, on real JVMs, by the `zaudit` command.
//!
//! Owns what all cases share: a program that obeys, and what the world sees of an audit from
//! outside. The modules below say what is tested. Invariant: each case ends with the program
//! unharmed, or says what harm was done.

mod adopted;
mod cycles;
mod exit_paths;
mod lifecycle;
mod other_agents;
mod stress;

use libtest_mimic::Trial;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::{Ended, Running};
use zaudit_tests::command::Zaudit;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Report;
use zaudit_tests::suite::{self, Need, TestEnv, per_jdk_needing};

type Test = fn(&Kit, &Jdk) -> Result<()>;

fn main() -> ExitCode {
    suite::main_with(|env| trials(&Kit { env: env.clone(), zaudit: Zaudit::ready(env)? }))
}

fn trials(kit: &Kit) -> Result<Vec<Trial>> {
    let mut trials: Vec<Trial> = kit.env.missing();
    let tests = [
        adopted::TESTS,
        lifecycle::TESTS,
        cycles::TESTS,
        exit_paths::TESTS,
        stress::TESTS,
        other_agents::TESTS,
    ];
    // On every fourth JDK, or on every one with more rounds.
    trials.extend(suite::table(&kit.env, kit.per_jdk(&tests.concat()))?);
    Ok(trials)
}

/// What each case works with.
#[derive(Clone)]
pub struct Kit {
    /// JDKs, fixtures, library.
    pub env: TestEnv,
    /// The command.
    pub zaudit: Zaudit,
}

impl Kit {
    fn per_jdk(&self, tests: &[(&str, u32, Test)]) -> Vec<Trial> {
        let tests = tests.iter().map(|(name, since, test)| {
            let (kit, test) = (self.clone(), *test);
            (*name, [Need::since(*since)], move |_: &TestEnv, jdk: &Jdk| test(&kit, jdk))
        });
        per_jdk_needing(&self.env, tests)
    }

    /// The program that obeys, with no agent yet.
    pub fn scripted(&self, jdk: &Jdk) -> Result<Jvm> {
        let jvm = Jvm::new(jdk, self.env.fixture("Scripted")?)?.flags(["-Xmx1g"]);
        // From 21 on the JVM warns of agents that come while it runs, unless it expects them.
        Ok(jvm.flags((jdk.major >= 21).then_some("-XX:+EnableDynamicAgentLoading")))
    }

    /// Starts it.
    pub fn start(&self, jvm: Jvm) -> Result<Program> {
        let mut running = jvm.spawn()?;
        running.wait_for("ready")?;
        Ok(Program { running, zaudit: self.zaudit.clone(), said: vec!["ready".into()] })
    }
}

/// A program that obeys, and what it must have printed by now.
pub struct Program {
    /// Its process.
    pub running: Running,
    zaudit: Zaudit,
    said: Vec<String>,
}

impl Program {
    /// Has it do what `line` says.
    pub fn obey(&mut self, line: &str) -> Result<()> {
        self.answer(line).map(drop)
    }

    /// Has it do what `line` says, and gives what it adds to `done LINE`.
    fn answer(&mut self, line: &str) -> Result<String> {
        self.running.say(line)?;
        let begins = format!("done {line}");
        let said = self.running.wait_for_line(&begins)?;
        let answer = said.strip_prefix(&begins).unwrap_or_default().to_owned();
        self.said.push(said);
        Ok(answer)
    }

    /// `zaudit SUBCOMMAND` with success: what it printed.
    pub fn zaudit(&self, subcommand: &str, words: &[&str]) -> Result<String> {
        self.zaudit.ask(subcommand, self.running.pid(), words)?.done()
    }

    /// `zaudit SUBCOMMAND` without success.
    pub fn refused(&self, subcommand: &str, words: &[&str], code: i32, why: &str) -> Result<()> {
        self.zaudit.ask(subcommand, self.running.pid(), words)?.refused(code, why)
    }

    /// The report of `dump` or `disarm`.
    pub fn report(&self, subcommand: &str, words: &[&str]) -> Result<Report> {
        self.zaudit.report(subcommand, self.running.pid(), words)
    }

    /// Ensures what `zaudit status` says of the state.
    pub fn ensure_state(&self, state: &str) -> Result<()> {
        let status = self.zaudit("status", &[])?;
        let right = status
            .lines()
            .any(|line| line.strip_prefix("state: ").is_some_and(|s| s.starts_with(state)));
        ensure!(right, "{state} expected:\n{status}");
        Ok(())
    }

    /// Ensures whether calls of hooks stand in the bytecode. Something must churn, or none would be
    /// seen.
    pub fn ensure_hooked(&mut self, hooked: bool) -> Result<()> {
        // One look is enough where they are there; that none is has to be looked for.
        let looks = if hooked { 50_000 } else { 2_000 };
        let answer = self.answer(&format!("hooked {looks}"))?;
        let wanted = if hooked { ": yes" } else { ": no" };
        ensure!(answer == wanted, "hooks are seen on stacks{answer}, and {wanted} is right");
        Ok(())
    }

    /// Waits until threads of ours are there, by name, or none is.
    pub fn wait_for_threads(&self, wanted: &[&str]) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let own = self.running.agent_threads()?;
            if own == wanted {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "threads {wanted:?} expected, {own:?} are there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets it end, and ensures that it printed what it should, and that nothing was written to
    /// its stderr.
    pub fn end(mut self) -> Result<Ended> {
        self.running.close();
        let said = std::mem::take(&mut self.said);
        let ended = self.running.finish()?;
        ensure_printed(&ended, said, "ended", 0)?;
        ensure!(ended.stderr().is_empty(), ended.to_string());
        Ok(ended)
    }
}

/// Ensures the program's exit code and all that it printed.
fn ensure_printed(ended: &Ended, mut said: Vec<String>, last: &str, code: i32) -> Result<()> {
    said.push(last.into());
    let printed = ended.printed();
    ensure!(ended.code() == code && printed.lines().eq(said.iter().map(String::as_str)), {
        format!("{code} and {said:#?} expected: {ended}")
    });
    Ok(())
}
