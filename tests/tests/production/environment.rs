//! The agent in every JVM that is started from here (`JAVA_TOOL_OPTIONS`), and options that come
//! from elsewhere.
//!
//! Invariant: a JVM with nothing to tell leaves no trace but the line that the JVM itself prints
//! about the variable.

use super::{ensure_messages, listed, newer, read, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Report, Trigger};
use zaudit_tests::suite::{TestEnv, ensure_counts};

const VARIABLE: &str = "JAVA_TOOL_OPTIONS";

fn flag(library: &Path, options: &str) -> String {
    format!("-agentpath:{}={options}", library.display())
}

/// The JVM's own line.
fn picked_up(flag: &str) -> String {
    format!("Picked up {VARIABLE}: {flag}\n")
}

/// Runs one of the JDK's programs in `dir`, with the agent if there is a flag for it.
fn tool(jdk: &Jdk, dir: &Path, words: &[&str], flag: Option<&str>) -> Result<Output> {
    let (name, args) = words.split_first().ok_or("no tool is named")?;
    let mut command = Command::new(jdk.tool(name));
    for name in [
        VARIABLE,
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "JDK_JAVAC_OPTIONS",
        "CLASSPATH",
        "ZAUDIT_OPTIONS",
    ] {
        command.env_remove(name);
    }
    command.envs(flag.map(|flag| (VARIABLE, flag))).env("LC_ALL", "C.UTF-8");
    let output = command.current_dir(dir).args(args).stdin(Stdio::null()).output();
    output.map_err(|error| format!("{name}: {error}"))
}

/// A compiler, also one that complains, and an archiver: their output is what it is bare, and so is
/// what they make.
pub(super) fn tools(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let flag = flag(&env.library, "file=%p.json,format=json");
    let (bare, audited) = (workshop(env, jdk)?, workshop(env, jdk)?);
    for words in [
        &["javac", "Good.java"][..],
        &["javac", "-Xlint:all", "Bad.java"],
        &["jar", "cf", "good.jar", "Good.class", "Good.java"],
        &["jar", "tf", "good.jar"],
        &["java", "-cp", "good.jar", "Good", "1", "2"],
        &["javap", "-cp", "good.jar", "Good"],
        &["javac", "-cp", "good.jar", "User.java"],
    ] {
        let plain = tool(jdk, bare.dir(), words, None)?;
        let with = tool(jdk, audited.dir(), words, Some(&flag))?;
        let both = || format!("{words:?}\n{plain:#?}\n{with:#?}");
        ensure!(with.status == plain.status && with.stdout == plain.stdout, both());
        let expected = picked_up(&flag) + &String::from_utf8_lossy(&plain.stderr);
        ensure!(String::from_utf8_lossy(&with.stderr) == expected, both());
    }
    ensure!(read(&audited.dir().join("Bad.java")).is_ok(), "the sources are gone");
    let bytes =
        |jvm: &Jvm| std::fs::read(jvm.dir().join("Good.class")).map_err(|error| error.to_string());
    ensure!(bytes(&bare)? == bytes(&audited)?, "the compiler made something else");
    let names = listed(audited.dir())?;
    ensure!(
        names == ["Bad.java", "Good.class", "Good.java", "User.class", "User.java", "good.jar"],
        "{names:?}"
    );
    Ok(())
}

/// A folder with something to compile.
fn workshop(env: &TestEnv, jdk: &Jdk) -> Result<Jvm> {
    let jvm = Jvm::new(jdk, env.fixture("Ended")?)?;
    let good = "public class Good { public static void main(String[] args) { System.out.println(args.length); System.exit(3); } }\n";
    write(&jvm.dir().join("Good.java"), good)?;
    let user = "class User { Good good; }\n";
    write(&jvm.dir().join("User.java"), user)?;
    let bad =
        "import java.util.*;\npublic class Bad { List list = new ArrayList(); int x = \"no\"; }\n";
    write(&jvm.dir().join("Bad.java"), bad)?;
    Ok(jvm)
}

/// What a program prints that starts three JVMs, one of them through a shell, and the JSON files
/// that come of it.
fn family(env: &TestEnv, jdk: &Jdk, flag: Option<&str>) -> Result<(Ended, Vec<PathBuf>)> {
    let java = jdk.tool("java").display().to_string();
    let leaking = env.fixture("NeverEnded")?;
    let child = |name: &str| format!("{java} -cp {} {name}", leaking.classes.display());
    let jvm = Jvm::new(jdk, env.fixture("Starting")?)?;
    let jvm = flag.into_iter().fold(jvm, |jvm, flag| jvm.env(VARIABLE, flag));
    write(&jvm.dir().join("child.sh"), &format!("{}\nexit $?\n", child("NeverEnded")))?;
    let mut running = jvm.spawn()?;
    for line in [child("NeverEnded"), "sh child.sh".into(), child("Ended")] {
        running.say(&line)?;
        running.wait_for("ended with 0")?;
    }
    running.close();
    let ended = running.finish()?;
    let files = listed(ended.dir())?.into_iter().filter(|name| name.ends_with(".json"));
    let files = files.map(|name| ended.dir().join(name)).collect();
    Ok((ended, files))
}

/// The children that leak leave a report under their own process id; their parent and the clean one
/// leave none.
pub(super) fn children(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let flag = flag(&env.library, "gc,file=%p.json,format=json");
    let (bare, none) = family(env, jdk, None)?;
    let (ended, files) = family(env, jdk, Some(&flag))?;
    ensure!(none.is_empty() && ended.code() == bare.code(), "{bare}\n{ended}");
    ensure!(ended.printed() == bare.printed(), "{bare}\n{ended}");
    ensure!(ended.stderr() == picked_up(&flag).repeat(4) + &bare.stderr(), ended.to_string());
    ensure!(files.len() == 2, "two reports expected: {files:?}\n{ended}");
    let fixture = env.fixture("NeverEnded")?;
    for file in &files {
        let report = Report::parse(&read(file)?)?;
        let named = file.file_stem().is_some_and(|name| *name == *report.process.pid.to_string());
        ensure!(named && report.process.command == "NeverEnded", "{file:?}: {:?}", report.process);
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)?;
    }
    Ok(())
}

/// With `quiet=false` a clean one speaks, too.
pub(super) fn aloud(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (options, summaries) in [("gc", 0), ("gc,quiet=false", 1), ("gc,quiet", 0)] {
        let flag = flag(&env.library, options);
        let ended = Jvm::new(jdk, env.fixture("Ended")?)?.env(VARIABLE, &flag).run()?;
        let rest = ended
            .stderr()
            .strip_prefix(&picked_up(&flag))
            .map(String::from)
            .ok_or("no word of the JVM's")?;
        let found =
            rest.lines().filter(|line| line.starts_with("SUMMARY: zaudit: no leaks")).count();
        ensure!(found == summaries && rest.is_empty() == (found == 0), "{options}: {ended}");
    }
    Ok(())
}

/// Snapshots of a JVM that has nothing to tell are left out, too; one that has something leaves its
/// last report.
pub(super) fn snapshots(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let flag = flag(&env.library, "interval=100ms,file=r-%p.json,format=json");
    let start = |what| -> Result<_> {
        let jvm =
            Jvm::new(jdk, env.fixture("Finishing")?)?.args(&["wait", what]).env(VARIABLE, &flag);
        let mut running = jvm.spawn()?;
        running.wait_for("ready")?;
        Ok(running)
    };
    // Both run at once: where the one has had time for three snapshots, the other has, too.
    let (mut clean, mut keeping) = (start("clean")?, start("keep")?);
    let name = format!("r-{}.json", keeping.pid());
    let mut taken = 0.0;
    for _ in 0..3 {
        taken = newer(&mut keeping, &name, taken)?.process.taken;
    }
    for (running, files) in [(&mut clean, &[][..]), (&mut keeping, std::slice::from_ref(&name))] {
        ensure!(listed(running.dir())? == files, {
            format!("{files:?} expected: {:?}", listed(running.dir()))
        });
        running.close();
    }
    let (clean, keeping) = (clean.finish()?, keeping.finish()?);
    for (ended, files) in [(&clean, &[][..]), (&keeping, std::slice::from_ref(&name))] {
        ensure!(ended.code() == 0 && ended.stderr() == picked_up(&flag), ended.to_string());
        ensure!(listed(ended.dir())? == files, "{:?}", listed(ended.dir()));
    }
    let last = keeping.report_in(&name)?;
    ensure!(last.process.trigger == Trigger::Exit, "{:?}", last.process);
    Ok(())
}

/// By hand: nothing at all of a clean program, everything of one that leaks or keeps.
pub(super) fn quiet(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (name, reported) in
        [("Ended", false), ("NeverEnded", true), ("LiveAtExit", true), ("ZipFileClosed", false)]
    {
        let fixture = env.fixture(name)?;
        let bare = Jvm::new(jdk, fixture)?.run()?;
        let jvm = || Jvm::new(jdk, fixture);
        let ended = jvm()?.agent(&env.library, "gc,quiet").run()?;
        ensure!(ended.printed() == bare.printed() && ended.code() == bare.code(), {
            format!("{bare}\n{ended}")
        });
        let silent = ended.stderr() == bare.stderr();
        ensure!(silent != reported, "reported: {reported}\n{ended}");
        let ended = jvm()?.audited(&env.library, "gc,quiet").run()?;
        ensure!(ended.stderr() == bare.stderr(), "its report is in a file: {ended}");
        ensure!(ended.dir().join("r.json").exists() == reported, "reported: {reported}\n{ended}");
    }
    Ok(())
}

/// A snapshot had something to tell, and in the end there is nothing: the last report says so in
/// its place.
pub(super) fn quiet_at_last(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Finishing")?)?.args(&["wait", "tidy"]);
    let mut running = jvm.audited(&env.library, "quiet,interval=100ms").spawn()?;
    running.wait_for("ready")?;
    let live = |running: &mut _, after| -> Result<(u64, f64)> {
        let report = newer(running, "r.json", after)?;
        let sites = report.sites.iter().filter(|site| site.is_of("Finishing"));
        Ok((sites.map(|site| site.counts.live).sum(), report.process.taken))
    };
    let mut seen = (0, 0.0);
    while seen.0 < 3 {
        seen = live(&mut running, seen.1)?;
    }
    running.close();
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), ended.to_string());
    let last = ended.report()?;
    let live: u64 =
        last.sites.iter().filter(|site| site.is_of("Finishing")).map(|site| site.counts.live).sum();
    ensure!(live == 0, {
        format!("{live} are live in a report of {:?}, and all were ended", last.process.trigger)
    });
    Ok(())
}

/// Options from the environment, from files, from files that the environment names; the flag's own
/// come last and win.
pub(super) fn options_from_anywhere(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    const FILE: &str = "# for the test\nfile=r.json, format=json\n\n  gc\n";
    for (variable, given) in [
        ("file=r.json,format=json,gc", ""),
        ("", "@some.options"),
        ("@some.options", ""),
        ("file=other.txt,gc,format=text", "@some.options"),
        ("@some.options,file=other.txt", "file=r.json"),
        ("gc=false,signal=none", "@some.options"),
    ] {
        let fixture = env.fixture("NeverEnded")?;
        let jvm = Jvm::new(jdk, fixture)?.env("ZAUDIT_OPTIONS", variable);
        write(&jvm.dir().join("some.options"), FILE)?;
        let ended = jvm.agent(&env.library, given).run()?;
        ensure_messages(&ended, &[])?;
        ensure!(listed(ended.dir())? == ["r.json", "some.options"], {
            format!("{variable:?} {given:?} {ended}")
        });
        // With `gc` nothing is live.
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)?;
    }
    Ok(())
}
