//! A JDK in which classes of its own were rewritten, and which links each of them.
//!
//! Owns: jars of rewritten classes, starting a JVM on them, and comparing it with the same JVM on
//! its own classes. Invariant: a class that links on the bare JDK and not on the rewritten one is a
//! failure, whatever the error is.
//!
//! All modules are patched at once and the JVM *boots* on them, so java.base's rewritten code
//! really runs, hooks and all. `zaudit.Hooks` is patched into java.base in a package of its own,
//! and that package is exported to every module: a class on the boot class path's end would not do,
//! for java.base does not read the unnamed module. JDK 8 has no modules, and -Xbootclasspath/p does
//! all of it.

use crate::image::{ClassBytes, Workspace, run};
use crate::jar::Jar;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use zaudit_classfile::{ClassFile, Code, Refusal, Splice, Where};
use zaudit_tests::jdks::Jdk;

const RETURN: u8 = 177;

/// Jars of classes to put in front of a JDK's own: one for each module.
pub(crate) struct Patch {
    major: u32,
    folder: PathBuf,
    jars: BTreeMap<String, Jar>,
}

impl Patch {
    /// An empty one, in a folder of this name.
    pub(crate) fn new(jdk: &Jdk, workspace: &Workspace, name: &str) -> Result<Self, String> {
        let folder = workspace.scratch.join(format!("jdk{}-{name}", jdk.major));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { major: jdk.major, folder, jars: BTreeMap::new() })
    }

    /// Adds one class.
    pub(crate) fn add(&mut self, module: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let failed = |error| format!("{module}/{name}: {error}");
        let jar = match self.jars.entry(module.to_owned()) {
            Entry::Occupied(jar) => jar.into_mut(),
            Entry::Vacant(none) => none
                .insert(Jar::create(&self.folder.join(format!("{module}.jar"))).map_err(failed)?),
        };
        jar.add(&format!("{name}.class"), bytes).map_err(failed)
    }

    /// Adds `zaudit.Hooks`, which is anybody's to call.
    pub(crate) fn add_hooks(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.add(if self.major == 8 { "" } else { "java.base" }, "zaudit/Hooks", bytes)
    }

    /// Closes the jars; the flags that put them in front.
    fn flags(&mut self) -> Result<Vec<OsString>, String> {
        let mut flags = Vec::new();
        for (module, jar) in std::mem::take(&mut self.jars) {
            jar.finish().map_err(|error| format!("{module}.jar: {error}"))?;
            let mut flag = OsString::from(match self.major {
                8 => "-Xbootclasspath/p:".into(),
                _ => format!("--patch-module={module}="),
            });
            flag.push(self.folder.join(format!("{module}.jar")));
            flags.push(flag);
            if self.major > 8 {
                flags.push(format!("--add-exports=java.base/zaudit={module}").into());
            }
        }
        if self.major > 8 {
            flags.push("--add-exports=java.base/zaudit=ALL-UNNAMED".into());
        }
        Ok(flags)
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
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

/// Links these classes (binary names) in a JVM with all modules and the verifier on for its own
/// classes.
pub(crate) fn link(
    jdk: &Jdk,
    workspace: &Workspace,
    modules: &BTreeSet<String>,
    names: &[String],
    patch: Option<&mut Patch>,
) -> Result<Linked, String> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let list = workspace.scratch.join(format!("names-{number}"));
    fs::write(&list, names.join("\n")).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut java = Command::new(jdk.tool("java"));
    // What a JVM leaves behind when it crashes goes with the rest.
    java.current_dir(&workspace.scratch);
    java.args([
        "-XX:+UnlockDiagnosticVMOptions",
        "-XX:+BytecodeVerificationLocal",
        "-XX:+BytecodeVerificationRemote",
    ]);
    // Class files of version 50 would be handed to the old verifier, which does not look at frames.
    // Archived classes are not read from where the patch is.
    java.args(["-XX:+IgnoreUnrecognizedVMOptions", "-XX:-FailOverToOldVerifier", "-Xshare:off"]);
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    if jdk.major > 8 {
        let modules: Vec<_> = modules.iter().map(String::as_str).collect();
        java.arg(format!("--add-modules={}", modules.join(",")));
    }
    if let Some(patch) = patch {
        java.args(patch.flags()?);
    }
    let printed = run(java.arg("-cp").arg(&workspace.tools).arg("LinkClasses").arg(&list))?;
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
    // Every name is answered for, or something went past.
    if ended && linked.linked as usize + linked.failures.len() == names.len() {
        return Ok(linked);
    }
    Err(format!("{} names went in, and out came:\n{printed}", names.len()))
}

/// Splices `snippet` in at these places of every method that has code, and says in how many places
/// it stands.
pub(crate) fn splice_everywhere(
    class: &mut ClassFile<'_>,
    places: &[Where],
    snippet: &[u8],
    stack: u16,
) -> Result<usize, Refusal> {
    let mut count = 0;
    for method in class.methods_mut() {
        // HotSpot takes `Object.finalize()` for no finalizer because it is empty. With a call in it
        // every object would have one, and the JVM would not start.
        let code = method.code().map(Code::bytes);
        if code.is_none()
            || (!snippet.is_empty() && method.name() == "finalize" && code == Some(&[RETURN]))
        {
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
    let places =
        splice_everywhere(&mut class, &[Where::Entry, Where::Return], &[1, 184, high, low], 1)?;
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
