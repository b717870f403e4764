//! Profiles in the hands of `go tool pprof` and of speedscope's importer.
//!
//! Invariant: sums are compared to the unit; only lateness, which is rounded at each site, may be
//! off by one a site.

use crate::{Kit, Run, bytes_each, hostile, leaked, number, speedscope, written};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use zaudit_core::options::Format;
use zaudit_tests::Result;
use zaudit_tests::child::Folder;
use zaudit_tests::command::Said;
use zaudit_tests::ensure;

/// In the order of the profile.
const SAMPLE_TYPES: [&str; 6] =
    ["leaked_objects", "leaked_space", "live_objects", "live_space", "alloc_objects", "lateness"];

/// What `go tool pprof` prints. Its own folder is a new one, so that nothing of the user's is read.
fn pprof(kit: &Kit, words: &[&str], files: &[&Path]) -> Result<String> {
    let folder = Folder::fresh()?;
    let mut command = kit.tools.command("go")?;
    if let Ok(dot) = kit.tools.path("dot") {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", dot.parent().unwrap_or(dot).display()));
    }
    command.env("PPROF_TMPDIR", &folder.0).env("XDG_CONFIG_HOME", &folder.0).current_dir(&folder.0);
    let said = Said::of(command.args(["tool", "pprof"]).args(words).args(files))?;
    // It says where it writes.
    ensure!(said.code == Some(0), "{words:?}: {said:?}");
    Ok(said.stdout)
}

/// The sums of the sample types, from what `-raw` prints of each sample.
fn sums(raw: &str) -> Result<[i64; 6]> {
    let samples = raw.lines().skip_while(|line| !line.starts_with("Samples:")).skip(2);
    let samples = samples.take_while(|line| !line.starts_with("Locations"));
    let mut sums = [0; 6];
    for line in samples.filter_map(|line| line.split_once(": ").map(|(values, _)| values)) {
        // Labels stand in lines of their own, `kind:[inflater]`.
        let Ok(values) = line
            .split_whitespace()
            .map(str::parse::<i64>)
            .collect::<std::result::Result<Vec<_>, _>>()
        else {
            continue;
        };
        ensure!(values.len() == sums.len(), "{line:?} in\n{raw}");
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    Ok(sums)
}

/// The same from the JSON reports of the same snapshots.
fn reported(runs: &[&Run]) -> Result<([f64; 6], f64)> {
    let (mut sums, mut sites) = ([0.0; 6], 0.0);
    for run in runs {
        let json = run.json()?;
        let each = |site: &Value| bytes_each(&json, site["kind"].as_str().unwrap_or_default());
        let more = [
            run.sum(leaked)?,
            run.sum(|site| leaked(site) * each(site))?,
            run.sum(|site| number(site, "live"))?,
            run.sum(|site| number(site, "bytes_held"))?,
            run.sum(|site| number(site, "created"))?,
            run.sum(|site| number(site, "lateness_byte_seconds") / 1_024.0)?,
        ];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sites += run.sum(|_| 1.0)?;
    }
    Ok((sums, sites))
}

fn ensure_equal(raw: &str, runs: &[&Run]) -> Result<()> {
    let (found, (expected, sites)) = (sums(raw)?, reported(runs)?);
    for (at, name) in SAMPLE_TYPES.into_iter().enumerate() {
        let off = (found[at] as f64 - expected[at]).abs();
        let right = if name == "lateness" { off <= sites } else { off == 0.0 };
        ensure!(right, "{name} is {}, the report says {}\n{raw}", found[at], expected[at]);
    }
    ensure!(found[0] > 0 && found[4] > 0, "nothing in it:\n{raw}");
    Ok(())
}

pub(crate) fn sums_are_the_report_s(kit: &Kit) -> Result<()> {
    for program in ["SiteVariety", "GzipForgotten", "LiveAtExit"] {
        let run = kit.run(program)?;
        let raw = pprof(kit, &["-raw"], &[&run.path("pb.gz")])?;
        let (found, (expected, _)) = (sums(&raw)?, reported(&[&run])?);
        for at in 0..5 {
            ensure!(found[at] as f64 == expected[at], "{program}: {found:?} {expected:?}\n{raw}");
        }
        // Every frame of the JSON report, with file and line.
        let json = run.json()?;
        let frames = json["sites"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|site| site["frames"].as_array().into_iter().flatten());
        for frame in frames.chain(json["frame_table"].as_array().into_iter().flatten()) {
            let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
            let line = format!(
                "{}.{} {}:{}:0",
                text("class"),
                text("method"),
                text("file"),
                frame["line"]
            );
            ensure!(raw.contains(&line), "no {line} in\n{raw}");
        }
        // What is worth a look comes first.
        let first =
            if found[0] > 0 { "leaked_space/bytes[dflt]" } else { "live_space/bytes[dflt]" };
        ensure!(raw.contains(first), "no {first} in\n{raw}");
    }
    Ok(())
}

pub(crate) fn several_jvms_add_up(kit: &Kit) -> Result<()> {
    let runs = [kit.run("SiteVariety")?, kit.run("GzipForgotten")?, kit.run("SiteVariety")?];
    let runs: Vec<&Run> = runs.iter().collect();
    let paths: Vec<_> = runs.iter().map(|run| run.path("pb.gz")).collect();
    let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
    ensure_equal(&pprof(kit, &["-raw"], &paths)?, &runs)?;
    let top = pprof(kit, &["-top", "-cum", "-sample_index=leaked_objects"], &paths)?;
    let total = runs.iter().map(|run| run.sum(leaked)).sum::<Result<f64>>()?;
    ensure!(top.contains(&format!("Total samples = {total}")), "{total}:\n{top}");
    // The same line of two JVMs is one line.
    let twice = runs[0].sum(leaked)? * 2.0;
    let row = top.lines().find(|line| line.ends_with("SiteVariety.sloppy"));
    ensure!(row.is_some_and(|row| row.split_whitespace().nth(3) == Some(&twice.to_string())), {
        format!("{twice}:\n{top}")
    });
    let tags = pprof(kit, &["-tags", "-sample_index=alloc_objects"], &paths)?;
    for tag in
        ["severity:", "kind:", "thread:", ": leak", ": clean", ": inflater", ": deflater", ": main"]
    {
        ensure!(tags.contains(tag), "no {tag} in\n{tags}");
    }
    Ok(())
}

pub(crate) fn nothing_is_left_of_a_difference(kit: &Kit) -> Result<()> {
    let (one, other) = (kit.run("SiteVariety")?, kit.run("SiteVariety")?);
    let base = format!("-base={}", one.path("pb.gz").display());
    for (file, left) in
        [(other.path("pb.gz"), 0.0), (kit.run("GzipForgotten")?.path("pb.gz"), f64::NAN)]
    {
        let top = pprof(kit, &[&base, "-top", "-sample_index=leaked_objects"], &[&file])?;
        let nothing = top.contains("Total samples = 0 ");
        ensure!(nothing == (left == 0.0), top.clone());
    }
    Ok(())
}

pub(crate) fn picture(kit: &Kit) -> Result<()> {
    let run = kit.run("GzipForgotten")?;
    let svg = pprof(kit, &["-svg", "-output=/dev/stdout"], &[&run.path("pb.gz")])?;
    for text in ["</svg>", "GzipForgotten", "pack", "Type: leaked_space"] {
        ensure!(svg.contains(text), "no {text} in\n{svg}");
    }
    Ok(())
}

pub(crate) fn hostile_names(kit: &Kit) -> Result<()> {
    let (_folder, path) = written(&hostile(), Format::Pprof, "r.pb.gz")?;
    for words in [&["-raw"][..], &["-top"], &["-tags"], &["-svg", "-output=/dev/stdout"]] {
        let text = pprof(kit, words, &[&path])?;
        // The only line breaks and no other control characters: those of the program itself.
        let odd = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        ensure!(odd.is_none() && !text.contains('\u{202e}'), "{words:?}: {odd:?} in\n{text}");
        if words[0] == "-svg" {
            ensure!(!text.contains("<script>alert"), text.clone());
        }
    }
    let raw = pprof(kit, &["-raw"], &[&path])?;
    ensure!(sums(&raw)?[..5] == [1, 40_032, 0, 0, 1], raw.clone());
    Ok(())
}

/// It shows one sample type, the one that the profile names.
pub(crate) fn speedscope_agrees(kit: &Kit) -> Result<()> {
    let run = kit.run("GzipForgotten")?;
    let (path, stacks) = (run.path("pb.gz"), run.path("collapsed"));
    let (_folder, hostile) = written(&hostile(), Format::Pprof, "hostile.pb.gz")?;
    let read = speedscope(kit, &[&path, &stacks, &hostile])?;
    let json = run.json()?;
    let space = run
        .sum(|site| leaked(site) * bytes_each(&json, site["kind"].as_str().unwrap_or_default()))?;
    let expected = [
        ("r.pb.gz", "bytes", space),
        ("r.collapsed", "none", run.sum(leaked)?),
        ("hostile.pb.gz", "bytes", 40_032.0),
    ];
    for (at, (file, unit, weight)) in expected.into_iter().enumerate() {
        let found = &read[at];
        let right = found["file"] == file && found["unit"] == unit && found["weight"] == weight;
        ensure!(right, "{file} {unit} {weight}: {found}");
    }
    let frames: BTreeMap<String, f64> =
        serde_json::from_value(read[0]["frames"].clone()).map_err(|error| error.to_string())?;
    ensure!(frames.get("GzipForgotten.main") == Some(&space), "{frames:?}");
    Ok(())
}
