//! The class file rewriter on the classes of every JDK's own run-time image.
//!
//! Owns: the stages that each JDK goes through, and the goldens. Leaves to `rewriter/`: reading
//! images, linking. Invariant: each stage prints how many classes it looked at, and looking at none
//! is a failure.

mod image;
mod jar;
mod link;
mod shapes;

use image::{Classes, Workspace};
use libtest_mimic::{Arguments, Failed, Trial};
use link::{Linked, Patch};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use zaudit_classfile::{ClassFile, Where};
use zaudit_instrument::{self as instrument, Callback, Identity};
use zaudit_tests::jdks::Jdk;
use zaudit_tests::suite;

fn main() -> ExitCode {
    match trials() {
        Ok(trials) => libtest_mimic::run(&Arguments::from_args(), trials).exit_code(),
        Err(why) => {
            eprintln!("this suite cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, String> {
    let workspace = Arc::new(Workspace::ready()?);
    let mut trials = suite::missing(&workspace.jdks);
    for jdk in &workspace.jdks {
        let trial = |(name, test): (&str, Stage)| {
            let (jdk, workspace) = (jdk.clone(), Arc::clone(&workspace));
            Trial::test(format!("jdk{}::{name}", jdk.major), move || {
                test(&jdk, &workspace).map_err(Failed::from)
            })
        };
        trials.extend(STAGES.map(trial));
        let bad = trial(("a_bad_class_is_noticed", a_bad_class_is_noticed));
        trials.push(suite::in_table(jdk.place(), 0, bad)?);
    }
    let listing = shapes::jdk(&workspace);
    for (golden, method) in shapes::GOLDENS {
        let name = format!("golden::{golden}");
        let (jdk, workspace) = (listing.cloned(), Arc::clone(&workspace));
        trials.push(match jdk {
            Some(jdk) => Trial::test(name, move || {
                shapes::golden(&workspace, &jdk, golden, method).map_err(Failed::from)
            }),
            None => suite::ignored(name, "needs JDK 11 or later"),
        });
    }
    trials.push(Trial::test("character_ranges", move || {
        shapes::character_ranges(&workspace).map_err(Failed::from)
    }));
    Ok(trials)
}

type Stage = fn(&Jdk, &Workspace) -> Result<(), String>;

const STAGES: [(&str, Stage); 3] =
    [("round_trip", round_trip), ("verify", verify), ("hooks", hooks)];

/// An empty snippet at each entry and each return leaves every byte as it was. Four JDKs in turn
/// share out the classes, here and below; with more rounds, each has more of them.
fn round_trip(jdk: &Jdk, workspace: &Workspace) -> Result<(), String> {
    let start = Instant::now();
    let mut differences = Vec::new();
    let (mut classes, mut places) = (0, 0);
    for class in Classes::of(jdk, workspace)? {
        let class = class?;
        if !has_turn(jdk, &class.name)? {
            continue;
        }
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
    if differences.is_empty() && classes > 0 { Ok(()) } else { Err(some_of(&differences)) }
}

/// A call at each entry and each return: the class parses again, and this JDK links it.
fn verify(jdk: &Jdk, workspace: &Workspace) -> Result<(), String> {
    let start = Instant::now();
    let mut patch = Patch::new(jdk, workspace, "verify")?;
    patch.add_hooks(&workspace.hooks()?)?;
    let (mut names, mut modules, mut places) = (Vec::new(), BTreeSet::new(), 0);
    let mut refused = Vec::new();
    for class in Classes::of(jdk, workspace)? {
        let class = class?;
        modules.insert(class.module.clone());
        if !link::is_class(&class) || !has_turn(jdk, &class.name)? {
            continue;
        }
        match link::hook_everywhere(&class.bytes) {
            Ok((bytes, count)) => {
                ClassFile::parse(&bytes)
                    .map_err(|refusal| format!("{} again: {refusal}", class.name))?;
                patch.add(&class.module, &class.name, &bytes)?;
                names.push(link::binary(&class.name));
                places += count;
            }
            // No class of a JDK is so near the format's limits that it cannot take a few calls.
            Err(refusal) => refused.push(format!("{}: {refusal}", class.name)),
        }
    }
    let written = start.elapsed();
    let rewritten = link::link(jdk, workspace, &modules, &names, Some(&mut patch))?;
    // Some classes of some JDKs need types that are not there; they fail on the bare JDK too, in
    // the same way.
    let bare = if rewritten.failures.is_empty() {
        Linked::default()
    } else {
        link::link(jdk, workspace, &modules, &names, None)?
    };
    let worse: Vec<_> = rewritten
        .failures
        .iter()
        .filter(|(name, error)| {
            is_ours(error) || bare.failures.get(*name).map(|error| kind(error)) != Some(kind(error))
        })
        .map(|(name, error)| format!("{name}: {error}"))
        .collect();
    eprintln!(
        "JDK {}: {} classes rewritten in {places} places, {} refused, {} linked, {} fail that did not before, \
         {} calls made, {:.1?} ({written:.1?} to rewrite)",
        jdk.major,
        names.len(),
        refused.len(),
        rewritten.linked,
        worse.len(),
        rewritten.calls,
        start.elapsed()
    );
    if names.is_empty() || rewritten.calls == 0 {
        return Err("the rewritten classes were not used".into());
    }
    if worse.is_empty() && refused.is_empty() {
        Ok(())
    } else {
        Err(some_of(&[worse, refused].concat()))
    }
}

/// Whether it is this release's turn to try a class of this name.
fn has_turn(jdk: &Jdk, name: &str) -> Result<bool, String> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    suite::has_turn((hasher.finish() % 4) as usize, jdk.place() % 4, 4)
}

/// The class of an error that is listed as `class<tab>message`.
fn kind(error: &str) -> &str {
    error.split('\t').next().unwrap_or(error)
}

/// Errors that no class of a JDK has by itself.
fn is_ours(error: &str) -> bool {
    ["java.lang.VerifyError", "java.lang.ClassFormatError"].contains(&kind(error))
}

/// A class that pops from an empty stack, one in each module: the patch is looked at and the
/// verifier is on.
fn a_bad_class_is_noticed(jdk: &Jdk, workspace: &Workspace) -> Result<(), String> {
    let mut patch = Patch::new(jdk, workspace, "bad")?;
    let mut bad = BTreeMap::new();
    let mut modules = BTreeSet::new();
    for class in Classes::of(jdk, workspace)? {
        let class = class?;
        modules.insert(class.module.clone());
        // A JVM starts without Adler32, and without most of the other modules.
        let base = ["", "java.base"].contains(&class.module.as_str());
        if !link::is_class(&class) || (base && class.name != "java/util/zip/Adler32") {
            continue;
        }
        let mut parsed = ClassFile::parse(&class.bytes).map_err(|refusal| refusal.to_string())?;
        let pop = [87];
        let places = link::splice_everywhere(&mut parsed, &[Where::Entry], &pop, 0);
        if places.map_err(|refusal| refusal.to_string())? > 0 {
            let bytes = parsed.to_bytes().map_err(|refusal| refusal.to_string())?;
            bad.insert(class.module, (class.name, bytes));
        }
    }
    let mut names = Vec::new();
    for (module, (name, bytes)) in &bad {
        patch.add(module, name, bytes)?;
        names.push(link::binary(name));
    }
    let linked = link::link(jdk, workspace, &modules, &names, Some(&mut patch))?;
    let noticed =
        linked.failures.values().filter(|error| kind(error) == "java.lang.VerifyError").count();
    eprintln!("JDK {}: {noticed} of {} bad classes noticed", jdk.major, names.len());
    let least = if jdk.major == 8 { 1 } else { 20 };
    if noticed == names.len() && noticed >= least { Ok(()) } else { Err(format!("{linked:?}")) }
}

/// The real hooks in this JDK's real classes: every one finds its place, and all that comes of it
/// links.
fn hooks(jdk: &Jdk, workspace: &Workspace) -> Result<(), String> {
    let modules = hooks_by(jdk, workspace, Identity::Address, "by-address")?;
    hooks_by(jdk, workspace, Identity::Tag, "by-tag")?;
    let mut patch = Patch::new(jdk, workspace, "helper")?;
    patch.add_hooks(&instrument::helper_class())?;
    let linked =
        link::link(jdk, workspace, &modules, &["zaudit.Hooks".to_owned()], Some(&mut patch))?;
    if linked.linked == 1 { Ok(()) } else { Err(format!("the helper class: {linked:?}")) }
}

fn hooks_by(
    jdk: &Jdk,
    workspace: &Workspace,
    identity: Identity,
    folder: &str,
) -> Result<BTreeSet<String>, String> {
    let mut patch = Patch::new(jdk, workspace, folder)?;
    // JDK 8 inflates while it starts, so these hooks need a class whose methods are there.
    patch.add_hooks(&workspace.hooks()?)?;
    let mut names = Vec::new();
    let mut modules = BTreeSet::new();
    for class in Classes::of(jdk, workspace)? {
        let class = class?;
        modules.insert(class.module.clone());
        if !hooked(jdk.major).any(|target| target == class.name) {
            continue;
        }
        let out = instrument::instrument(&class.name, &class.bytes, identity)
            .map_err(|refusal| refusal.to_string())?;
        let placed: Vec<_> =
            out.placed.iter().map(|placed| (placed.method.as_str(), placed.callback)).collect();
        if placed != expected(&class.name, jdk.major, identity) || !out.missing.is_empty() {
            return Err(format!("{}: {:?}, missing {:?}", class.name, out.placed, out.missing));
        }
        patch.add(&class.module, &class.name, &out.bytes)?;
        names.push(link::binary(&class.name));
    }
    let linked = link::link(jdk, workspace, &modules, &names, Some(&mut patch))?;
    if linked.linked == hooked(jdk.major).count() as u64 {
        Ok(modules)
    } else {
        Err(format!("{names:?}: {linked:?}"))
    }
}

/// The classes that are hooked in this JDK. JDK 8 has no class for each native stream, and a
/// `ZipFile` there lends its Inflaters itself. Its zip file systems are an extension, which is not
/// read here; the suite `e2e` has their fixtures.
fn hooked(major: u32) -> impl Iterator<Item = &'static str> {
    instrument::targets().filter(move |target| match *target {
        instrument::ZIP_FILE => major == 8,
        instrument::ZIPFS_8 => false,
        instrument::ZIPFS => major > 8,
        target => major > 8 || !target.contains('$'),
    })
}

/// Where the hooks of a class are. By tag, the other constructors delegate to these.
fn expected(class: &str, major: u32, identity: Identity) -> Vec<(&'static str, Callback)> {
    use Callback as C;
    let (kind, constructor, by_address) = match class {
        "java/util/zip/Inflater" => {
            let hooks = [C::InflaterCreated, C::InflaterEnded, C::InflaterEndedAgain];
            ("own", "<init>(Z)V", hooks)
        }
        "java/util/zip/Deflater" => {
            let hooks = [C::DeflaterCreated, C::DeflaterEnded, C::DeflaterEndedAgain];
            ("own", "<init>(IZ)V", hooks)
        }
        "java/util/zip/Inflater$InflaterZStreamRef" => ("stream", "", [C::InflaterEnded; 3]),
        "java/util/zip/Deflater$DeflaterZStreamRef" => ("stream", "", [C::DeflaterEnded; 3]),
        instrument::ZIP_FILE | instrument::ZIP_FILE_RESOURCE | instrument::ZIPFS => {
            return vec![
                ("getInflater()Ljava/util/zip/Inflater;", C::Lent),
                ("releaseInflater(Ljava/util/zip/Inflater;)V", C::GivenBack),
            ];
        }
        instrument::PROVIDER => {
            let constructor = if major < 24 { "<init>(Ljava/lang/Void;)V" } else { "<init>()V" };
            return vec![(constructor, C::ProviderCreated)];
        }
        _ => return vec![("halt(I)V", C::Ending), ("shutdown()V", C::Ending)],
    };
    let [created, ended, again] = by_address;
    match (identity, kind) {
        (Identity::Tag, "own") => vec![(constructor, C::Created), ("end()V", C::Ended)],
        (Identity::Tag, _) => Vec::new(),
        (Identity::Address, "own") if major == 8 => {
            vec![(constructor, created), ("end()V", ended), ("end()V", again)]
        }
        (Identity::Address, "own") => vec![(constructor, created), ("end()V", again)],
        (Identity::Address, _) => vec![("run()V", ended)],
    }
}

fn some_of(lines: &[String]) -> String {
    let shown: Vec<_> = lines.iter().take(20).map(String::as_str).collect();
    format!("{} in all:\n{}", lines.len(), shown.join("\n"))
}
