//! The Java side: `-javaagent`, the API, the jar as a command, and how it unpacks what is in it.
//!
//! Invariant: `-javaagent` counts what `-agentpath` counts, and prints no more.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::java_agent::JavaAgent;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, Need, TestEnv, ensure_counts, per_jdk_needing};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const ANY: &[Need] = &[];

const TESTS: [(&str, &[Need], Test); 16] = [
    ("counts_as_agentpath_does", ANY, counts),
    ("denied_native_access", &[Need::since(24)], denied_native_access),
    ("strict", ANY, strict),
    ("beside_agentpath", ANY, beside_agentpath),
    ("library_that_does_not_fit", ANY, broken_cache),
    ("api_by_javaagent", ANY, api_by_javaagent),
    ("api_by_agentpath", ANY, api_by_agentpath),
    ("api_by_tag", ANY, api_by_tag),
    ("api_under_check_jni", ANY, api_under_check_jni),
    ("api_attaches", ANY, api_attaches),
    ("api_without_agent", ANY, api_without_agent),
    ("jmx", ANY, jmx),
    // `jcmd PID JVMTI.agent_load` came with JDK 9.
    ("loaded_by_attach", &[Need::since(9)], loaded_by_attach),
    ("path", ANY, path),
    ("planted", ANY, planted),
    ("command", ANY, command),
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        JavaAgent::ready(env)?;
        let mut trials = env.missing();
        trials.extend(suite::table(env, per_jdk_needing(env, TESTS))?);
        Ok(trials)
    })
}

/// The jar, and what it has unpacked goes into the folder of the child.
fn with_jar(env: &TestEnv, jvm: Jvm, options: &str) -> Result<Jvm> {
    let jar = JavaAgent::ready(env)?.jar;
    let flag = format!("-javaagent:{}={options}", jar.display());
    Ok(in_own_cache(jvm).flags([flag]))
}

fn in_own_cache(jvm: Jvm) -> Jvm {
    let cache = jvm.dir().join("cache").display().to_string();
    jvm.env("XDG_CACHE_HOME", &cache)
}

/// A program, and the same with the jar and a report in `r.json`.
fn audited(env: &TestEnv, jvm: Jvm, options: &str) -> Result<Jvm> {
    let file = jvm.dir().join("r.json").display().to_string();
    with_jar(env, jvm, &format!("file={file},format=json,{options}"))
}

fn counts(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for name in ["NeverEnded", "Ended", "ManyThreads", "EntryStreamsForgotten"] {
        let fixture = env.fixture(name)?;
        let bare = Jvm::new(jdk, fixture)?.run()?;
        let ended = audited(env, Jvm::new(jdk, fixture)?, &fixture.options)?.run()?;
        ensure!(ended.code() == bare.code(), "{ended}");
        ensure!(ended.stdout == bare.stdout, "stdout differs: {bare}\n{ended}");
        ensure!(ended.stderr() == bare.stderr(), "stderr differs: {bare}\n{ended}");
        let report = ended.report()?;
        ensure!(report.process.from_start, "{name}: not from the start");
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)?;
    }
    Ok(())
}

fn denied_native_access(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Ended")?)?.flags(["--illegal-native-access=deny"]);
    let ended = audited(env, jvm, "gc")?.run()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), "{ended}");
    ended.report().map(drop)
}

fn strict(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = |options| with_jar(env, Jvm::new(jdk, env.fixture("Ended")?)?, options);
    let began = Instant::now();
    let ended = jvm("nonsense,strict")?.run()?;
    ensure!(ended.code() == 1, "the JVM has started: {ended}");
    // A JVM that waits for its own callbacks takes a minute (JDK-8355631).
    ensure!(began.elapsed() < Duration::from_secs(50), "the JVM took {:?} to end", began.elapsed());
    ensure!(ended.stderr().contains("nonsense"), "{ended}");
    ensure!(ended.stderr().contains("because the option strict is set"), "{ended}");
    let ended = jvm("nonsense,quiet")?.run()?;
    let messages = ended.messages();
    ensure!(ended.code() == 0 && messages.len() == 1, "one line is expected: {ended}");
    ensure!(messages[0].contains("nonsense"), "{ended}");
    let ended = jvm("arm=false")?.run()?;
    ensure!(ended.code() == 0 && ended.stderr().is_empty(), "{ended}");
    Ok(())
}

fn beside_agentpath(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("NeverEnded")?;
    let jvm = Jvm::new(jdk, fixture)?.audited(&env.library, "gc");
    let ended = with_jar(env, jvm, "file=second.txt")?.run()?;
    let messages = ended.messages();
    let right = messages.len() == 1 && messages[0].contains("already loaded");
    ensure!(ended.code() == 0 && right, "one line expected: {ended}");
    ensure!(!ended.dir().join("second.txt").exists(), "the second one wrote a report");
    ensure_counts(fixture, &fixture.expected(jdk.major, false), &ended.report()?)
}

/// The program runs where the library cannot be unpacked.
fn broken_cache(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jvm = Jvm::new(jdk, env.fixture("Ended")?)?;
    let bare = Jvm::new(jdk, env.fixture("Ended")?)?.run()?;
    let file = jvm.dir().join("cache");
    fs::write(&file, "no folder").map_err(|error| error.to_string())?;
    let ended = with_jar(env, jvm, "gc")?.run()?;
    ensure!(ended.code() == 0 && ended.printed() == bare.printed(), "{ended}");
    let messages = ended.messages();
    ensure!(messages.len() == 1, "one line is expected: {ended}");
    let right = messages[0].starts_with("zaudit: auditing is disabled: cannot unpack")
        && messages[0].contains("XDG_CACHE_HOME");
    ensure!(right && ended.foreign_stderr().is_empty(), "{ended}");
    Ok(())
}

/// The rule that the program expects.
const RULE: &str = "live:java.util.zip.Deflater.<init> < AsksZaudit.covered\n";

/// The program that calls the API, with the rules that it expects, and the options that name them.
fn asks(env: &TestEnv, jdk: &Jdk) -> Result<(Jvm, String)> {
    let JavaAgent { jar, classes } = JavaAgent::ready(env)?;
    let class_path = std::env::join_paths([classes, jar]).map_err(|error| error.to_string())?;
    let jvm = in_own_cache(Jvm::program(jdk, &class_path, "AsksZaudit")?);
    let rules = jvm.dir().join("rules.txt");
    fs::write(&rules, RULE).map_err(|error| error.to_string())?;
    Ok((jvm, format!("suppressions={}", rules.display())))
}

fn ensure_done(ended: &Ended) -> Result<()> {
    ensure!(ended.code() == 0 && ended.printed() == "done\n", "{ended}");
    ensure!(!ended.stderr().contains("WARNING"), "{ended}");
    Ok(())
}

fn api_by_javaagent(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    ensure_done(&audited(env, jvm, &rules)?.run()?)
}

fn api_by_agentpath(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    ensure_done(&jvm.audited(&env.library, &rules).run()?)
}

fn api_by_tag(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    ensure_done(&jvm.audited(&env.library, &format!("hooks=tag,{rules}")).run()?)
}

fn api_under_check_jni(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    let ended = audited(env, jvm.flags(["-Xcheck:jni"]), &rules)?.run()?;
    ensure_done(&ended)?;
    // Those of the JDK's own natives are about itself.
    let ours = |text: &&String| text.lines().nth(1).is_some_and(|at| at.contains("zaudit."));
    let complaints = ended.complaints();
    let ours: Vec<_> = complaints.iter().filter(ours).collect();
    ensure!(ours.is_empty(), "{ours:#?}");
    Ok(())
}

/// From outside, by the command in the jar. From JDK 21 on the JVM warns of every attach.
fn api_attaches(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    let allowed = (jdk.major >= 21).then_some("-XX:+EnableDynamicAgentLoading");
    let jvm = jvm.flags(allowed).env("ZAUDIT_OPTIONS", &rules);
    ensure_done(&jvm.args(&["attach"]).run()?)
}

fn api_without_agent(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, _) = asks(env, jdk)?;
    let ended = jvm.args(&["unarmed"]).run()?;
    ensure_done(&ended)?;
    ensure!(ended.stderr().is_empty(), "{ended}");
    Ok(())
}

/// A JVM that starts JMX has the MXBean from the start.
fn jmx(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, rules) = asks(env, jdk)?;
    let jvm = jvm.flags(["-Dcom.sun.management.jmxremote"]).args(&["jmx"]);
    ensure_done(&audited(env, jvm, &rules)?.run()?)
}

fn loaded_by_attach(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let jar = JavaAgent::ready(env)?.jar;
    let fixture = env.fixture("Garbage")?;
    let allowed = (jdk.major >= 21).then_some("-XX:+EnableDynamicAgentLoading");
    let mut running = in_own_cache(Jvm::new(jdk, fixture)?.flags(allowed)).spawn()?;
    running.wait_for("ready")?;
    let file = running.dir().join("r.json");
    let options = format!("\"file={},format=json\"", file.display());
    let mut jcmd = Command::new(jdk.tool("jcmd"));
    jcmd.arg(running.pid().to_string()).arg("JVMTI.agent_load").arg(&jar).arg(options);
    Said::of(&mut jcmd)?.done()?;
    running.wait_for_stderr("zaudit: armed")?;
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0 && ended.foreign_stderr().is_empty(), "{ended}");
    let report = ended.report()?;
    ensure!(!report.process.from_start, "from the start: {ended}");
    Ok(())
}

/// `java -jar zaudit-agent.jar WORDS`, which may unpack into `cache`.
fn jar(env: &TestEnv, jdk: &Jdk, cache: &Path, words: &[&str]) -> Result<Said> {
    let mut java = Command::new(jdk.tool("java"));
    java.env_remove("JAVA_TOOL_OPTIONS").env("XDG_CACHE_HOME", cache).arg("-jar");
    Said::of(java.arg(JavaAgent::ready(env)?.jar).args(words))
}

/// An empty folder.
fn cache(env: &TestEnv, jdk: &Jdk) -> Result<(Jvm, PathBuf)> {
    let jvm = Jvm::new(jdk, env.fixture("Ended")?)?;
    let cache = jvm.dir().join("cache");
    Ok((jvm, cache))
}

fn mode(path: &Path) -> Result<u32> {
    let meta =
        fs::symlink_metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(meta.permissions().mode() & 0o7777)
}

fn path(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (_jvm, cache) = cache(env, jdk)?;
    let library = PathBuf::from(jar(env, jdk, &cache, &["path"])?.done()?.trim());
    ensure!(library.starts_with(cache.join("zaudit/natives")), "{}", library.display());
    ensure!(mode(&library)? == 0o600, "{:o}", mode(&library)?);
    for folder in library.ancestors().skip(1).take(3) {
        ensure!(mode(folder)? == 0o700, "{}: {:o}", folder.display(), mode(folder)?);
    }
    let same = |from: &Path| fs::read(from).ok() == fs::read(&library).ok();
    ensure!(same(&env.library), "it is not the library under test");
    let before = fs::metadata(&library).and_then(|meta| meta.modified()).ok();
    jar(env, jdk, &cache, &["path"])?.done()?;
    let after = fs::metadata(&library).and_then(|meta| meta.modified()).ok();
    ensure!(before == after, "it was unpacked again");
    let left = fs::read_dir(library.parent().unwrap_or(&cache)).map_or(0, Iterator::count);
    ensure!(left == 1, "{left} files are there");
    Ok(())
}

/// What others may have put there is not loaded.
fn planted(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (jvm, cache) = cache(env, jdk)?;
    let text = |error: std::io::Error| error.to_string();
    let path = |cache: &Path| jar(env, jdk, cache, &["path"]);
    let library = PathBuf::from(path(&cache)?.done()?.trim());
    let right = fs::read(&library).map_err(text)?;
    // Another content, a file that others may write to, a link to the right content.
    fs::write(&library, "planted").map_err(text)?;
    path(&cache)?.done()?;
    ensure!(fs::read(&library).map_err(text)? == right, "another content was used");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o666)).map_err(text)?;
    path(&cache)?.done()?;
    ensure!(mode(&library)? == 0o600, "a file that others may write to was used");
    let elsewhere = jvm.dir().join("elsewhere.so");
    fs::rename(&library, &elsewhere).map_err(text)?;
    symlink(&elsewhere, &library).map_err(text)?;
    path(&cache)?.done()?;
    ensure!(fs::symlink_metadata(&library).map_err(text)?.is_file(), "a link was followed");
    // A folder that others may write to, and a link to a good one.
    let folder = library.parent().unwrap_or(&cache).to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).map_err(text)?;
    path(&cache)?.refused(1, "is not a folder that only this user can write to")?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(text)?;
    let moved = jvm.dir().join("moved");
    fs::rename(&folder, &moved).map_err(text)?;
    symlink(&moved, &folder).map_err(text)?;
    path(&cache)?.refused(1, "is not a folder that only this user can write to")
}

fn command(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (_jvm, cache) = cache(env, jdk)?;
    let version = jar(env, jdk, &cache, &["--version"])?.done()?;
    ensure!(version.starts_with("zaudit "), "{version}");
    jar(env, jdk, &cache, &["status", "2147483647"])?.refused(3, "")?;
    let mut running = Jvm::new(jdk, env.fixture("Garbage")?)?.spawn()?;
    running.wait_for("ready")?;
    let pid = running.pid().to_string();
    jar(env, jdk, &cache, &["attach", &pid])?.done()?;
    let report = jar(env, jdk, &cache, &["dump", &pid])?.done()?;
    ensure!(report.contains("SUMMARY: zaudit:"), "{report}");
    running.say("")?;
    let ended = running.finish()?;
    ensure!(ended.code() == 0, "{ended}");
    Ok(())
}
