//! A JDK whose own classes were all rewritten, and which links every one of them.
//!
//! Owns: folders of rewritten classes, starting a JVM on them, and comparing it with the same JVM on its own classes.
//! Invariant: a class that links on the bare JDK and not on the rewritten one is a failure, whatever the error is.
//!
//! All modules are patched at once and the JVM *boots* on them, so java.base's rewritten code really runs, hooks and
//! all. `zaudit.Hooks` is patched into java.base in a package of its own, and that package is exported to every module:
//! a class on the boot class path's end would not do, for java.base does not read the unnamed module. JDK 8 has no
//! modules, and -Xbootclasspath/p does all of it.

use crate::image::{Bench, ClassBytes, run};
use crate::jdks::Jdk;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use zaudit::classfile::{ClassFile, Code, Refusal, Splice, Where};

const RETURN: u8 = 177;

/// Folders of classes to put in front of a JDK's own: one for each module.
pub(crate) struct Patch {
    root: PathBuf,
    modules: BTreeSet<String>,
}

impl Patch {
    /// An empty one in a folder of this name, with the class that the hooks call.
    pub(crate) fn new(bench: &Bench, name: &str) -> Result<Self, String> {
        Ok(Self { root: bench.scratch.join(name), modules: BTreeSet::new() })
    }

    /// Adds one class.
    pub(crate) fn add(&mut self, module: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let file = self.folder(module).join(format!("{name}.class"));
        let failed = |error| format!("{}: {error}", file.display());
        // Most classes are neighbours of the last one.
        if fs::write(&file, bytes).is_err() {
            fs::create_dir_all(file.parent().unwrap_or(&self.root)).map_err(failed)?;
            fs::write(&file, bytes).map_err(failed)?;
        }
        self.modules.insert(module.to_owned());
        Ok(())
    }

    /// Adds `zaudit.Hooks`.
    pub(crate) fn add_hooks(&mut self, jdk: &Jdk, bench: &Bench) -> Result<(), String> {
        let bytes = fs::read(bench.tools.join("zaudit/Hooks.class")).map_err(|error| error.to_string())?;
        self.add(if jdk.major == 8 { "" } else { "java.base" }, "zaudit/Hooks", &bytes)
    }

    fn folder(&self, module: &str) -> PathBuf {
        self.root.join(if module.is_empty() { "rt" } else { module })
    }

    fn flags(&self, jdk: &Jdk) -> Vec<OsString> {
        let joined = |flag: String, path: &Path| {
            let mut flag = OsString::from(flag);
            flag.push(path);
            flag
        };
        if jdk.major == 8 {
            return vec![joined("-Xbootclasspath/p:".into(), &self.folder(""))];
        }
        let mut flags = Vec::new();
        for module in &self.modules {
            flags.push(joined(format!("--patch-module={module}="), &self.folder(module)));
            flags.push(format!("--add-exports=java.base/zaudit={module}").into());
        }
        flags.push("--add-exports=java.base/zaudit=ALL-UNNAMED".into());
        flags
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// What came of linking.
#[derive(Default, Debug)]
pub(crate) struct Linked {
    /// How many classes were linked.
    pub(crate) linked: u64,
    /// How often a hook was called meanwhile, when there are any.
    pub(crate) calls: u64,
    /// The classes that were not, and the errors.
    pub(crate) failures: BTreeMap<String, String>,
}

/// Links these classes (binary names) in a JVM with all modules and the verifier on for its own classes.
pub(crate) fn link(
    jdk: &Jdk,
    bench: &Bench,
    modules: &BTreeSet<String>,
    names: &[String],
    patch: Option<&Patch>,
) -> Result<Linked, String> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let list = bench.scratch.join(format!("names-{number}"));
    fs::write(&list, names.join("\n")).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut java = Command::new(jdk.tool("java"));
    java.args(["-XX:+UnlockDiagnosticVMOptions", "-XX:+BytecodeVerificationLocal", "-XX:+BytecodeVerificationRemote"]);
    // Class files of version 50 would be handed to the old verifier, which does not look at frames. Archived classes
    // are not read from where the patch is.
    java.args(["-XX:+IgnoreUnrecognizedVMOptions", "-XX:-FailOverToOldVerifier", "-Xshare:off"]);
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    if jdk.major > 8 {
        let modules: Vec<_> = modules.iter().map(String::as_str).collect();
        java.arg(format!("--add-modules={}", modules.join(",")));
    }
    if let Some(patch) = patch {
        java.args(patch.flags(jdk));
    }
    let printed = run(java.arg("-cp").arg(&bench.tools).arg("LinkClasses").arg(&list))?;
    let mut linked = Linked::default();
    let mut ended = false;
    for line in printed.lines() {
        if let Some((name, error)) = line.split_once('\t') {
            linked.failures.insert(name.to_owned(), error.to_owned());
        } else if let Some(number) = line.strip_prefix("linked ") {
            linked.linked = number.parse().map_err(|_| line.to_owned())?;
            ended = true;
        } else if let Some(number) = line.strip_prefix("calls ") {
            linked.calls = number.parse().map_err(|_| line.to_owned())?;
        }
    }
    if ended { Ok(linked) } else { Err(format!("LinkClasses did not come to its end:\n{printed}")) }
}

/// Splices `snippet` in at these places of every method that has code, and says in how many places it stands.
pub(crate) fn splice_everywhere(
    class: &mut ClassFile<'_>,
    places: &[Where],
    snippet: &[u8],
    stack: u16,
) -> Result<usize, Refusal> {
    let mut count = 0;
    for method in class.methods_mut() {
        // HotSpot takes `Object.finalize()` for no finalizer because it is empty. With a call in it every object would
        // have one, and the JVM would not start.
        let code = method.code().map(Code::bytes);
        if code.is_none() || (!snippet.is_empty() && method.name() == "finalize" && code == Some(&[RETURN])) {
            continue;
        }
        for &at in places {
            count += method.splice(Splice { at, code: snippet.to_vec(), stack })?;
        }
    }
    Ok(count)
}

/// `aconst_null; invokestatic zaudit/Hooks.created` at each entry and each return.
pub(crate) fn hook_everywhere(bytes: &[u8]) -> Result<(Vec<u8>, usize), Refusal> {
    let mut class = ClassFile::parse(bytes)?;
    if class.methods().iter().all(|method| method.code().is_none()) {
        return Ok((bytes.to_vec(), 0));
    }
    let call = class.pool_mut().method_ref("zaudit/Hooks", "created", "(Ljava/lang/Object;)V")?;
    let [high, low] = call.to_be_bytes();
    let places = splice_everywhere(&mut class, &[Where::Entry, Where::Return], &[1, 184, high, low], 1)?;
    Ok((class.to_bytes()?, places))
}

/// Binary name, as `Class.forName` has it.
pub(crate) fn binary(name: &str) -> String {
    name.replace('/', ".")
}

/// Whether the JVM can load it at all: module descriptors are class files of another kind.
pub(crate) fn is_class(class: &ClassBytes) -> bool {
    !class.name.ends_with("module-info")
}
