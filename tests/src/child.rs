//! A child that runs, and one that has ended: what it prints, writes and ends with.
//!
//! How it is started is [`crate::jvm`]'s. Invariant: a child never outlives its test; it is killed
//! after a limit, or when its value is dropped.

use crate::report::Report;
use crate::{Result, target_dir};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a child may take; far above what the slowest needs.
const LIMIT: Duration = Duration::from_secs(90);

/// A folder that a child runs in; it goes when the last value that may read from it goes.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new one, empty.
    pub fn fresh() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = target_dir().join("jvms").join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A line that came out of the child, with its line end.
enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

fn read_aside(
    pipe: Option<impl Read + Send + 'static>,
    sender: Sender<Event>,
    event: fn(Vec<u8>) -> Event,
) {
    let Some(pipe) = pipe else { return };
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send(event(std::mem::take(&mut line))).is_err() {
                return;
            }
        }
    });
}

/// A child that runs.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    shown: String,
    dir: Arc<Folder>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Running {
    /// Starts `command` in `dir`, its three streams in our hands.
    pub(crate) fn start(mut command: Command, dir: Arc<Folder>) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let mut child = command.spawn().map_err(|error| format!("{shown}: {error}"))?;
        let (sender, events) = channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        read_aside(stdout, sender.clone(), Event::Stdout);
        read_aside(stderr, sender, Event::Stderr);
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, events, shown, dir, stdout: Vec::new(), stderr: Vec::new() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// The names of the agent's threads in it, in the order of their ids.
    pub fn agent_threads(&self) -> Result<Vec<String>> {
        let tasks = format!("/proc/{}/task", self.pid());
        let tasks = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
        // A thread may end meanwhile.
        let names =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        let own = |name: &String| name.starts_with("zaudit");
        Ok(names.map(|name| name.trim_end().to_owned()).filter(own).collect())
    }

    /// Waits until it has printed `line` on stdout.
    pub fn wait_for(&mut self, line: &str) -> Result<()> {
        self.wait_until(
            &format!("{line:?} on stdout"),
            |event| matches!(event, Event::Stdout(text) if String::from_utf8_lossy(text).trim_end() == line),
        )
    }

    /// Waits until it has printed a line that begins so on stdout, and gives that line.
    pub fn wait_for_line(&mut self, beginning: &str) -> Result<String> {
        let begins = |line: &str| line.starts_with(beginning);
        self.wait_until(
            &format!("a line {beginning:?} on stdout"),
            |event| matches!(event, Event::Stdout(text) if begins(&String::from_utf8_lossy(text))),
        )?;
        let printed = String::from_utf8_lossy(&self.stdout);
        printed.lines().next_back().map(str::to_owned).ok_or_else(|| "it printed nothing".into())
    }

    /// Waits until a line with `text` in it has come out of its stderr.
    pub fn wait_for_stderr(&mut self, text: &str) -> Result<()> {
        self.wait_until(
            &format!("{text:?} on stderr"),
            |event| matches!(event, Event::Stderr(line) if String::from_utf8_lossy(line).contains(text)),
        )
    }

    fn wait_until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.keep(event);
                    if found {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.stuck(what)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("ended without {what}\n{}", self.output()));
                }
            }
        }
    }

    /// Sends it a line.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("its stdin is closed")?;
        let said = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        said.map_err(|error| format!("stdin: {error}\n{}", self.output()))
    }

    /// Closes its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal: `USR1`, `QUIT`, `TERM` …
    pub fn signal(&self, name: &str) -> Result<()> {
        let kill = format!("kill -{name} {}", self.pid());
        match Command::new("sh").args(["-c", &kill]).status() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{kill}: {other:?}")),
        }
    }

    /// Waits for the JSON report in the file `name` of its folder, which it writes at its own time.
    pub fn wait_for_report(&mut self, name: &str) -> Result<Report> {
        read_report(&self.wait_for_file(name)?)
    }

    /// Waits until the file `name` is in its folder.
    pub fn wait_for_file(&mut self, name: &str) -> Result<PathBuf> {
        let path = self.dir.0.join(name);
        let deadline = Instant::now() + LIMIT;
        while !path.exists() {
            let gone = self.child.try_wait().map_err(|error| error.to_string())?.is_some();
            if gone && !path.exists() {
                return Err(format!("ended without {name}\n{}", self.output()));
            }
            if Instant::now() > deadline {
                return Err(self.stuck(name));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(path)
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<Ended> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => self.keep(event),
                Err(RecvTimeoutError::Timeout) => return Err(self.stuck("its end")),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // A process that closes its streams at the start may still run.
        let status = loop {
            match self.child.try_wait().map_err(|error| format!("wait: {error}"))? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err(self.stuck("its end")),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        Ok(Ended {
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
            shown: self.shown.clone(),
            dir: self.dir.clone(),
        })
    }

    fn keep(&mut self, event: Event) {
        match event {
            Event::Stdout(text) => self.stdout.extend(text),
            Event::Stderr(text) => self.stderr.extend(text),
        }
    }

    fn stuck(&mut self, what: &str) -> String {
        // The thread dump says what it hangs on; it comes out of stdout before the pipe breaks.
        let _ = self.signal("QUIT");
        while let Ok(event) = self.events.recv_timeout(Duration::from_secs(2)) {
            self.keep(event);
        }
        let _ = self.child.kill();
        format!("killed after {} s of waiting for {what}\n{}", LIMIT.as_secs(), self.output())
    }

    fn output(&mut self) -> String {
        while let Ok(event) = self.events.try_recv() {
            self.keep(event);
        }
        shown_output(&self.shown, &self.stdout, &self.stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Harmless after the child's end; and when a test gave up, its child goes too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that has ended.
pub struct Ended {
    status: ExitStatus,
    /// All that it printed.
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
    shown: String,
    dir: Arc<Folder>,
}

impl Ended {
    /// The exit code; 128 + the signal's number for one that a signal killed, as shells have it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|number| 128 + number)).unwrap_or(-1)
    }

    /// What the program printed: its stdout without the complaints of `-Xcheck:jni`, which go
    /// there, too.
    #[must_use]
    pub fn printed(&self) -> String {
        self.sorted_stdout().0
    }

    /// What `-Xcheck:jni` complained of, each complaint once. JDK 8 has such complaints about
    /// itself.
    #[must_use]
    pub fn complaints(&self) -> BTreeSet<String> {
        self.sorted_stdout().1
    }

    fn sorted_stdout(&self) -> (String, BTreeSet<String>) {
        let (mut printed, mut complaints) = (String::new(), BTreeSet::new());
        let mut complaint: Option<String> = None;
        for line in String::from_utf8_lossy(&self.stdout).split_inclusive('\n') {
            if line.starts_with("WARNING in native method")
                || line.starts_with("FATAL ERROR in native method")
            {
                complaints.extend(complaint.replace(line.into()));
            } else if let Some(text) = complaint.as_mut().filter(|_| line.starts_with('\t')) {
                // Locks are named by their address, which is another one in each run.
                if !line.starts_with("\t- ") {
                    text.push_str(line);
                }
            } else {
                complaints.extend(complaint.take());
                printed.push_str(line);
            }
        }
        complaints.extend(complaint);
        (printed, complaints)
    }

    /// Its stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The agent's own messages on stderr.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.stderr().lines().filter(|line| line.starts_with("zaudit:")).map(String::from).collect()
    }

    /// Stderr without the agent's one-line messages.
    #[must_use]
    pub fn foreign_stderr(&self) -> String {
        let stderr = self.stderr();
        let own = |line: &&str| line.starts_with("zaudit:") || line.starts_with("SUMMARY: zaudit:");
        stderr.split_inclusive('\n').filter(|line| !own(line)).collect()
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// The report that it left at exit.
    pub fn report(&self) -> Result<Report> {
        self.report_in("r.json")
    }

    /// The report that it left at exit, whatever it says of its own health.
    pub fn unhealthy_report(&self) -> Result<Report> {
        let path = self.dir.0.join("r.json");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}\n{self}", path.display()))?;
        Report::read(&text)
    }

    /// The report that it left in the file `name` of its folder.
    pub fn report_in(&self, name: &str) -> Result<Report> {
        read_report(&self.dir.0.join(name)).map_err(|why| format!("{why}\n{self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nended with {}",
            shown_output(&self.shown, &self.stdout, &self.stderr),
            self.status
        )
    }
}

fn read_report(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Report::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}

fn shown_output(command: &str, stdout: &[u8], stderr: &[u8]) -> String {
    let (stdout, stderr) = (cut(stdout), cut(stderr));
    format!("--- command\n{command}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

/// The first and last lines of an output that goes on and on.
fn cut(output: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 2 * SHOWN {
        return text.into_owned();
    }
    let (first, last) = (&lines[..SHOWN], &lines[lines.len() - SHOWN..]);
    format!("{}\n[{} lines]\n{}", first.join("\n"), lines.len() - 2 * SHOWN, last.join("\n"))
}
