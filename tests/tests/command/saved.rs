//! `zaudit render`, `diff` and `merge` on reports that real JVMs have left.
//!
//! Invariant: what is made of a JSON report is what the agent itself made of the same run, byte for
//! byte.

use super::{Kit, Said};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zaudit_core::options::Format;
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::formats;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Kind, Report};

/// Runs a fixture to its end, and keeps its reports in a folder of the kit's.
fn run(kit: &Kit, jdk: &Jdk, fixture: &str, keep: &str) -> Result<PathBuf> {
    let folder = kit.folder.join(keep);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let options = format!("gc,min_age=1ms,{}", formats::files_in(&folder));
    let ended = Jvm::new(jdk, kit.env.fixture(fixture)?)?.agent(&kit.library, options).run()?;
    ensure!(ended.code() == 0, ended.to_string());
    Ok(folder)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn report(said: &str) -> Result<Report> {
    Report::parse(said)
}

pub fn rendered_as_the_agent_does(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let folder = run(kit, jdk, "Garbage", "rendered")?;
    let json = folder.join("r.json");
    let text = String::from_utf8_lossy(&read(&json)?).into_owned();
    let given = format!("\"options\": \"gc,min_age=1ms,{}\"", formats::files_in(&folder));
    ensure!(text.contains(&given), text.clone());
    ensure!(
        report(&text)?.sum(Kind::Inflater, |site| site.is_of("Garbage")).created == 12,
        text.clone()
    );
    for name in Format::ALL.map(formats::file) {
        let again = folder.join(format!("again-{name}"));
        let words = [Path::new("render"), &json, Path::new("--output"), &again];
        let said = kit.zaudit(words)?.done()?;
        ensure!(said.is_empty() && read(&again)? == read(&folder.join(&name))?, "{name} differs");
    }
    // Through a pipe, too; without a word it is text.
    let mut command = kit.command();
    let input = fs::File::open(&json).map_err(|error| error.to_string())?;
    let said = Said::of(command.args(["render", "-"]).stdin(input))?.done()?;
    ensure!(said.as_bytes() == read(&folder.join("r.txt"))?, said.clone());
    Ok(())
}

pub fn compared(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let [leaks, clean] = [("Garbage", "leaks"), ("Ended", "clean")]
        .map(|(fixture, keep)| run(kit, jdk, fixture, keep).map(|folder| folder.join("r.json")));
    let (leaks, clean) = (leaks?, clean?);
    let diff = |old: &Path, new: &Path, words: &[&str]| {
        kit.zaudit([Path::new("diff"), old, new].into_iter().chain(words.iter().map(Path::new)))
    };
    let said = diff(&leaks, &leaks, &[])?.done()?;
    ensure!(said.starts_with("SUMMARY: zaudit diff: nothing is new or has grown\n"), said.clone());
    let said = diff(&leaks, &clean, &[])?.done()?;
    ensure!(said.contains("\nGONE ") && !said.contains("\nNEW "), said.clone());
    let said = diff(&clean, &leaks, &[])?;
    ensure!(said.code == Some(1) && said.stderr.is_empty(), "{said:?}");
    ensure!(
        said.stdout.contains("\nNEW    leak    Garbage.once(Garbage.java:"),
        said.stdout.clone()
    );
    let said = diff(&clean, &leaks, &["--format", "json"])?;
    let json: serde_json::Value =
        serde_json::from_str(&said.stdout).map_err(|error| error.to_string())?;
    let site = &json["sites"][0];
    let right = json["worse"] == true && site["change"] == "new" && site["new"]["leaked"] == 10;
    ensure!(said.code == Some(1) && right && site["old"].is_null(), said.stdout.clone());
    Ok(())
}

pub fn summed_up(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let mut parts = Vec::new();
    for (fixture, keep) in [("Garbage", "one"), ("Garbage", "two"), ("Ended", "three")] {
        parts.push(run(kit, jdk, fixture, keep)?.join("r.json"));
    }
    let paths = || parts.iter().map(PathBuf::as_path);
    let words = || {
        [Path::new("merge"), Path::new("--format"), Path::new("json")].into_iter().chain(paths())
    };
    // What must hold in every report is checked with it: above all, that it adds up.
    let merged = report(&kit.zaudit(words())?.done()?)?;
    let mut sums = [0, 0];
    for path in paths() {
        let part = report(&String::from_utf8_lossy(&read(path)?))?;
        sums[0] += part.totals.inflater.counts.created;
        sums[1] += part.totals.inflater.counts.collected + part.totals.inflater.counts.late;
    }
    let total = &merged.totals.inflater.counts;
    ensure!([total.created, total.collected + total.late] == sums, "{sums:?} and {total:?}");
    let site =
        merged.sites.iter().find(|site| site.is_of("Garbage")).ok_or("no site of the fixture")?;
    ensure!(site.counts.created == 24 && site.counts.collected == 20, site.describe());
    // In any format, and with a word where it is one report twice.
    let twice = kit.zaudit([Path::new("merge"), &parts[0], &parts[0]])?;
    let right = twice.code == Some(0) && twice.stdout.contains("2 reports merged");
    ensure!(right && twice.stderr.contains("look like reports of one run"), "{twice:?}");
    Ok(())
}

pub fn no_reports(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let folder = run(kit, jdk, "Ended", "refused")?;
    let [json, text, nothing] = ["r.json", "r.txt", "nowhere"].map(|name| folder.join(name));
    let other = folder.join("other.json");
    let newer =
        String::from_utf8_lossy(&read(&json)?).replace("zaudit-report/1", "zaudit-report/9");
    fs::write(&other, newer).map_err(|error| error.to_string())?;
    for (path, words) in [
        (&text, "not a zaudit JSON report"),
        (&nothing, "No such file"),
        (&folder, "Is a directory"),
        (
            &other,
            "unsupported schema \"zaudit-report/9\"; this version of zaudit reads zaudit-report/1",
        ),
    ] {
        let path = path.as_path();
        kit.zaudit([Path::new("render"), path])?.refused(2, words)?;
        kit.zaudit([Path::new("merge"), &json, path])?.refused(2, words)?;
        kit.zaudit([Path::new("diff"), &json, path])?.refused(2, words)?;
    }
    let output = folder.join("not/there.html");
    kit.zaudit([Path::new("render"), &json, Path::new("--output"), &output])?
        .refused(1, "cannot write to")
}

/// Text has colours there, and what is no text is not written to it.
pub fn rendered_on_a_terminal(kit: &Kit, jdk: &Jdk) -> Result<()> {
    let json = run(kit, jdk, "Ended", "terminal")?.join("r.json");
    for (format, escapes, words) in [
        ("text", true, "SUMMARY: zaudit: no leaks"),
        ("json", false, "zaudit-report/1"),
        (
            "pprof",
            false,
            "zaudit: pprof is binary, and standard output is a terminal; name a file: --output",
        ),
    ] {
        let line = format!("{} render {} --format {format}", kit.zaudit.display(), json.display());
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        let said = Said::of(&mut script)?;
        let right = said.stdout.contains(words) && said.stdout.contains('\x1b') == escapes;
        ensure!(right, "{format}: {said:?}");
    }
    Ok(())
}
