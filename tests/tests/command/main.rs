//! The `zaudit` command on real JVMs: a whole life from attach to disarm, programs that it starts,
//! tables that it prints.
//!
//! What one audit leaves to the next, and a command to the next, is [`consecutive_audits`]'s,
//! `zaudit run` [`launching`]'s, `zaudit top` [`watching`]'s, reports in files [`saved`]'s, and
//! what must be refused, and in which words, [`refusals`]'. Invariant: nothing that the command
//! does shows in the program's own output, and none of its files stays.

mod consecutive_audits;
mod launching;
mod refusals;
mod saved;
mod watching;

use libtest_mimic::Trial;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use zaudit_tests::child::Running;
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Report;
use zaudit_tests::suite::{self, Need, TestEnv, case_needing, per_jdk, per_jdk_needing};
use zaudit_tests::{Result, agent};

type Test = fn(&Kit, &Jdk) -> Result<()>;

/// On every JDK.
const EVERYWHERE: [(&str, Test); 9] = [
    ("whole_life", whole_life),
    ("recompiling", recompiling),
    ("not_armed_yet", not_armed_yet),
    ("just_starting", just_starting),
    ("jvm_not_loaded_yet", jvm_not_loaded_yet),
    ("just_starting_with_agent", just_starting_with_agent),
    ("started_with_reduced_signals", started_with_reduced_signals),
    ("attach_is_off", refusals::attach_is_off),
    ("run_is_the_program", launching::run_is_the_program),
];

/// On every JDK, if there is what they need. `-XX:-EnableDynamicAgentLoading` came with JDK 9.
const EVERYWHERE_NEEDING: [(&str, [Need; 1], Test); 2] = [
    ("another_users_jvm", [Need::Root], another_users_jvm),
    ("agents_are_off", [Need::since(9)], refusals::agents_are_off),
];

/// On one.
const ONCE: [(&str, Test); 20] = [
    ("run_through_the_environment", launching::run_through_the_environment),
    ("run_refuses", launching::run_refuses),
    ("top_goes_on", watching::top_goes_on),
    ("top_ends_with_the_jvm", watching::top_ends_with_the_jvm),
    ("page_and_completions", page_and_completions),
    ("rendered_as_the_agent_does", saved::rendered_as_the_agent_does),
    ("compared", saved::compared),
    ("summed_up", saved::summed_up),
    ("no_reports", saved::no_reports),
    ("no_such_process", refusals::no_such_process),
    ("no_jvm", refusals::no_jvm),
    ("stopped", refusals::stopped),
    ("hanging", refusals::hanging),
    ("long_options", refusals::long_options),
    ("no_library", refusals::no_library),
    ("not_audited", refusals::not_audited),
    ("second_audit_hears_of_frees", consecutive_audits::second_audit_hears_of_frees),
    ("time_is_up_at_the_end", consecutive_audits::time_is_up_at_the_end),
    ("pipes_instead_of_files", consecutive_audits::pipes_instead_of_files),
    ("each_answer_has_its_own_place", consecutive_audits::each_answer_has_its_own_place),
];

/// On one, if there is what they need: `script` lends a terminal, only root can be somebody else.
const ONCE_NEEDING: [(&str, [Need; 1], Test); 6] = [
    ("top_on_a_terminal", [Need::Tool("script")], watching::top_on_a_terminal),
    ("rendered_on_a_terminal", [Need::Tool("script")], saved::rendered_on_a_terminal),
    ("other_namespaces", [Need::Root], other_namespaces),
    ("somebody_else", [Need::Root], refusals::somebody_else),
    ("private_library", [Need::Root], refusals::private_library),
    ("planted_in_tmp", [Need::Root], refusals::planted_in_tmp),
];

fn main() -> ExitCode {
    let folder = std::env::temp_dir().join(format!("zaudit-command-{}", std::process::id()));
    let code = suite::main_with(|env| Ok(trials(env, &Kit::new(env, &folder)?)));
    drop(fs::remove_dir_all(folder));
    code
}

fn trials(env: &TestEnv, kit: &Kit) -> Vec<Trial> {
    let with_kit = |test: Test| {
        let kit = kit.clone();
        move |_: &TestEnv, jdk: &Jdk| test(&kit, jdk)
    };
    let once = |name: &str, needs: &[Need], test: Test| {
        case_needing(env, name, needs, env.default_jdk(), with_kit(test))
    };
    let mut trials = env.missing();
    trials.extend(per_jdk(env, EVERYWHERE.map(|(name, test)| (name, with_kit(test)))));
    let needing = EVERYWHERE_NEEDING.map(|(name, needs, test)| (name, needs, with_kit(test)));
    trials.extend(per_jdk_needing(env, needing));
    trials.extend(ONCE.map(|(name, test)| once(name, &[], test)));
    trials.extend(ONCE_NEEDING.map(|(name, needs, test)| once(name, &needs, test)));
    let runs =
        Need::Other("a kernel that runs 32-bit programs", refusals::runs_narrow_programs(kit));
    trials.push(once("narrow_program", &[runs], refusals::narrow_program));
    trials
}

/// The command and the library, where every user can read them.
#[derive(Clone)]
pub struct Kit {
    env: TestEnv,
    /// Their folder; files that other users must reach go there.
    pub folder: PathBuf,
    /// The command.
    pub zaudit: PathBuf,
    /// The library, beside it.
    pub library: PathBuf,
}

impl Kit {
    fn new(env: &TestEnv, folder: &Path) -> Result<Self> {
        let (zaudit, library) = (folder.join("zaudit"), folder.join("libzaudit.so"));
        for folder in [folder.to_path_buf(), folder.join("hidden")] {
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            open_to_all(&folder)?;
        }
        for (from, to) in [
            (&agent::command()?, &zaudit),
            (&env.library, &library),
            (&env.library, &folder.join("hidden/libzaudit.so")),
        ] {
            fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
            open_to_all(to)?;
        }
        Ok(Self { env: env.clone(), folder: folder.into(), zaudit, library })
    }

    /// The command, with nothing of our own surroundings.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.zaudit);
        for name in ["ZAUDIT_LIBRARY", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    fn zaudit<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Said> {
        Said::of(self.command().args(words))
    }

    /// Runs the command with a process id behind the subcommand.
    fn ask(&self, subcommand: &str, pid: u32, words: &[&str]) -> Result<Said> {
        self.zaudit([&[subcommand, &pid.to_string()], words].concat())
    }

    /// A program that makes garbage, says `ready`, and waits.
    fn garbage(&self, jdk: &Jdk) -> Result<Jvm> {
        Jvm::new(jdk, self.env.fixture("Garbage")?)
    }
}

fn open_to_all(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn ready(jvm: Jvm) -> Result<Running> {
    let mut running = jvm.spawn()?;
    running.wait_for("ready")?;
    Ok(running)
}

/// Lets the program end, and ensures that it printed what it prints without us, ended as it does,
/// and that no file of ours is where it ran or in `/tmp`.
fn ensure_unharmed(mut running: Running, own_pid: u32) -> Result<()> {
    // Not `.attach_pid12` for process 1, which is the first one of a namespace.
    let (trigger, replies) = (format!(".attach_pid{own_pid}"), format!(".zaudit-{own_pid}-"));
    let left = |folder: &Path| -> Vec<PathBuf> {
        let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        paths
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name == trigger.as_str() || name.starts_with(&replies)
            })
            .collect()
    };
    let left = [left(running.dir()), left(Path::new("/tmp"))].concat();
    ensure!(left.is_empty(), "these files stay: {left:?}");
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.printed() == "ready\ndone\n", ended.to_string());
    // JDK 21 and later warn of agents that come while the JVM runs; that is theirs.
    let stderr = ended.stderr();
    let odd = stderr
        .lines()
        .find(|line| !line.starts_with("WARNING: ") && !line.starts_with("Picked up "));
    ensure!(odd.is_none(), ended.to_string());
    Ok(())
}

/// The line of `zaudit ps` for this process.
fn listed(kit: &Kit, pid: u32) -> Result<String> {
    let text = kit.zaudit(["ps"])?.done()?;
    let pid = pid.to_string();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(pid.as_str()));
    line.map(str::to_owned).ok_or_else(|| format!("{pid} is not in\n{text}"))
}

/// Waits until `zaudit ps` shows this state. The name of a thread says it, which the thread takes
/// when it first runs.
fn ensure_listed(kit: &Kit, pid: u32, state: &str, command: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let line = listed(kit, pid)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.get(2) == Some(&state) && line.contains(command) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{state} expected: {line}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn whole_life(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    ensure_listed(kit, pid, "-", "Garbage")?;
    kit.ask("attach", pid, &["gc", "depth=64"])?.done()?;
    ensure_listed(kit, pid, "armed", "Garbage")?;
    kit.ask("attach", pid, &[])?.refused(1, "")?;
    let status = kit.ask("status", pid, &[])?.done()?;
    ensure!(status.contains("state: armed"), status.clone());
    let text = kit.ask("dump", pid, &[])?.done()?;
    ensure!(text.contains("SUMMARY: zaudit:"), text.clone());
    let file = running.dir().join("report.json");
    let words = ["--format", "json", "--gc", "--output", file.to_str().unwrap_or_default()];
    let printed = kit.ask("dump", pid, &words)?.done()?;
    ensure!(printed.is_empty(), printed.clone());
    let report = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    ensure!(Report::read(&report)?.process.pid == pid, report.clone());
    let page = running.dir().join("report.html");
    kit.ask("dump", pid, &["--output", page.to_str().unwrap_or_default()])?.done()?;
    let page = fs::read_to_string(&page).map_err(|error| error.to_string())?;
    ensure!(page.starts_with("<!DOCTYPE html>"), page.chars().take(80).collect());
    let metrics = kit.ask("dump", pid, &["--format", "prom"])?.done()?;
    ensure!(metrics.starts_with("# HELP "), metrics.clone());
    kit.ask("reset", pid, &[])?.done()?;
    let table = kit.ask("top", pid, &["--once"])?.done()?;
    ensure!(table.contains("CREATED") && !table.contains('\x1b'), table.clone());
    let last = kit.ask("disarm", pid, &["--format", "json"])?.done()?;
    Report::read(&last)?;
    let status = kit.ask("status", pid, &[])?.done()?;
    ensure!(status.contains("state: disarmed"), status.clone());
    ensure_listed(kit, pid, "loaded", "Garbage")?;
    kit.ask("dump", pid, &[])?.refused(1, "")?;
    // And once more: what was ended can begin again, at once or later.
    kit.ask("attach", pid, &["delay=1h"])?.done()?;
    ensure_listed(kit, pid, "waiting", "Garbage")?;
    let said = kit.ask("disarm", pid, &[])?.done()?;
    ensure!(said == "the pending audit was cancelled\n", said.clone());
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

/// Where the first retransformation discards compiled code, the first attach says so, and no other
/// one.
fn recompiling(kit: &Kit, jdk: &Jdk) -> Result<()> {
    for (options, noted) in [(None, true), (Some("arm=false"), true), (Some("arm=ready"), false)] {
        let jvm = kit.garbage(jdk)?;
        let running = ready(match options {
            Some(options) => jvm.agent(&kit.library, options),
            None => jvm,
        })?;
        let pid = running.pid();
        for noted in [noted && jdk.major <= 22, false] {
            let said = kit.ask("attach", pid, &[])?;
            let right = said.code == Some(0) && said.stdout.starts_with("armed");
            let right = right && if noted { said.recompiles() } else { said.stderr.is_empty() };
            ensure!(right, "{options:?}, a note {noted}: {said:?}");
            kit.ask("disarm", pid, &[])?.done()?;
        }
        ensure_unharmed(running, pid)?;
    }
    Ok(())
}

/// Commands to a JVM that was started with `arm=false` and was not armed since.
fn not_armed_yet(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?.agent(&kit.library, "arm=false,depth=3"))?;
    let pid = running.pid();
    let status = kit.ask("status", pid, &[])?.done()?;
    ensure!(status.contains("state: disarmed"), status.clone());
    kit.ask("dump", pid, &[])?.refused(1, "arm one first")?;
    kit.ask("reset", pid, &[])?.refused(1, "arm one first")?;
    kit.ask("disarm", pid, &[])?.refused(1, "no audit is under way")?;
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

/// A JVM takes signals, commands and agents one after the other while it starts; SIGQUIT before its
/// time ends it.
fn just_starting(kit: &Kit, jdk: &Jdk) -> Result<()> {
    // The socket of a process with the same id that was killed says nothing of this one.
    let dead = "python3 -c 'import os, socket; \
                socket.socket(socket.AF_UNIX).bind(\"/tmp/.java_pid%d\" % os.getppid())'";
    for round in 0..4 {
        let jvm = kit.garbage(jdk)?;
        let mut running = if round % 2 == 0 { jvm } else { jvm.after(dead) }.spawn()?;
        let pid = running.pid();
        let maps = format!("/proc/{pid}/maps");
        while !fs::read_to_string(&maps).map_err(|error| error.to_string())?.contains("libjvm.so") {
            std::thread::yield_now();
        }
        if let Err(why) = kit.ask("attach", pid, &[])?.done() {
            let what_became_of_it =
                running.finish().map_or_else(|error| error, |ended| ended.to_string());
            return Err(format!("{why}\n{what_became_of_it}"));
        }
        running.wait_for("ready")?;
        kit.ask("disarm", pid, &[])?.done()?;
        ensure_unharmed(running, pid)?;
    }
    Ok(())
}

/// The program `java` is there before it has loaded the JVM.
fn jvm_not_loaded_yet(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let launcher = kit.folder.join(format!("launcher-{}/java", jdk.major));
    let written = fs::create_dir_all(launcher.parent().unwrap_or(&launcher))
        .and_then(|()| fs::write(&launcher, "#!/bin/sh\nsleep 0.2\nexec \"$@\"\n"));
    written.map_err(|error| format!("{}: {error}", launcher.display()))?;
    open_to_all(&launcher)?;
    let mut running = kit.garbage(jdk)?.under([&launcher]).spawn()?;
    let pid = running.pid();
    let comm = format!("/proc/{pid}/comm");
    while fs::read_to_string(&comm).map_err(|error| error.to_string())? != "java\n" {
        std::thread::yield_now();
    }
    kit.ask("attach", pid, &[])?.done()?;
    running.wait_for("ready")?;
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

/// Commands to an agent that a JVM was started with wait until it knows modules. Without the JVM's
/// performance data, the command does not know how far the JVM is.
fn just_starting_with_agent(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let slow = ["-XX:-UsePerfData", "-Xshare:off", "-Xint"];
    for _ in 0..4 {
        let mut running =
            kit.garbage(jdk)?.flags(slow).agent(&kit.library, "quiet,file=/dev/null").spawn()?;
        let pid = running.pid();
        let maps = format!("/proc/{pid}/maps");
        while !fs::read_to_string(&maps).map_err(|error| error.to_string())?.contains("libzaudit") {
            std::thread::yield_now();
        }
        let state = kit.ask("status", pid, &[])?.done()?;
        ensure!(state.contains("state: "), state.clone());
        running.wait_for("ready")?;
        ensure_unharmed(running, pid)?;
    }
    Ok(())
}

/// The user with the number 65534.
pub const OTHER_USER: &str = "nobody";

/// A user (`nobody`) who may look through folders as the tests' own user does: the JDKs may be
/// where only that user gets.
pub const AS_OTHER_USER: [&str; 7] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    // Without it access(2), which JDK 8's launcher asks, forgets them.
    "--securebits=+no_setuid_fixup",
];

fn kill(name: &str, pid: u32) -> Result<()> {
    Said::of(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]))?.done().map(|_| ())
}

fn another_users_jvm(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?.under(AS_OTHER_USER))?;
    let pid = running.pid();
    kit.ask("attach", pid, &[])?.done()?;
    ensure!(listed(kit, pid)?.contains(OTHER_USER), "whose is it?");
    let text = kit.ask("dump", pid, &[])?.done()?;
    ensure!(text.contains("SUMMARY: zaudit:"), text.clone());
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}

/// With `-Xrs` SIGQUIT would end the JVM: it opens its socket when it starts. Only when that is
/// gone nothing can be done.
fn started_with_reduced_signals(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?.flags(["-Xrs"]))?;
    let pid = running.pid();
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &[])?.done()?;
    fs::remove_file(format!("/tmp/.java_pid{pid}")).map_err(|error| error.to_string())?;
    kit.ask("attach", pid, &[])?.refused(6, "-Xrs")?;
    ensure!(listed(kit, pid)?.contains("loaded"), "it has the agent");
    ensure_unharmed(running, pid)
}

fn page_and_completions(kit: &Kit, _: &Jdk) -> Result<()> {
    let mut texts = vec![kit.zaudit(["man"])?.done()?, kit.zaudit(["--help"])?.done()?];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        texts.push(kit.zaudit(["completions", shell])?.done()?);
    }
    for text in &texts {
        for name in [
            "run",
            "attach",
            "dump",
            "status",
            "reset",
            "disarm",
            "ps",
            "top",
            "completions",
            "man",
            "install",
        ] {
            ensure!(text.contains(name), "no {name} in\n{text}");
        }
    }
    let version = kit.zaudit(["--version"])?.done()?;
    ensure!(version.starts_with("zaudit "), version.clone());
    let help = kit.zaudit(["attach", "--help"])?.done()?;
    ensure!(help.contains("-XX:+EnableDynamicAgentLoading"), help);
    // The reader closes the pipe before the end.
    let piped = format!("{} man | head -n 1; exit ${{PIPESTATUS[0]}}", kit.zaudit.display());
    let said = Said::of(Command::new("bash").args(["-c", &piped]))?;
    ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    Ok(())
}

/// A JVM in process and mount namespaces of its own, where the library is not to be seen until it
/// is copied in.
fn other_namespaces(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let hidden = kit.folder.join("hidden");
    let inside = format!("mount -t tmpfs none {} && exec \"$@\"", hidden.display());
    let words = ["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c", &inside, "sh"];
    let running = ready(kit.garbage(jdk)?.under(words))?;
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = fs::read_to_string(&children).map_err(|error| format!("{children}: {error}"))?;
    let pid: u32 = children.trim().parse().map_err(|_| format!("children: {children:?}"))?;
    ensure_listed(kit, pid, "-", "Garbage")?;
    let library = hidden.join("libzaudit.so");
    let library = library.to_str().unwrap_or_default();
    let said = kit.ask("attach", pid, &["--library", library])?;
    ensure!(said.stderr.contains(&format!("cp {library} /proc/{pid}/root/tmp/")), "{said:?}");
    said.refused(7, "--library /tmp/libzaudit.so")?;
    // As it says, but for the place: `/tmp` is everybody's here.
    let seen = format!("/proc/{pid}/root{library}");
    fs::copy(library, &seen).map_err(|error| format!("{seen}: {error}"))?;
    kit.ask("attach", pid, &["--library", library])?.done()?;
    // What is loaded is found again under the name that the JVM has for it.
    let status = kit.ask("status", pid, &[])?.done()?;
    ensure!(status.contains("state: armed"), status.clone());
    let text = kit.ask("dump", pid, &[])?.done()?;
    ensure!(text.contains("SUMMARY: zaudit:"), text.clone());
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, 1)
}
