//! A JVM to be started as a value: which JDK, which flags, which program, which options of the
//! agent.
//!
//! What becomes of it is [`crate::child`]'s. Invariant: nothing of the caller's own Java or zaudit
//! environment reaches it.

use crate::Result;
use crate::child::{Ended, Folder, Running};
use crate::fixtures::Fixture;
use crate::jdks::Jdk;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// What a child is started with.
#[derive(Clone, Debug)]
pub struct Jvm {
    jdk: Jdk,
    flags: Vec<OsString>,
    class_path: OsString,
    main: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// A shell line that goes before `exec "$@"`.
    shell: Option<String>,
    /// A command that goes before it and runs it.
    under: Vec<OsString>,
    dir: Arc<Folder>,
}

impl Jvm {
    /// The program `fixture` on `jdk`, with no agent yet, in a fresh folder of its own.
    pub fn new(jdk: &Jdk, fixture: &Fixture) -> Result<Self> {
        Ok(Self::program(jdk, fixture.classes.as_os_str(), &fixture.name)?.flags(&fixture.java))
    }

    /// The class `main`, found in `class_path`, on `jdk`, with no agent yet, in a fresh folder of
    /// its own.
    pub fn program(jdk: &Jdk, class_path: &OsStr, main: &str) -> Result<Self> {
        Ok(Self {
            jdk: jdk.clone(),
            flags: Vec::new(),
            class_path: class_path.to_owned(),
            main: main.into(),
            args: Vec::new(),
            env: Vec::new(),
            shell: None,
            under: Vec::new(),
            dir: Arc::new(Folder::fresh()?),
        })
    }

    /// More flags for the JVM.
    #[must_use]
    pub fn flags<S: AsRef<OsStr>>(mut self, flags: impl IntoIterator<Item = S>) -> Self {
        self.flags.extend(flags.into_iter().map(|flag| flag.as_ref().to_owned()));
        self
    }

    /// Loads the agent with exactly these options.
    #[must_use]
    pub fn agent(mut self, library: &Path, options: impl AsRef<OsStr>) -> Self {
        let mut flag = OsString::from("-agentpath:");
        flag.push(library);
        flag.push("=");
        flag.push(options);
        self.flags.push(flag);
        self
    }

    /// Loads the agent with these options and a JSON report in the file `r.json` of the child's
    /// folder.
    #[must_use]
    pub fn audited(self, library: &Path, options: &str) -> Self {
        let file = self.dir.0.join("r.json");
        let comma = if options.is_empty() { "" } else { "," };
        let options = format!("file={},format=json{comma}{options}", file.display());
        self.agent(library, options)
    }

    /// Arguments of the program.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// One more variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it from a shell that has run `line` first.
    #[must_use]
    pub fn after(mut self, line: &str) -> Self {
        self.shell = Some(line.into());
        self
    }

    /// Starts it under a command that runs it: `setpriv`, `unshare`, `zaudit run` …
    #[must_use]
    pub fn under<S: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.under = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// The folder that it runs in; files of the test go there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// Runs it to its end, with an empty standard input.
    pub fn run(self) -> Result<Ended> {
        let mut running = self.spawn()?;
        running.close();
        running.finish()
    }

    /// Starts it; the test goes on beside it.
    pub fn spawn(self) -> Result<Running> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(line) = &self.shell {
            words.extend([
                "sh".into(),
                "-c".into(),
                format!("{line}; exec \"$@\"").into(),
                "sh".into(),
            ]);
        }
        words.extend(self.under);
        words.push(self.jdk.tool("java").into());
        let (program, before) = words.split_first().ok_or("there is no program")?;
        let mut command = Command::new(program);
        command.args(before);
        let ours = [
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "CLASSPATH",
            "ZAUDIT_OPTIONS",
            "ZAUDIT_FAULT",
        ];
        for name in ours {
            command.env_remove(name);
        }
        command
            .current_dir(&self.dir.0)
            .env("LC_ALL", "C.UTF-8")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .args(&self.flags)
            .arg("-cp")
            .arg(&self.class_path)
            .arg(&self.main)
            .args(&self.args);
        Running::start(command, self.dir)
    }
}
