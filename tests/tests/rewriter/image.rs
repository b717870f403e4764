//! Every class of a JDK's own run-time image, and the Java programs that read and link them.
//!
//! Owns: compiling `java-fixtures/tools`, and the stream that `RuntimeImage` writes. Invariant: a
//! stream that does not end with the number of classes in it is an error, so no class is lost
//! unnoticed.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use zaudit_tests::jdks::{self, Jdk};
use zaudit_tests::repository;

/// What the suite works with; its folder goes with it.
pub(crate) struct Workspace {
    /// The JDKs, by release.
    pub(crate) jdks: Vec<Jdk>,
    /// The compiled tools.
    pub(crate) tools: PathBuf,
    /// Where tests put what they make.
    pub(crate) scratch: PathBuf,
}

impl Workspace {
    /// Finds and compiles everything.
    pub(crate) fn ready() -> Result<Self, String> {
        let jdks = jdks::found()?;
        let scratch =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rewriter-{}", std::process::id()));
        let workspace = Self { tools: scratch.join("tools"), jdks, scratch };
        let sources = ["RuntimeImage.java", "LinkClasses.java", "zaudit/Hooks.java"];
        let folder = repository().join("java-fixtures/tools");
        workspace.compile(&sources.map(|source| folder.join(source)), &workspace.tools, "-g")?;
        Ok(workspace)
    }

    /// A `zaudit.Hooks` that counts.
    pub(crate) fn hooks(&self) -> Result<Vec<u8>, String> {
        std::fs::read(self.tools.join("zaudit/Hooks.class"))
            .map_err(|error| format!("zaudit.Hooks: {error}"))
    }

    /// Compiles for Java 8 with the default JDK; `debug` says which tables to write.
    pub(crate) fn compile(
        &self,
        sources: &[PathBuf],
        to: &Path,
        debug: &str,
    ) -> Result<(), String> {
        let jdk = jdks::default_jdk(&self.jdks)?;
        std::fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
        let mut javac = jdk.javac_for(8);
        javac.args(["-encoding", "UTF-8", "-proc:none", "-nowarn", "-Xlint:-options", debug, "-d"]);
        run(javac.arg(to).args(sources)).map(drop)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

/// How long a program may take; far above what the slowest needs. A rewritten JDK may well run in
/// circles.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a program with nothing of the caller's Java environment, and hands back what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let failed =
        |error: std::io::Error, command: &Command| format!("{:?}: {error}", command.get_program());
    let piped = bare(command).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| failed(error, command))?;
    let (sender, receiver) = channel();
    let read = |first: bool, stream: Option<Box<dyn Read + Send>>| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let outcome = stream.map_or(Ok(0), |mut stream| stream.read_to_end(&mut bytes));
            let _ =
                sender.send((first, outcome.map(|_| String::from_utf8_lossy(&bytes).into_owned())));
        });
    };
    read(true, child.stdout.take().map(|stream| Box::new(stream) as _));
    read(false, child.stderr.take().map(|stream| Box::new(stream) as _));
    let (mut out, mut err) = (String::new(), String::new());
    for _ in 0..2 {
        let Ok((first, text)) = receiver.recv_timeout(LIMIT) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{:?} did not end in {LIMIT:?}", command.get_program()));
        };
        *(if first { &mut out } else { &mut err }) =
            text.map_err(|error| failed(error, command))?;
    }
    let status = child.wait().map_err(|error| failed(error, command))?;
    if status.success() {
        return Ok(out);
    }
    // The command line of a patched JDK fills pages, and what matters is at the start of the
    // output.
    let said: String = (out + &err).chars().take(4_000).collect();
    Err(format!("{:?} ended with {status}:\n{said}", command.get_program()))
}

fn bare(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null());
    for name in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"] {
        command.env_remove(name);
    }
    command
}

/// One class file of an image.
pub(crate) struct ClassBytes {
    /// Its module; empty on JDK 8.
    pub(crate) module: String,
    /// Internal name.
    pub(crate) name: String,
    /// The class file.
    pub(crate) bytes: Vec<u8>,
}

/// The classes of an image, one after the other.
pub(crate) struct Classes {
    child: Child,
    stream: BufReader<ChildStdout>,
    count: u32,
    ended: bool,
}

impl Classes {
    /// Starts reading the image of this JDK.
    pub(crate) fn of(jdk: &Jdk, workspace: &Workspace) -> Result<Self, String> {
        let mut java = Command::new(jdk.tool("java"));
        java.arg("-cp").arg(&workspace.tools).arg("RuntimeImage").stdout(Stdio::piped());
        java.current_dir(&workspace.scratch);
        let mut child = bare(&mut java).spawn().map_err(|error| format!("{java:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        Ok(Self {
            child,
            stream: BufReader::with_capacity(1 << 16, stdout),
            count: 0,
            ended: false,
        })
    }

    fn bytes(&mut self, len: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; len];
        self.stream
            .read_exact(&mut bytes)
            .map_err(|error| format!("the image is cut short: {error}"))?;
        Ok(bytes)
    }

    fn number(&mut self, len: usize) -> Result<usize, String> {
        Ok(self.bytes(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn text(&mut self) -> Result<String, String> {
        let len = self.number(2)?;
        String::from_utf8(self.bytes(len)?).map_err(|error| error.to_string())
    }

    fn class(&mut self) -> Result<Option<ClassBytes>, String> {
        let (module, name) = (self.text()?, self.text()?);
        let len = self.number(4)?;
        if !name.is_empty() {
            self.count += 1;
            return Ok(Some(ClassBytes { module, name, bytes: self.bytes(len)? }));
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if len != self.count as usize || !status.success() || len == 0 {
            return Err(format!("read {} classes, the image has {len}, {status}", self.count));
        }
        Ok(None)
    }
}

impl Iterator for Classes {
    type Item = Result<ClassBytes, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let class = self.class().transpose();
        self.ended = !matches!(class, Some(Ok(_)));
        class
    }
}

impl Drop for Classes {
    fn drop(&mut self) {
        // A test that gave up in the middle leaves a child whose output is not read.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
