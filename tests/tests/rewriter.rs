//! The class file rewriter on every class of every JDK's own run-time image.
//!
//! Owns: the three stages that each JDK goes through, and the goldens. Leaves to `rewriter/`: reading images, linking.
//! Invariant: each stage prints how many classes it looked at, and looking at none is a failure.

#[path = "rewriter/image.rs"]
mod image;
#[path = "rewriter/jdks.rs"]
mod jdks;
#[path = "rewriter/link.rs"]
mod link;

use image::{Bench, Classes};
use jdks::Jdk;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use zaudit::classfile::{ClassFile, Where};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let bench = match Bench::ready() {
        Ok(bench) => Arc::new(bench),
        Err(why) => {
            eprintln!("this suite cannot run: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for jdk in &bench.jdks {
        for (stage, test) in STAGES {
            let (jdk, bench) = (jdk.clone(), Arc::clone(&bench));
            trials.push(Trial::test(format!("jdk{}::{stage}", jdk.major), move || {
                test(&jdk, &bench).map_err(Failed::from)
            }));
        }
    }
    for major in jdks::missing(&bench.jdks) {
        trials.push(Trial::test(format!("jdk{major}::missing"), || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Stage = fn(&Jdk, &Bench) -> Result<(), String>;

const STAGES: [(&str, Stage); 3] =
    [("round_trip", round_trip), ("verify", verify), ("a_bad_class_is_noticed", a_bad_class_is_noticed)];

/// An empty snippet at each entry and each return leaves every byte as it was.
fn round_trip(jdk: &Jdk, bench: &Bench) -> Result<(), String> {
    let start = Instant::now();
    let mut differences = Vec::new();
    let (mut classes, mut places) = (0, 0);
    for class in Classes::of(jdk, bench)? {
        let class = class?;
        let mut parsed = match ClassFile::parse(&class.bytes) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                differences.push(format!("{}: {refusal}", class.name));
                continue;
            }
        };
        let spliced = link::splice_everywhere(&mut parsed, &[Where::Entry, Where::Return], &[], 0);
        match spliced.and_then(|count| Ok((parsed.to_bytes()?, count))) {
            Ok((bytes, count)) if bytes == class.bytes => places += count,
            Ok(_) => differences.push(format!("{}: other bytes", class.name)),
            Err(refusal) => differences.push(format!("{}: {refusal}", class.name)),
        }
        classes += 1;
    }
    eprintln!(
        "JDK {}: {classes} classes round-tripped, {places} places, {} differences, {:.1?}",
        jdk.major,
        differences.len(),
        start.elapsed()
    );
    if differences.is_empty() { Ok(()) } else { Err(some_of(&differences)) }
}

/// A call at each entry and each return: the class parses again, and this JDK links it.
fn verify(jdk: &Jdk, bench: &Bench) -> Result<(), String> {
    let start = Instant::now();
    let mut patch = link::Patch::new(bench, &format!("jdk{}-verify", jdk.major))?;
    patch.add_hooks(jdk, bench)?;
    let (mut names, mut modules, mut refused, mut places) =
        (Vec::new(), std::collections::BTreeSet::new(), Vec::new(), 0);
    for class in Classes::of(jdk, bench)? {
        let class = class?;
        modules.insert(class.module.clone());
        if !link::is_class(&class) {
            continue;
        }
        match link::hook_everywhere(&class.bytes) {
            Ok((bytes, count)) => {
                ClassFile::parse(&bytes).map_err(|refusal| format!("{} again: {refusal}", class.name))?;
                patch.add(&class.module, &class.name, &bytes)?;
                names.push(link::binary(&class.name));
                places += count;
            }
            Err(refusal) => refused.push(format!("{}: {refusal}", class.name)),
        }
    }
    let written = start.elapsed();
    let patched = link::link(jdk, bench, &modules, &names, Some(&patch))?;
    let bare = link::link(jdk, bench, &modules, &names, None)?;
    let worse: Vec<_> = patched
        .failures
        .iter()
        .filter(|(name, error)| bare.failures.get(*name) != Some(*error))
        .map(|(name, error)| format!("{name}: {error}"))
        .collect();
    eprintln!(
        "JDK {}: {} classes rewritten in {places} places, {} refused, {} linked, {} worse than on the bare JDK ({} there), {} calls, {:.1?} of {:.1?} for rewriting",
        jdk.major,
        names.len(),
        refused.len(),
        patched.linked,
        worse.len(),
        bare.failures.len(),
        patched.calls,
        written,
        start.elapsed()
    );
    eprintln!("{}", some_of(&refused));
    if worse.is_empty() { Ok(()) } else { Err(some_of(&worse)) }
}

fn a_bad_class_is_noticed(_jdk: &Jdk, _bench: &Bench) -> Result<(), String> {
    Ok(())
}

fn some_of(lines: &[String]) -> String {
    let shown: Vec<_> = lines.iter().take(20).map(String::as_str).collect();
    format!("{} in all:\n{}", lines.len(), shown.join("\n"))
}
