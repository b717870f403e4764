//! What a rewritten method looks like: goldens of the shapes that are easily rewritten wrongly.
//!
//! Owns: `java-fixtures/tools/Shapes.java`, spliced and disassembled by the JDK's own javap, method
//! by method, against `tests/goldens/rewriter/`. Invariant: a golden that is missing fails;
//! `BLESS=1` writes it.
//!
//! javap and not a disassembler of ours: it shares no mistake with the rewriter. What it prints has
//! been the same from JDK 11 on, up to constant pool indexes and blanks, which are taken out; so
//! has what its javac compiles.

use crate::image::{Workspace, run};
use crate::link;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use zaudit_classfile::{ClassFile, Splice, Where};
use zaudit_tests::golden;
use zaudit_tests::jdks::{self, Jdk};
use zaudit_tests::repository;

/// Golden file and method. Four are the shapes that go wrong; the others are their smaller and
/// rarer cousins.
pub(crate) const GOLDENS: [(&str, &str); 6] = [
    ("many-returns", "manyReturns"),
    ("switch", "switches"),
    ("try-finally", "tryFinally"),
    ("jump-to-entry", "backToTheStart"),
    ("new-across-branch", "newAcrossBranch"),
    ("only-a-return", "nothing"),
];

/// The JDK whose compiler and javap make the listings, if one of them makes these.
pub(crate) fn jdk(workspace: &Workspace) -> Option<&Jdk> {
    jdks::default_jdk(&workspace.jdks).ok().filter(|jdk| jdk.major >= 11)
}

fn compiled(
    workspace: &Workspace,
    folder: &str,
    debug: &str,
) -> Result<(PathBuf, Vec<u8>), String> {
    let folder = workspace.scratch.join(folder);
    workspace.compile(&[repository().join("java-fixtures/tools/Shapes.java")], &folder, debug)?;
    let file = folder.join("Shapes.class");
    let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((file, bytes))
}

/// `ended` on entry and `created` before each return, so that a listing tells them apart.
fn spliced(bytes: &[u8]) -> Result<Vec<u8>, zaudit_classfile::Refusal> {
    let mut class = ClassFile::parse(bytes)?;
    for (name, at) in [("ended", Where::Entry), ("created", Where::Return)] {
        let call = class.pool_mut().method_ref("zaudit/Hooks", name, "(Ljava/lang/Object;)V")?;
        let [high, low] = call.to_be_bytes();
        for method in class.methods_mut().iter_mut().filter(|method| method.code().is_some()) {
            method.splice(Splice { at, code: vec![1, 184, high, low], stack: 1 })?;
        }
    }
    class.to_bytes()
}

/// Compares the listing of one method with its golden.
pub(crate) fn golden(
    workspace: &Workspace,
    jdk: &Jdk,
    golden: &str,
    method: &str,
) -> Result<(), String> {
    let (file, bytes) = compiled(workspace, golden, "-g")?;
    let bytes = spliced(&bytes).map_err(|refusal| refusal.to_string())?;
    fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    let listing = run(Command::new(jdk.tool("javap")).args(["-c", "-v", "-p"]).arg(&file))?;
    let actual =
        listing_of(&listing, method).ok_or_else(|| format!("no {method} in\n{listing}"))?;
    golden::golden(&repository().join(format!("tests/goldens/rewriter/{golden}.txt")), &actual)
}

/// The part of javap's listing that is about one method.
fn listing_of(listing: &str, method: &str) -> Option<String> {
    let start = listing.find(&format!(" {method}("))?;
    let start = listing[..start].rfind('\n')? + 1;
    let text = listing[start..].split("\n\n").next()?.trim_end_matches(['}', '\n']);
    let lines = text.lines().map(|line| without_indexes(line).trim_end().to_owned());
    Some(lines.map(|line| line + "\n").collect())
}

/// Takes out `#12`, and the blanks behind it up to the comment that says what it is.
fn without_indexes(line: &str) -> String {
    let mut parts = line.split('#');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let part = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(if part.contains("//") { part.trim_start() } else { part });
    }
    out
}

/// `javac -Xjcov` writes a table that nothing in a JDK has: it comes through unchanged too.
pub(crate) fn character_ranges(workspace: &Workspace) -> Result<(), String> {
    let (_, bytes) = compiled(workspace, "jcov", "-Xjcov")?;
    let table = b"CharacterRangeTable";
    if !bytes.windows(table.len()).any(|window| window == table) {
        return Err("javac wrote no CharacterRangeTable".into());
    }
    let mut class = ClassFile::parse(&bytes).map_err(|refusal| refusal.to_string())?;
    let spliced = link::splice_everywhere(&mut class, &[Where::Entry, Where::Return], &[], 0);
    let out = spliced.and_then(|_| class.to_bytes()).map_err(|refusal| refusal.to_string())?;
    if out == bytes { Ok(()) } else { Err("other bytes".into()) }
}
