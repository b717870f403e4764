//! What the `zaudit` command must refuse: each obstacle is a real one, each refusal one line with
//! its own exit code.
//!
//! Invariant: a program that was refused to us never notices.

use super::{
    AS_OTHER_USER, Kit, OTHER_USER, Said, ensure_unharmed, kill, listed, open_to_all, ready,
};
use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;

/// A child that goes with its value.
struct Brief(Child);

impl Brief {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child.map(Brief).map_err(|error| format!("{command:?}: {error}"))
    }
}

impl Brief {
    /// A child bears our name for a moment.
    fn wait_for_name(&self, name: &str) {
        let comm = format!("/proc/{}/comm", self.0.id());
        while !fs::read_to_string(&comm).is_ok_and(|comm| comm.trim_end() == name) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Brief {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn no_such_process(kit: &Kit, _: &Jdk) -> Result<()> {
    // Above the largest that Linux gives.
    for subcommand in ["attach", "dump", "status", "reset", "disarm", "top"] {
        kit.ask(subcommand, 4_194_305, &[])?
            .refused(3, "there is no process 4194305; zaudit ps")?;
    }
    let mut ended = Brief::start(Command::new("true").stdout(Stdio::piped()))?;
    // A child that has ended and that its parent has not waited for.
    let stat = format!("/proc/{}/stat", ended.0.id());
    while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
        std::thread::yield_now();
    }
    kit.ask("attach", ended.0.id(), &[])?.refused(3, "has ended")?;
    ended.0.wait().map_err(|error| error.to_string())?;
    kit.ask("attach", ended.0.id(), &[])?.refused(3, "there is no process")
}

pub fn no_jvm(kit: &Kit, _: &Jdk) -> Result<()> {
    let sleep = Brief::start(Command::new("sleep").arg("60"))?;
    sleep.wait_for_name("sleep");
    for subcommand in ["attach", "status"] {
        kit.ask(subcommand, sleep.0.id(), &[])?.refused(4, "(sleep) is not a HotSpot JVM")?;
    }
    Ok(())
}

/// A 32-bit program of one page: `pause()` for ever.
fn narrow() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let code = [0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7];
    let size = u32::try_from(84 + code.len()).unwrap_or_default();
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for the 386: entry, program header behind this header, no sections.
    bytes.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [BASE + 84, 52, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    // All of the file, readable and executable.
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}

/// The same as a file, which is written once and before there are cases: who forks while it is open
/// for writing keeps it from being run.
fn narrow_file(kit: &Kit) -> PathBuf {
    kit.folder.join("narrow")
}

/// Whether this kernel runs it, and if not, why.
pub fn runs_narrow_programs(kit: &Kit) -> Result<()> {
    let path = narrow_file(kit);
    fs::write(&path, narrow()).map_err(|error| error.to_string())?;
    open_to_all(&path)?;
    Command::new(&path)
        .stdin(Stdio::null())
        .spawn()
        .map(Brief)
        .map(drop)
        .map_err(|error| error.to_string())
}

pub fn narrow_program(kit: &Kit, _: &Jdk) -> Result<()> {
    let mut child = Brief::start(&mut Command::new(narrow_file(kit)))?;
    child.wait_for_name("narrow");
    let said = kit.ask("attach", child.0.id(), &[])?;
    ensure!(child.0.try_wait().is_ok_and(|ended| ended.is_none()), "it has crashed");
    said.refused(4, "is a 32-bit program")
}

/// The command as `nobody`, and a JVM of ours.
pub fn somebody_else(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid().to_string();
    let as_other_user = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&kit.zaudit)
            .args(words);
        Said::of(command.stdin(Stdio::null()))
    };
    for subcommand in ["attach", "status", "top"] {
        as_other_user(&[subcommand, &pid])?.refused(5, "belongs to root; run zaudit as root")?;
    }
    let table = as_other_user(&["ps"])?.done()?;
    let line =
        table.lines().find(|line| line.split_whitespace().next() == Some(&pid)).unwrap_or_default();
    ensure!(line.contains("cannot attach: ") && line.contains("belongs to root"), table.clone());
    let pid = running.pid();
    ensure_unharmed(running, pid)
}

/// Everybody may write to `/tmp`, where the files are by which a JVM is attached to.
pub fn planted_in_tmp(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let text = |error: std::io::Error| error.to_string();
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    let [socket, trigger] =
        ["java", "attach"].map(|name| Path::new("/tmp").join(format!(".{name}_pid{pid}")));
    // Somebody who listens in the JVM's place would learn of files, and could answer anything.
    let listener = UnixListener::bind(&socket).map_err(text)?;
    lchown(&socket, Some(65_534), Some(65_534)).map_err(text)?;
    listener.set_nonblocking(true).map_err(text)?;
    kit.ask("attach", pid, &[])?.refused(1, "and is not the JVM's socket")?;
    ensure!(listener.accept().is_err(), "the command has connected");
    fs::remove_file(&socket).map_err(text)?;
    let precious = running.dir().join("precious");
    fs::write(&precious, "precious").map_err(text)?;
    symlink(&precious, &trigger).map_err(text)?;
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &[])?.done()?;
    ensure!(fs::read_to_string(&precious).is_ok_and(|text| text == "precious"), "it is changed");
    ensure_unharmed(running, pid)
}

/// With SIGQUIT such a JVM would print a thread dump on the program's stdout.
pub fn attach_is_off(kit: &Kit, jdk: &Jdk) -> Result<()> {
    const OFF: &str = "-XX:+DisableAttachMechanism";
    let variable = kit.garbage(jdk)?.env("JAVA_TOOL_OPTIONS", OFF);
    // Without published counters the command line and the environment are all there is.
    for jvm in [
        kit.garbage(jdk)?.flags([OFF]),
        variable.clone(),
        kit.garbage(jdk)?.flags([OFF, "-XX:-UsePerfData"]),
        variable.flags(["-XX:-UsePerfData"]),
    ] {
        let running = ready(jvm)?;
        // As a process that was killed leaves it; this one has the same id.
        let socket = format!("/tmp/.java_pid{}", running.pid());
        let _ = fs::remove_file(&socket);
        UnixListener::bind(&socket).map_err(|error| format!("{socket}: {error}"))?;
        let refused = kit.ask("attach", running.pid(), &[])?.refused(6, OFF);
        let line = listed(kit, running.pid());
        fs::remove_file(&socket).map_err(|error| format!("{socket}: {error}"))?;
        refused?;
        let line = line?;
        ensure!(line.contains("cannot attach: ") && line.contains(OFF), line.clone());
        let pid = running.pid();
        ensure_unharmed(running, pid)?;
    }
    Ok(())
}

/// The flag came with JDK 9.
pub fn agents_are_off(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?.flags(["-XX:-EnableDynamicAgentLoading"]))?;
    kit.ask("attach", running.pid(), &[])?
        .refused(6, "-XX:+EnableDynamicAgentLoading, or under zaudit run")?;
    let line = listed(kit, running.pid())?;
    ensure!(line.contains("cannot attach: ") && line.contains("-XX:-EnableDynamic"), line.clone());
    let pid = running.pid();
    ensure_unharmed(running, pid)
}

pub fn stopped(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    kill("STOP", pid)?;
    let stat = format!("/proc/{pid}/stat");
    while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")) {
        std::thread::yield_now();
    }
    let begin = Instant::now();
    kit.ask("attach", pid, &[])?.refused(8, &format!("kill -CONT {pid}"))?;
    ensure!(begin.elapsed() < Duration::from_secs(5), "it waited all the same");
    ensure!(listed(kit, pid)?.contains("is stopped"), "ps does not say so");
    kill("CONT", pid)?;
    ensure_unharmed(running, pid)
}

/// A JVM whose log is not read: the pipe is full, and the VM's own thread waits in the middle of a
/// GC. The signal that we have sent reaches it when it goes on, and then it must not print a thread
/// dump.
pub fn hanging(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let churning = kit.env.fixture("Churning")?;
    let jvm = Jvm::new(jdk, churning)?.flags(["-XX:+UseSerialGC", "-Xmx8m", "-Xlog:gc*"]);
    let jvm = jvm.after("exec 3<>pipe >pipe");
    let pipe = jvm.dir().join("pipe");
    Said::of(Command::new("mkfifo").arg(&pipe))?.done()?;
    let running = jvm.spawn()?;
    let pid = running.pid();
    ensure!(waits_in_write(pid), "it does not hang");
    let begin = Instant::now();
    kit.ask("attach", pid, &["--timeout", "500ms"])?
        .refused(8, "within 500 ms: it hangs, or is very busy")?;
    ensure!(begin.elapsed() < Duration::from_secs(5), "it waited longer than its timeout");
    let trigger = Path::new("/tmp").join(format!(".attach_pid{pid}"));
    ensure!(trigger.exists(), "the file that the JVM is to find is gone");
    // Somebody reads, and it goes on.
    let out = running.dir().join("out.txt");
    let file = fs::File::create(&out).map_err(|error| error.to_string())?;
    let mut cat = Command::new("cat");
    let cat = cat.arg(&pipe).stdout(file).stdin(Stdio::null()).spawn().map(Brief);
    let _cat = cat.map_err(|error| error.to_string())?;
    let socket = Path::new("/tmp").join(format!(".java_pid{pid}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !socket.exists() {
        ensure!(Instant::now() < deadline, "the JVM does not come to itself");
        std::thread::sleep(Duration::from_millis(10));
    }
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &[])?.done()?;
    ensure!(!trigger.exists(), "the file stays, and is not needed any more");
    let printed = fs::read_to_string(&out).map_err(|error| error.to_string())?;
    ensure!(!printed.contains("Full thread dump"), "there is a thread dump");
    Ok(())
}

/// Waits until the VM's own thread waits in `write`, and still does so a while later.
fn waits_in_write(pid: u32) -> bool {
    let writes = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let read = |path: &Path, name| fs::read_to_string(path.join(name)).unwrap_or_default();
        tasks.map(|task| task.path()).any(|task| {
            read(&task, "comm").starts_with("VM Thread")
                && read(&task, "syscall").starts_with("1 0x1 ")
        })
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut since = None;
    while Instant::now() < deadline {
        match (writes(), since) {
            (false, _) => since = None,
            (true, None) => since = Some(Instant::now()),
            (true, Some(begin)) if begin.elapsed() > Duration::from_millis(300) => return true,
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// The JVM's user must be able to read the library; that we are is not enough.
pub fn private_library(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let folder = kit.folder.join("private");
    let library = folder.join("libzaudit.so");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    fs::copy(&kit.library, &library).map_err(|error| error.to_string())?;
    let chmod = Command::new("chmod").arg("700").arg(&folder).status();
    ensure!(chmod.is_ok_and(|status| status.success()), "chmod");
    let running = ready(kit.garbage(jdk)?.under(AS_OTHER_USER))?;
    let pid = running.pid();
    let library = library.to_str().unwrap_or_default();
    kit.ask("attach", pid, &["--library", library])?
        .refused(7, &format!("{OTHER_USER}, who runs process"))?;
    ensure_unharmed(running, pid)
}

pub fn no_library(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    kit.ask("attach", pid, &["--library", "/nowhere/libzaudit.so"])?
        .refused(7, "/nowhere/libzaudit.so: No such")?;
    // A file that is no library, and a library that is no agent.
    let no_library = kit.folder.join("no-library.so");
    fs::write(&no_library, "nothing").map_err(|error| error.to_string())?;
    kit.ask("attach", pid, &["--library", no_library.to_str().unwrap_or_default()])?
        .refused(7, "is not a 64-bit shared library")?;
    let no_agent = jdk.home.join("lib/libzip.so");
    kit.ask("attach", pid, &["--library", no_agent.to_str().unwrap_or_default()])?
        .refused(7, "older zaudit")?;
    let alone = kit.folder.join("alone");
    fs::create_dir_all(&alone).map_err(|error| error.to_string())?;
    fs::copy(&kit.zaudit, alone.join("zaudit")).map_err(|error| error.to_string())?;
    Said::of(
        Command::new(alone.join("zaudit"))
            .args(["attach", &pid.to_string()])
            .env_remove("ZAUDIT_LIBRARY"),
    )?
    .refused(7, "--library PATH")?;
    ensure_unharmed(running, pid)
}

pub fn long_options(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    let long = format!("file=/tmp/{}", "x".repeat(1_100));
    kit.ask("attach", pid, &[&long])?.refused(2, "give @FILE")?;
    kit.ask("attach", pid, &["fromat=json"])?.refused(2, "did you mean \"format\"")?;
    kit.zaudit([""; 0])?.refused(2, "a command is needed")?;
    kit.ask("attach", pid, &["--timeout", "5"])?.refused(2, "has no unit")?;
    ensure_unharmed(running, pid)
}

pub fn not_audited(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let running = ready(kit.garbage(jdk)?)?;
    let pid = running.pid();
    for subcommand in ["dump", "status", "reset", "disarm", "top"] {
        kit.ask(subcommand, pid, &[])?.refused(1, &format!("zaudit attach {pid} starts"))?;
    }
    // A file that cannot be written is reported before the agent gets the command: the last report
    // comes only once.
    kit.ask("attach", pid, &[])?.done()?;
    kit.ask("disarm", pid, &["--output", "/nowhere/report.txt"])?
        .refused(1, "/nowhere/report.txt")?;
    let status = kit.ask("status", pid, &[])?.done()?;
    ensure!(status.contains("state: armed"), status.clone());
    kit.ask("disarm", pid, &[])?.done()?;
    ensure_unharmed(running, pid)
}
