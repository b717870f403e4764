//! One line a stack in the hands of `flamegraph.pl`, inferno and speedscope.
//!
//! Invariant: the picture's total is the report's number.

use crate::{Kit, filtered, hostile, leaked, number, rendered, speedscope, written};
use std::process::Command;
use zaudit_core::options::Format;
use zaudit_tests::Result;
use zaudit_tests::ensure;

/// The picture that each program draws of these stacks, without a complaint.
fn drawn(kit: &Kit, stacks: &[u8]) -> Result<[String; 2]> {
    let mut perl = Command::new("perl");
    perl.arg(kit.tools.path("flamegraph.pl")?);
    let mut inferno = kit.tools.command("inferno-flamegraph")?;
    Ok([filtered(&mut perl, stacks)?.done()?, filtered(&mut inferno, stacks)?.done()?])
}

pub(crate) fn pictures(kit: &Kit) -> Result<()> {
    // What leaked where something leaked, else what is live.
    for (program, root) in
        [("GzipForgotten", "leaked"), ("SiteVariety", "leaked"), ("LiveAtExit", "live")]
    {
        let run = kit.run(program)?;
        let total =
            if root == "leaked" { run.sum(leaked)? } else { run.sum(|site| number(site, "live"))? };
        let text = run.text("collapsed")?;
        for svg in drawn(kit, text.as_bytes())? {
            for title in
                [format!("<title>{root} ({total} samples, 100"), format!("<title>{program}.main:")]
            {
                ensure!(svg.contains(&title), "{program}: no {title} for\n{text}\n{svg}");
            }
        }
    }
    Ok(())
}

pub(crate) fn hostile_names(kit: &Kit) -> Result<()> {
    let (_folder, path) = written(&hostile(), Format::Collapsed, "r.collapsed")?;
    for svg in drawn(kit, &rendered(&hostile(), Format::Collapsed))? {
        ensure!(svg.contains("<title>leaked (1 samples, 100"), svg.clone());
        ensure!(!svg.contains("<script>alert") && !svg.contains("</script>\u{1F600}"), svg.clone());
        ensure!(!svg.contains(['\u{1b}', '\u{202e}', '\0']), svg.clone());
    }
    let read = speedscope(kit, &[&path])?;
    let frames = read[0]["frames"].as_object().map(serde_json::Map::len);
    ensure!(read[0]["weight"] == 1 && frames == Some(4), read.to_string());
    Ok(())
}
