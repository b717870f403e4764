//! What `scripts/release` makes: its files, and the agent and the command in them, as users install
//! and run them.
//!
//! The x86-64 half runs on every machine of that kind, with binaries that are compiled only if the
//! sources have changed. `ZAUDIT_RELEASE=all` adds arm64, under an emulator, and a second build in
//! another folder. Invariant: what is tested came out of the packages, not out of a build folder.

use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use zaudit_tests::child::Folder;
use zaudit_tests::command::{Said, Zaudit};
use zaudit_tests::external_tools::ExternalTools;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, Need, TestEnv, case, ensure_counts, ignored, on_jdk, per_jdk};
use zaudit_tests::{Result, agent, ensure, repository, target_dir};

/// On each JDK: freed by the GC, of a `ZipFile`, and made and ended by different threads.
const FIXTURES: [&str; 3] = ["NeverEnded", "ZipFileForgotten", "EndedElsewhere"];

/// Under the emulator, which is slow: what differs most between processors is code of the JDK and
/// of compilers, and threads that meet.
const FIXTURES_ON_ARM64: [&str; 7] = [
    "NeverEnded",
    "ZipFileForgotten",
    "EndedElsewhere",
    "EndedByFinalizer",
    "FlateStreamsForgotten",
    "LambdaFrames",
    "RacingEnds",
];

const RELEASES_ON_ARM64: [u32; 4] = [8, 17, 21, 25];
const RELEASES_ON_BULLSEYE: [u32; 2] = [11, 17];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of an installation.
const INSTALLED: [&str; 11] = [
    "bin/zaudit",
    "lib/libzaudit.so",
    "share/bash-completion/completions/zaudit",
    "share/doc/zaudit/CHANGELOG.md",
    "share/doc/zaudit/LICENSE-APACHE",
    "share/doc/zaudit/LICENSE-MIT",
    "share/doc/zaudit/THIRD-PARTY-LICENSES",
    "share/fish/vendor_completions.d/zaudit.fish",
    "share/man/man1/zaudit.1",
    "share/man/man7/zaudit-options.7",
    "share/zsh/site-functions/_zaudit",
];

fn main() -> ExitCode {
    suite::main_with(|env| {
        if !cfg!(target_arch = "x86_64") {
            return Ok(vec![ignored("release", "needs x86-64")]);
        }
        let all = match std::env::var("ZAUDIT_RELEASE").as_deref() {
            Ok("all") => true,
            Ok("") | Err(_) => false,
            Ok(other) => return Err(format!("ZAUDIT_RELEASE={other:?}; it may be all")),
        };
        let kit = Kit::ready(env, all)?;
        let mut trials = env.missing();
        trials.extend(kit.packages());
        trials.extend(kit.on_jdks(env));
        trials.extend(kit.elsewhere());
        trials.extend(kit.on_arm64());
        Ok(trials)
    })
}

/// What each case works with.
#[derive(Clone)]
struct Kit {
    env: TestEnv,
    /// The files of the release.
    dist: PathBuf,
    /// Whether arm64 is among them.
    all: bool,
    /// Where the archives are unpacked, as `x86_64` and `aarch64`.
    unpacked: Arc<Folder>,
    platforms: ExternalTools,
    readers: ExternalTools,
}

/// Runs a command to its end, with success: what it printed.
fn done(command: &mut Command) -> Result<String> {
    let said = Said::of(command.stdin(Stdio::null()))?;
    ensure!(said.code == Some(0), "{command:?}: {said:?}");
    Ok(said.stdout)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

/// The files below a folder, without folders.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let printed = done(Command::new("find").arg(folder).args(["-not", "-type", "d"]))?;
    let relative =
        |line: &str| Path::new(line).strip_prefix(folder).ok()?.to_str().map(String::from);
    Ok(printed.lines().filter_map(relative).collect())
}

fn unpack(archive: &Path, into: &Path, words: &[&str]) -> Result<()> {
    fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    done(Command::new("tar").arg("-xf").arg(archive).args(words).arg("-C").arg(into)).map(drop)
}

impl Kit {
    /// Builds the release and unpacks it.
    fn ready(env: &TestEnv, all: bool) -> Result<Kit> {
        let mut script = Command::new(repository().join("scripts/release"));
        script.arg("--reuse").args((!all).then_some("x86_64"));
        script.env("CARGO_TARGET_DIR", target_dir()).stderr(Stdio::inherit());
        let output = script.output().map_err(|error| format!("{script:?}: {error}"))?;
        ensure!(output.status.success(), "{script:?} ended with {}", output.status);
        let architectures: &[&str] = if all { &["x86_64", "aarch64"] } else { &["x86_64"] };
        let kit = Kit {
            env: env.clone(),
            dist: target_dir().join("dist"),
            all,
            unpacked: Arc::new(Folder::fresh()?),
            platforms: ExternalTools::printed_by(
                "scripts/platforms",
                if all { &[] } else { &["bullseye", "musl"] },
            )?,
            readers: ExternalTools::printed_by(
                "scripts/readers",
                &["cyclonedx", "kubernetes-validate"],
            )?,
        };
        for architecture in architectures {
            let archive = kit.dist.join(format!("zaudit-{VERSION}-linux-{architecture}.tar.gz"));
            unpack(&archive, &kit.installed(architecture), &["--strip-components=1"])?;
        }
        Ok(kit)
    }

    fn architectures(&self) -> &'static [&'static str] {
        if self.all { &["x86_64", "aarch64"] } else { &["x86_64"] }
    }

    /// Where the archive of an architecture is unpacked.
    fn installed(&self, architecture: &str) -> PathBuf {
        self.unpacked.0.join(architecture)
    }

    fn library(&self, architecture: &str) -> PathBuf {
        self.installed(architecture).join("lib/libzaudit.so")
    }

    fn command(&self, architecture: &str) -> PathBuf {
        self.installed(architecture).join("bin/zaudit")
    }

    fn zaudit(&self, architecture: &str) -> Zaudit {
        Zaudit::at(self.command(architecture), self.library(architecture))
    }

    fn needs(&self, name: &'static str) -> Need {
        let there = self.platforms.have(&[name]) || self.readers.have(&[name]);
        Need::Other(name, there.then_some(()).ok_or_else(|| "see the lines above".into()))
    }

    /// What the files are, and what is in them.
    fn packages(&self) -> Vec<Trial> {
        type Test = fn(&Kit) -> Result<()>;
        let tool = |name| vec![Need::Tool(name)];
        let tests: [(&str, Vec<Need>, Test); 11] = [
            ("files_and_sums", vec![], files_and_sums),
            ("floor", vec![], floor),
            ("archive", vec![], archive),
            ("manual_pages", tool("groff"), manual_pages),
            ("completions_bash", tool("bash"), |kit| completions(kit, "bash", BASH)),
            ("completions_zsh", tool("zsh"), |kit| completions(kit, "zsh", ZSH)),
            ("completions_fish", tool("fish"), |kit| completions(kit, "fish", FISH)),
            ("debian_package", vec![Need::Tool("dpkg"), Need::Root], debian_package),
            ("image", vec![], image),
            ("bill_of_materials", vec![self.needs("cyclonedx")], bill_of_materials),
            ("kubernetes", vec![self.needs("kubernetes-validate")], kubernetes),
        ];
        let trial = |(name, needs, test): (&str, Vec<Need>, Test)| {
            let kit = self.clone();
            match needs.iter().find_map(|need| need.unmet(None)) {
                Some(why) => ignored(name, &why),
                None => case(&self.env, name, move |_| test(&kit)),
            }
        };
        let mut trials: Vec<Trial> = tests.into_iter().map(trial).collect();
        trials.push(match self.all {
            true => case(&self.env, "twice_the_same_bytes", |_| {
                let target = target_dir().join("release-twice");
                let mut script = Command::new(repository().join("scripts/release"));
                script.arg("--twice").env("CARGO_TARGET_DIR", target);
                done(&mut script).map(drop)
            }),
            false => ignored("twice_the_same_bytes", "needs ZAUDIT_RELEASE=all"),
        });
        trials
    }

    /// The x86-64 half, on each JDK.
    fn on_jdks(&self, env: &TestEnv) -> Vec<Trial> {
        let (counts, attach) = (self.clone(), self.clone());
        let counts = move |_: &TestEnv, jdk: &Jdk| {
            FIXTURES.iter().try_for_each(|name| {
                let jvm = Jvm::new(jdk, counts.env.fixture(name)?)?;
                counts.ensure_exact(jvm, jdk, name, "x86_64")
            })
        };
        let attach = move |_: &TestEnv, jdk: &Jdk| {
            let jvm = Jvm::new(jdk, attach.env.fixture("Scripted")?)?;
            attach.ensure_attached(jvm, jdk, &attach.zaudit("x86_64"))
        };
        let mut trials = per_jdk(env, [("counts", counts)]);
        trials.extend(per_jdk(env, [("attach", attach)]));
        trials
    }

    /// Other C libraries than this machine's.
    fn elsewhere(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        for major in RELEASES_ON_BULLSEYE {
            let home = format!("/usr/lib/jvm/java-{major}-openjdk-amd64");
            let jdk = Jdk { major, home: home.into() };
            let kit = self.clone();
            trials.push(on_jdk(
                &self.env,
                &jdk,
                "bullseye",
                &[self.needs("bullseye"), Need::Root],
                move |_, jdk| {
                    for name in FIXTURES {
                        let jvm = Jvm::new(jdk, kit.env.fixture(name)?)?;
                        let under = kit.in_bullseye(jvm.dir())?;
                        kit.ensure_exact(jvm.under(under), jdk, name, "x86_64")?;
                    }
                    let jvm = Jvm::new(jdk, kit.env.fixture("Scripted")?)?;
                    let under = kit.in_bullseye(jvm.dir())?;
                    kit.ensure_attached(jvm.under(under), jdk, &kit.zaudit("x86_64"))
                },
            ));
        }
        let package: (&str, fn(&Kit) -> Result<()>) = ("bullseye_package", bullseye_package);
        for (name, test, needs) in [
            (package.0, package.1, vec![self.needs("bullseye"), Need::Root]),
            ("musl", musl, vec![self.needs("musl")]),
        ] {
            let kit = self.clone();
            trials.push(match needs.iter().find_map(|need| need.unmet(None)) {
                Some(why) => ignored(name, &why),
                None => case(&self.env, name, move |_| test(&kit)),
            });
        }
        trials
    }

    /// The arm64 half, under the emulator.
    fn on_arm64(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        for major in RELEASES_ON_ARM64 {
            for name in ["counts", "attach"] {
                let case_name = format!("arm64_{name}");
                if !self.all {
                    let name = format!("jdk{major}::{case_name}");
                    trials.push(ignored(name, "needs ZAUDIT_RELEASE=all"));
                    continue;
                }
                let root = self.platforms.path("arm64").map(Path::to_path_buf).unwrap_or_default();
                let home = root.join(format!("usr/lib/jvm/java-{major}-openjdk-arm64"));
                let (jdk, kit) = (Jdk { major, home }, self.clone());
                let needs = [self.needs("arm64"), self.needs("qemu-aarch64")];
                trials.push(on_jdk(&self.env, &jdk, &case_name, &needs, move |_, jdk| {
                    if name == "counts" {
                        return FIXTURES_ON_ARM64.iter().try_for_each(|name| {
                            let jvm = Jvm::new(jdk, kit.env.fixture(name)?)?;
                            kit.ensure_exact(jvm.under(kit.emulator()?), jdk, name, "aarch64")
                        });
                    }
                    let jvm = Jvm::new(jdk, kit.env.fixture("Scripted")?)?;
                    let zaudit = kit.zaudit("aarch64").under(kit.emulator()?);
                    kit.ensure_attached(jvm.under(kit.emulator()?), jdk, &zaudit)
                }));
            }
        }
        trials
    }

    /// Runs what follows on an emulated arm64.
    fn emulator(&self) -> Result<Vec<OsString>> {
        let mut root = OsString::from("QEMU_LD_PREFIX=");
        root.push(self.platforms.path("arm64")?);
        Ok(vec!["env".into(), root, self.platforms.path("qemu-aarch64")?.into()])
    }

    /// Runs what follows in Debian 11, which sees the target folder under the same name.
    fn in_bullseye(&self, folder: &Path) -> Result<Vec<OsString>> {
        let script = "
            mkdir -p \"$1$2\" && mount --bind \"$2\" \"$1$2\" && mount -t proc proc \"$1/proc\" &&
                root=$1 folder=$3 && shift 3 &&
                exec chroot \"$root\" env -C \"$folder\" \"$@\"";
        let words = ["unshare", "-m", "sh", "-c", script, "sh"].map(OsString::from);
        let mut words = words.to_vec();
        words.extend([self.platforms.path("bullseye")?.into(), target_dir().into(), folder.into()]);
        Ok(words)
    }

    /// Runs a fixture under the released library: its counts are exact, and its exit code and
    /// output those of a run without. The emulator is too slow for that other run.
    fn ensure_exact(&self, jvm: Jvm, jdk: &Jdk, name: &str, architecture: &str) -> Result<()> {
        let fixture = self.env.fixture(name)?;
        let bare = (architecture == "x86_64").then(|| jvm.clone().run()).transpose()?;
        // The emulator is slow, and so are finalizers under it.
        let options = format!("{},gc_timeout=60s", fixture.options);
        let audited = jvm.audited(&self.library(architecture), &options).run()?;
        let seen = (audited.code(), audited.printed());
        let expected = bare
            .as_ref()
            .map_or((fixture.exit, seen.1.clone()), |bare| (bare.code(), bare.printed()));
        ensure!(seen == expected, "{expected:?} without the agent, and with it:\n{audited}");
        let report = audited.report()?;
        ensure_counts(fixture, &fixture.expected(jdk.major, false), &report)?;
        let walk = &report.health.details["walk"]["state"];
        let expected = if architecture == "x86_64" { "on" } else { "unsupported" };
        ensure!(walk == expected, "the walk is {walk}, not {expected}");
        Ok(())
    }

    /// Attaches the released library by the released command, and detaches.
    fn ensure_attached(&self, jvm: Jvm, jdk: &Jdk, zaudit: &Zaudit) -> Result<()> {
        let jvm = jvm.flags((jdk.major >= 21).then_some("-XX:+EnableDynamicAgentLoading"));
        let mut program = jvm.spawn()?;
        program.wait_for("ready")?;
        let pid = program.pid();
        zaudit.ask("attach", pid, &[])?.done()?;
        program.say("window 40 25")?;
        program.wait_for_line("done window 40 25")?;
        let report = zaudit.report("disarm", pid, &[])?;
        let (made, ended) = report
            .sites
            .iter()
            .filter(|site| site.is_of("Scripted"))
            .fold((0, 0), |(made, ended), site| {
                (made + site.counts.created, ended + site.counts.ended)
            });
        ensure!((made, ended) == (80, 50), "{made} created and {ended} ended, not 80 and 50");
        program.close();
        let ended = program.finish()?;
        ensure!(ended.code() == 0, "{ended}");
        Ok(())
    }
}

/// All files are there, nothing else, and their sums are right.
fn files_and_sums(kit: &Kit) -> Result<()> {
    let mut expected = BTreeSet::from([
        "SHA256SUMS".to_owned(),
        format!("zaudit-{VERSION}-oci.tar"),
        format!("zaudit-{VERSION}.cdx.json"),
    ]);
    for architecture in kit.architectures() {
        let debian = if *architecture == "x86_64" { "amd64" } else { "arm64" };
        expected.insert(format!("zaudit_{VERSION}_{debian}.deb"));
        for kind in ["", "-debug"] {
            expected.insert(format!("zaudit-{VERSION}-linux-{architecture}{kind}.tar.gz"));
        }
    }
    let found = files(&kit.dist)?;
    ensure!(found == expected, "{found:?}\nexpected: {expected:?}");
    let sums = done(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&kit.dist))?;
    let checked = sums.lines().filter(|line| line.ends_with(": OK")).count();
    ensure!(checked == expected.len() - 1, sums);
    Ok(())
}

/// The released files need what they may need, and the check finds it if they need more.
fn floor(kit: &Kit) -> Result<()> {
    let check = |architecture: &str, folder: &Path, path: &str| {
        let script = repository().join("scripts/release_elf.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).args(["check", architecture]).arg(folder).arg(path);
        Said::of(&mut command)
    };
    let folder = Folder::fresh()?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, folder.0.join(name)).map(drop).map_err(|error| error.to_string())
    };
    for architecture in kit.architectures() {
        copy(&kit.library(architecture), "libzaudit.so")?;
        copy(&kit.command(architecture), "zaudit")?;
        let target = target_dir();
        let said = check(architecture, &folder.0, &target.to_string_lossy())?;
        ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    }
    // A path that both contain, another processor, and files that are not made for this.
    let other = if kit.all { "x86_64" } else { "aarch64" };
    let said = check(other, &folder.0, "/proc/self/")?;
    ensure!(said.code == Some(1), "{said:?}");
    for fault in
        ["libzaudit.so for", "zaudit for", "is for machine", "contains the path /proc/self"]
    {
        ensure!(said.stderr.contains(fault), "no {fault:?} in {said:?}");
    }
    let jdk = kit.env.default_jdk();
    copy(&jdk.home.join("lib/server/libjvm.so"), "libzaudit.so")?;
    copy(&jdk.tool("java"), "zaudit")?;
    let said = check("x86_64", &folder.0, "/no such path")?;
    ensure!(said.code == Some(1), "{said:?}");
    for fault in ["exports ", "does not export Agent_OnLoad", "is not static", "has an interpreter"]
    {
        ensure!(said.stderr.contains(fault), "no {fault:?} in {said:?}");
    }
    Ok(())
}

/// The archive has what an installation has, of root, and the command finds the library.
fn archive(kit: &Kit) -> Result<()> {
    for architecture in kit.architectures() {
        let found = files(&kit.installed(architecture))?;
        let expected = INSTALLED.into_iter().map(String::from).collect();
        ensure!(found == expected, "{found:?}\nexpected: {expected:?}");
        let name = kit.dist.join(format!("zaudit-{VERSION}-linux-{architecture}.tar.gz"));
        let list = done(Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(name))?;
        let strange = list.lines().find(|line| !line.contains(" 0/0 "));
        ensure!(strange.is_none(), "not of root: {strange:?}");
    }
    let mut version = Command::new(kit.command("x86_64"));
    let version = done(version.arg("--version").env_remove("ZAUDIT_LIBRARY"))?;
    ensure!(version == format!("zaudit {VERSION}\n"), version);
    let java = kit.env.default_jdk().tool("java");
    let mut run = Command::new(kit.command("x86_64"));
    run.args(["run", "help", "--"]).arg(java).arg("-version").env_remove("ZAUDIT_LIBRARY");
    let said = Said::of(&mut run)?;
    ensure!(said.stderr.contains("usage: java -agentpath:"), "{said:?}");
    let licences = kit.installed("x86_64").join("share/doc/zaudit/THIRD-PARTY-LICENSES");
    let licences = String::from_utf8_lossy(&read(&licences)?).into_owned();
    for name in ["\nhashbrown ", "\nclap ", "\njvmti-bindings ", "\nRust's standard ", "\nmusl, in"]
    {
        ensure!(licences.contains(name), "no licence of {name}");
    }
    ensure!(!licences.contains("\nlibtest-mimic "), "what only tests use is not in a release");
    // The symbols are those of these very files.
    let debug = format!("zaudit-{VERSION}-linux-x86_64-debug.tar.gz");
    let folder = Folder::fresh()?;
    unpack(&kit.dist.join(debug), &folder.0, &["--strip-components=1"])?;
    for (stripped, symbols) in
        [(kit.library("x86_64"), "libzaudit.so.debug"), (kit.command("x86_64"), "zaudit.debug")]
    {
        let id = |file: &Path| {
            done(Command::new("readelf").arg("-n").arg(file)).map(|notes| {
                notes.lines().find_map(|line| Some(line.split_once("Build ID: ")?.1.to_owned()))
            })
        };
        let (own, other) = (id(&stripped)?, id(&folder.0.join(symbols))?);
        ensure!(own.is_some() && own == other, "{symbols}: {own:?} and {other:?}");
    }
    Ok(())
}

fn manual_pages(kit: &Kit) -> Result<()> {
    for (page, word) in [("man1/zaudit.1", "attach"), ("man7/zaudit-options.7", "gc_roots")] {
        let page = kit.installed("x86_64").join("share/man").join(page);
        let mut groff = Command::new("groff");
        let said = Said::of(groff.args(["-man", "-ww", "-Tutf8"]).arg(&page))?;
        ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
        ensure!(said.stdout.contains(word), "no {word} in\n{}", said.stdout);
    }
    Ok(())
}

const BASH: (&str, &str) = ("bash-completion/completions/zaudit", ". \"$0\" && complete -p zaudit");
const ZSH: (&str, &str) = ("zsh/site-functions/_zaudit", "zsh -n \"$0\"");
const FISH: (&str, &str) = ("fish/vendor_completions.d/zaudit.fish", "fish -n $argv[1]");

/// A shell takes its completions.
fn completions(kit: &Kit, shell: &str, (file, script): (&str, &str)) -> Result<()> {
    let file = kit.installed("x86_64").join("share").join(file);
    let said = Said::of(Command::new(shell).args(["-c", script]).arg(&file))?;
    ensure!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    Ok(())
}

fn package(kit: &Kit) -> PathBuf {
    kit.dist.join(format!("zaudit_{VERSION}_amd64.deb"))
}

/// Installs the package in a root of its own, runs it there, and removes it without a trace.
fn debian_package(kit: &Kit) -> Result<()> {
    let root = Folder::fresh()?;
    let admin = root.0.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(admin.join(folder)).map_err(|error| error.to_string())?;
    }
    // What every Debian has.
    let libc = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n\
                Maintainer: x\nVersion: 2.17-1\nDescription: x\n\n";
    fs::write(admin.join("status"), libc).map_err(|error| error.to_string())?;
    let dpkg = |words: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", root.0.display())).args(words);
        done(command.args((words == ["-i"]).then(|| package(kit))))
    };
    dpkg(&["-i"])?;
    let list = dpkg(&["-L", "zaudit"])?;
    for name in ["/usr/bin/zaudit", "/usr/lib/libzaudit.so", "/usr/share/man/man1/zaudit.1.gz"] {
        ensure!(list.lines().any(|line| line == name), "no {name} in\n{list}");
    }
    let jdk = kit.env.default_jdk();
    let fixture = kit.env.fixture("NeverEnded")?;
    let usr = root.0.join("usr");
    let run = [usr.join("bin/zaudit").into_os_string(), "run".into(), "gc".into(), "--".into()];
    let ended = Jvm::new(jdk, fixture)?.under(run).run()?;
    ensure!(ended.stderr().contains("SUMMARY: zaudit: LEAK: 3 Inflaters"), "{ended}");
    dpkg(&["-V", "zaudit"])?;
    dpkg(&["-r", "zaudit"])?;
    dpkg(&["-P", "zaudit"]).or_else(|why| {
        // Without configuration files, removed is purged.
        if why.contains("not installed") { Ok(String::new()) } else { Err(why) }
    })?;
    let mut left = files(&root.0)?;
    left.retain(|name| !name.starts_with("var/lib/dpkg/"));
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// The same with the dpkg of Debian 11, and with its Java.
fn bullseye_package(kit: &Kit) -> Result<()> {
    let folder = Folder::fresh()?;
    let copy = folder.0.join("zaudit.deb");
    fs::copy(package(kit), &copy).map_err(|error| error.to_string())?;
    let script = "
        set -e
        dpkg -i zaudit.deb
        trap 'dpkg -P zaudit >&2' EXIT
        zaudit --version
        zaudit run gc -- java -version
        dpkg -r zaudit
        dpkg -P zaudit
        trap - EXIT
        ! ls /usr/bin/zaudit /usr/lib/libzaudit.so /usr/share/doc/zaudit 2>&1";
    let mut words = kit.in_bullseye(&folder.0)?;
    words.extend(["sh", "-c", script].map(OsString::from));
    let mut command = Command::new(&words[0]);
    let said = Said::of(command.args(&words[1..]))?;
    let (out, err) = (&said.stdout, &said.stderr);
    ensure!(
        said.code == Some(0)
            && out.contains(&format!("zaudit {VERSION}\n"))
            && err.contains("SUMMARY: zaudit: "),
        "{said:?}"
    );
    Ok(())
}

/// The image layout is whole: each digest and size is right. The layer's command installs.
fn image(kit: &Kit) -> Result<()> {
    let layout = Folder::fresh()?;
    unpack(&kit.dist.join(format!("zaudit-{VERSION}-oci.tar")), &layout.0, &[])?;
    let blob = |descriptor: &Value| -> Result<PathBuf> {
        let digest = descriptor["digest"].as_str().and_then(|it| it.strip_prefix("sha256:"));
        let digest = digest.ok_or_else(|| format!("no digest: {descriptor}"))?;
        let path = layout.0.join("blobs/sha256").join(digest);
        let sum = done(Command::new("sha256sum").arg(&path))?;
        ensure!(sum.starts_with(digest), "{} is {sum}", path.display());
        let size = read(&path)?.len();
        ensure!(descriptor["size"] == size, "{size} bytes: {descriptor}");
        Ok(path)
    };
    let top = json(&layout.0.join("index.json"))?;
    ensure!(json(&layout.0.join("oci-layout"))?["imageLayoutVersion"] == "1.0.0", "no layout");
    let images = json(&blob(&top["manifests"][0])?)?;
    let images = images["manifests"].as_array().cloned().unwrap_or_default();
    ensure!(images.len() == kit.architectures().len(), "{images:?}");
    let mut blobs = 1;
    for image in &images {
        let manifest = json(&blob(image)?)?;
        let config = json(&blob(&manifest["config"])?)?;
        ensure!(config["architecture"] == image["platform"]["architecture"], "{config}");
        ensure!(manifest["layers"].as_array().is_some_and(|it| it.len() == 1), "{manifest}");
        let layer = blob(&manifest["layers"][0])?;
        let sum = "gzip -dc \"$0\" | sha256sum";
        let sum = done(Command::new("sh").args(["-c", sum]).arg(&layer))?;
        let digest = config["rootfs"]["diff_ids"][0].as_str().unwrap_or_default();
        ensure!(format!("sha256:{}", &sum[..64]) == digest, "{sum} and {digest}");
        blobs += 3;
        if config["architecture"] != "amd64" {
            continue;
        }
        let (root, volume) = (Folder::fresh()?, Folder::fresh()?);
        unpack(&layer, &root.0, &[])?;
        let outside = files(&root.0)?.into_iter().find(|name| !name.starts_with("zaudit/"));
        ensure!(outside.is_none(), "outside of /zaudit: {outside:?}");
        let entry = config["config"]["Entrypoint"][0].as_str().unwrap_or_default();
        let mut install = Command::new(root.0.join(entry.trim_start_matches('/')));
        done(install.arg("install").arg(&volume.0).env_remove("ZAUDIT_LIBRARY"))?;
        for (name, original) in
            [("zaudit", kit.command("x86_64")), ("libzaudit.so", kit.library("x86_64"))]
        {
            ensure!(read(&volume.0.join(name))? == read(&original)?, "{name} is another one");
        }
    }
    let all = files(&layout.0.join("blobs"))?.len();
    ensure!(all == blobs, "{all} blobs, {blobs} of them reachable");
    Ok(())
}

/// The bill of materials is one, and has the crates of the binaries and no others.
fn bill_of_materials(kit: &Kit) -> Result<()> {
    let path = kit.dist.join(format!("zaudit-{VERSION}.cdx.json"));
    let input = fs::File::open(&path).map_err(|error| error.to_string())?;
    let said = Said::of(kit.readers.command("cyclonedx")?.stdin(input))?;
    ensure!(said.code == Some(0), "{said:?}");
    let bill = json(&path)?;
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<&str> = components.iter().filter_map(|it| it["name"].as_str()).collect();
    for name in ["zaudit", "zaudit-cli", "zaudit-core", "hashbrown", "clap", "libc"] {
        ensure!(names.contains(name), "no {name} in {names:?}");
    }
    for name in ["fastrand", "libtest-mimic", "zaudit-tests"] {
        ensure!(!names.contains(name), "{name} is not in a release");
    }
    let own = |it: &Value| it["name"].as_str().is_some_and(|name| name.starts_with("zaudit"));
    let bare = components.iter().find(|it| !own(it) && it["hashes"][0]["content"].is_null());
    ensure!(bare.is_none(), "without a checksum: {bare:?}");
    let known: BTreeSet<&str> = components.iter().filter_map(|it| it["bom-ref"].as_str()).collect();
    for node in bill["dependencies"].as_array().into_iter().flatten() {
        let mut needed = node["dependsOn"].as_array().into_iter().flatten();
        let unknown = needed.find(|it| it.as_str().is_none_or(|it| !known.contains(it)));
        ensure!(unknown.is_none(), "{unknown:?} is no component");
    }
    Ok(())
}

/// The examples of the documentation are objects of Kubernetes.
fn kubernetes(kit: &Kit) -> Result<()> {
    let page = String::from_utf8_lossy(&read(&repository().join("docs/install.md"))?).into_owned();
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    ensure!(examples.len() == 2, "{} examples", examples.len());
    let folder = Folder::fresh()?;
    let file = folder.0.join("object.yaml");
    let check = |text: &str| {
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let mut command = kit.readers.command("kubernetes-validate")?;
        Said::of(command.args(["--strict", "-k", "1.35"]).arg(&file))
    };
    for example in &examples {
        let said = check(example)?;
        ensure!(said.code == Some(0), "{said:?} of\n{example}");
    }
    let said = check(&examples[0].replace("emptyDir", "emptyDirectory"))?;
    ensure!(said.code != Some(0), "it checks nothing: {said:?}");
    Ok(())
}

/// The loader of musl finds every symbol that the library needs, and runs the command.
fn musl(kit: &Kit) -> Result<()> {
    let list = |library: &Path| {
        Said::of(Command::new(kit.platforms.path("musl")?).args(["--list"]).arg(library))
    };
    let said = list(&kit.library("x86_64"))?;
    ensure!(said.code == Some(0) && !said.stderr.contains("Error"), "{said:?}");
    // The check can fail: a library that cargo alone has built needs the loader of glibc.
    let said = list(&agent::faulty_library()?)?;
    ensure!(said.code != Some(0) && said.stderr.contains("Error"), "{said:?}");
    Ok(())
}
