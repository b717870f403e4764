//! Tests that fail if they leak: real builds under Maven Surefire, of the projects in
//! `java-fixtures/junit`.
//!
//! `docs/junit.md` explains what they show. Invariant: a build counts only by the reports that
//! Surefire has written, and each names all tests of its classes: one that did not run is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use zaudit_tests::child::Folder;
use zaudit_tests::ensure;
use zaudit_tests::java_agent::JavaAgent;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::maven;
use zaudit_tests::suite::{self, TestEnv, case_needing, on_jdk};
use zaudit_tests::{Result, repository};

/// Releases of Surefire, the newest of the two lines that are in use, each with one of Jupiter:
/// Surefire 2.22 brings a launcher that later ones do not run with.
const SUREFIRE: [(&str, &str); 2] = [("3.5.2", "5.14.0"), ("2.22.2", "5.6.3")];

/// What the cases run on: a JDK, and releases of Jupiter and Surefire.
const CASES: [(u32, &str, &str); 3] =
    [(8, "5.6.3", "2.22.2"), (17, "5.14.0", "3.5.2"), (25, "6.0.0", "3.5.2")];

fn main() -> ExitCode {
    suite::main(|env| {
        let mut trials = env.missing();
        for (major, jupiter, surefire) in CASES {
            // A JDK that is not there was counted already.
            let Some(jdk) = env.jdks.iter().find(|jdk| jdk.major == major) else { continue };
            trials.extend(SUREFIRE.map(|(surefire, jupiter)| {
                let name = format!("libraries::surefire_{surefire}");
                on_jdk(env, jdk, &name, &[], move |env, jdk| libraries(env, jdk, jupiter, surefire))
            }));
            trials.push(on_jdk(env, jdk, "cases", &[], move |env, jdk| {
                cases(env, jdk, jupiter, surefire)
            }));
        }
        let default = env.default_jdk();
        trials.push(case_needing(env, "surefire_parallel", &[], default, surefire_parallel));
        trials.push(case_needing(env, "cannot_attach", &[], default, cannot_attach));
        trials
    })
}

/// What became of a test: whether it failed, and with what text.
type Tests = BTreeMap<String, Option<String>>;

/// A copy of the projects, and what Maven said of them.
struct Build {
    passed: bool,
    output: String,
    /// Keeps the folder.
    place: Folder,
}

impl Build {
    /// Runs the tests of these modules.
    fn of(env: &TestEnv, jdk: &Jdk, modules: &str, words: &[String]) -> Result<Self> {
        let place = Folder::fresh()?;
        copy(&repository().join("java-fixtures/junit"), &place.0)?;
        let agent = JavaAgent::ready(env)?;
        let jars = agent.jar.parent().ok_or("the jar is in no folder")?;
        let run = |offline: &[&str]| {
            let mut mvn = maven::mvn();
            mvn.arg("--fail-at-end")
                .args(offline)
                .args(["test", "-pl", modules])
                .arg(format!("-Dzaudit.jars={}", jars.display()))
                .arg(format!("-Djvm={}", jdk.tool("java").display()))
                .args(words)
                .current_dir(&place.0);
            maven::run(&mut mvn)
        };
        let said = |output: &std::process::Output| {
            String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
        };
        let mut output = run(&["-o"])?;
        if said(&output).contains("offline mode") {
            // One at a time: Maven does not expect others to write to its repository.
            static DOWNLOADING: Mutex<()> = Mutex::new(());
            let _turn = DOWNLOADING.lock().unwrap_or_else(PoisonError::into_inner);
            output = run(&[])?;
        }
        Ok(Self { passed: output.status.success(), output: said(&output), place })
    }

    /// The tests in the reports of one execution of a module.
    fn tests(&self, module: &str, execution: &str) -> Result<Tests> {
        let folder = self.place.0.join(module).join("target").join(execution);
        let failed =
            |error: std::io::Error| format!("{}: {error}\n{}", folder.display(), self.output);
        let mut tests = Tests::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "xml") {
                read(&fs::read_to_string(&path).map_err(failed)?, &mut tests);
            }
        }
        Ok(tests)
    }

    /// Exactly these tests ran. Those that are marked with `!` have failed because they leak, and
    /// one with `?` for another reason.
    fn expect(&self, module: &str, execution: &str, expected: &[&str]) -> Result<()> {
        let tests = self.tests(module, execution)?;
        let mark = |(name, failure): (&String, &Option<String>)| {
            let leaks =
                failure.as_ref().map(|text| text.contains("type=\"zaudit.junit.ZlibLeakError\""));
            match leaks {
                None => name.clone(),
                Some(true) => format!("!{name}"),
                Some(false) => format!("?{name}"),
            }
        };
        let found: BTreeSet<String> = tests.iter().map(mark).collect();
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        ensure!(
            found == expected,
            "{module} {execution}: unexpected {:#?}\nmissing {:#?}\n{}",
            found.difference(&expected).collect::<Vec<_>>(),
            expected.difference(&found).collect::<Vec<_>>(),
            self.output
        );
        Ok(())
    }
}

/// The tests of a report. Releases of Surefire write parameters in several ways, and a class as a
/// test without a name or with that of the class.
fn read(report: &str, tests: &mut Tests) {
    for part in report.split("<testcase ").skip(1) {
        let attribute = |name: &str| {
            let rest = part.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let (name, class) = (format!(" {part}"), attribute("classname"));
        let name = name.split_once(" name=\"").map_or("", |(_, rest)| rest);
        let name = name.split('"').next().unwrap_or_default();
        let class_name = class.trim_start_matches("shop.");
        let plain: String = match name.split_once(['(', '{']) {
            Some((method, rest)) => {
                let rest = rest.split_once([')', '}']).map_or("", |(_, rest)| rest);
                format!("{method}{rest}")
            }
            None => name.to_owned(),
        };
        let test = if name.is_empty() || name == class {
            class_name.to_owned()
        } else {
            format!("{class_name}.{plain}")
        };
        let own = part.split("</testcase>").next().unwrap_or_default();
        let failed = own.contains("<failure") || own.contains("<error");
        tests.insert(test, failed.then(|| own.to_owned()));
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            // What a build by hand left.
            if entry.file_name() != "target" {
                fs::create_dir_all(&target).map_err(failed)?;
                copy(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), &target).map_err(failed)?;
        }
    }
    Ok(())
}

/// One named test of each library fails with the release that leaks, and none with the next one.
fn libraries(env: &TestEnv, jdk: &Jdk, jupiter: &str, surefire: &str) -> Result<()> {
    let words = [format!("-Djupiter.version={jupiter}"), format!("-Dsurefire.version={surefire}")];
    let build = Build::of(env, jdk, "leaky,fixed", &words)?;
    build.expect(
        "leaky",
        "surefire-reports",
        &[
            "!LibrariesTest.commonsCompress",
            "!LibrariesTest.hdrHistogram",
            "!LibrariesTest.jjwt",
            "LibrariesTest.noLibrary",
        ],
    )?;
    build.expect(
        "fixed",
        "surefire-reports",
        &[
            "LibrariesTest.commonsCompress",
            "LibrariesTest.hdrHistogram",
            "LibrariesTest.jjwt",
            "LibrariesTest.noLibrary",
        ],
    )?;
    if jdk.major == 17 {
        page(&build)?;
    }
    let tests = build.tests("leaky", "surefire-reports")?;
    let text = |name: &str| tests.get(name).cloned().flatten().unwrap_or_default();
    for (name, words) in [
        (
            "LibrariesTest.commonsCompress",
            &[
                "1 Deflater and 1 Inflater were not ended when shop.LibrariesTest.commonsCompress()",
                "org.apache.commons.compress.compressors.deflate.DeflateCompressorInputStream",
                "hint: DeflateCompressorInputStream creates this Inflater in its constructor",
            ][..],
        ),
        (
            "LibrariesTest.hdrHistogram",
            &[
                "1 Inflater was not ended when shop.LibrariesTest.hdrHistogram() was over",
                "org.HdrHistogram.AbstractHistogram.decodeFromCompressedByteBuffer",
                "in AbstractHistogram.decodeFromCompressedByteBuffer();",
            ],
        ),
        (
            "LibrariesTest.jjwt",
            &[
                "1 Deflater was not ended when shop.LibrariesTest.jjwt() was over",
                "io.jsonwebtoken.impl.compression.DeflateCompressionCodec.doCompress",
                "in DeflateCompressionCodec.doCompress();",
            ],
        ),
    ] {
        let text = text(name);
        for words in words {
            ensure!(text.contains(words), "{name} does not say {words:?}: {text}");
        }
    }
    Ok(())
}

/// The ways in which tests run, and the options.
fn cases(env: &TestEnv, jdk: &Jdk, jupiter: &str, surefire: &str) -> Result<()> {
    let words = [format!("-Djupiter.version={jupiter}"), format!("-Dsurefire.version={surefire}")];
    let build = Build::of(env, jdk, "cases", &words)?;
    // It has no annotation in it; the agent attaches.
    build.expect("cases", "default-test", &ANNOTATED)?;
    let methods = ["!MethodTest.leaks", "MethodTest.ends", "MethodTest.isNotChecked"];
    let per_class = ["PerClassTest.ends", "PerClassTest.endsToo"];
    build.expect(
        "cases",
        "agent",
        &[
            &methods[..],
            &per_class,
            &["FixtureTest.ends", "!FixtureTest", "!FourTest.leaks", "FourTest.ends"],
        ]
        .concat(),
    )?;
    build.expect(
        "cases",
        "parallel",
        &[
            "!ParallelTest.leaks",
            "ParallelTest.ends",
            "ParallelTest.leaksTheSecond[1]",
            "!ParallelTest.leaksTheSecond[2]",
        ],
    )?;
    build.expect(
        "cases",
        "forks",
        &[&["!FieldTest.leaks", "FieldTest.ends"][..], &per_class].concat(),
    )?;
    let unchecked = ["MethodTest.leaks", "MethodTest.ends", "MethodTest.isNotChecked"];
    build.expect("cases", "rules", &unchecked)?;
    build.expect("cases", "off", &unchecked)?;
    let report = ["PlainTest.leaks", "PlainTest.ends", "FourPlainTest.leaks"];
    build.expect("cases", "report", &report)?;
    let fail = ["!PlainTest", "!PlainTest.leaks", "PlainTest.ends"];
    build.expect("cases", "fail", &fail)?;
    let said = |text: &str| build.output.lines().filter(|line| line.contains(text)).count();
    for (text, times) in [
        // With report, and not with fail, where the test itself says so.
        ("zaudit: 1 Deflater was not ended when shop.PlainTest.leaks() was over", 1),
        ("zaudit: 1 Deflater was created during shop.PlainTest, by none of its tests", 1),
        // With report, and with fail.
        ("zaudit: 1 Deflater was not ended when shop.FourPlainTest.leaks() was over", 2),
    ] {
        ensure!(said(text) == times, "{text:?} not {times} times: {}", build.output);
    }
    let failed = "There was an error in the forked process";
    ensure!(!build.passed && said(failed) > 0, "the run does not fail: {}", build.output);
    Ok(())
}

const ANNOTATED: [&str; 25] = [
    "!AnnotatedTest",
    "AnnotatedTest.ends",
    "!AnnotatedTest.leaks",
    "!AnnotatedTest.leaksWhatTheCollectorFrees",
    "?AnnotatedTest.leaksAndFails",
    "!AnnotatedTest.leaksAndIsAborted",
    "!AnnotatedTest.leaksOnAnExecutor",
    "!AnnotatedTest.leaksOnAnOldThread",
    "!AnnotatedTest.leaksOnAThreadWithoutItsFrames",
    "!AnnotatedTest.leaksOnAVirtualThread",
    "!AnnotatedTest.leaksWhileItsTimeIsLimited",
    "AnnotatedTest.waitsForAnotherThread",
    "AnnotatedTest.letsThePoolWork",
    "AnnotatedTest.leaksTheSecond[1]",
    "!AnnotatedTest.leaksTheSecond[2]",
    "AnnotatedTest.leaksTheSecond[3]",
    "!AnnotatedTest.leaksRepeatedly[1]",
    "!AnnotatedTest.leaksRepeatedly[2]",
    "AnnotatedTest.leaksTheThird[1]",
    "AnnotatedTest.leaksTheThird[2]",
    "!AnnotatedTest.leaksTheThird[3]",
    "!AnnotatedTest.leaksInTheFactory",
    "AnnotatedTest.leaksInTheFactory[1]",
    "!AnnotatedTest$Inner.leaks",
    "AnnotatedTest$Inner.ends",
];

/// JUnit 4 alone, with a rule, and its methods on threads of Surefire's.
fn surefire_parallel(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let build = Build::of(env, jdk, "four", &[])?;
    build.expect("four", "surefire-reports", &["!ParallelFourTest.leaks", "ParallelFourTest.ends"])
}

/// Where no command can attach, the tests fail with what to do.
fn cannot_attach(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let words = ["-DargLine=-XX:+DisableAttachMechanism".into()];
    let build = Build::of(env, jdk, "four", &words)?;
    let text = format!("{:?}", build.tests("four", "surefire-reports")?);
    for words in ["cannot attach to this JVM", "&lt;argLine&gt;-javaagent:", "jvmArgs"] {
        ensure!(text.contains(words), "not {words:?}: {text}\n{}", build.output);
    }
    Ok(())
}

/// What the page shows is what is said, apart from times and lines of the JDK.
fn page(build: &Build) -> Result<()> {
    let page = fs::read_to_string(repository().join("docs/junit.md"))
        .map_err(|error| format!("docs/junit.md: {error}"))?;
    let example = page.split_once("## What a failure looks like").map_or("", |(_, rest)| rest);
    let example = example.split("```").nth(1).unwrap_or_default();
    let varies = ["[ERROR]", "1 live, holding", "java.util.zip.", "more frames"];
    let lines: Vec<&str> = example
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !varies.iter().any(|part| line.contains(part)))
        .collect();
    let strange: Vec<&&str> = lines.iter().filter(|line| !build.output.contains(**line)).collect();
    ensure!(lines.len() > 8 && strange.is_empty(), "not said: {strange:#?}\n{}", build.output);
    Ok(())
}
