//! Another agent in the same JVM, which has the same classes transformed.
//!
//! Invariant: its transformation stays when ours comes, and when ours goes.

use super::{Kit, Test};
use std::ffi::OsString;
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::other_agent;
use zaudit_tests::report::Kind;
use zaudit_tests::suite;

/// None needs a later release than JDK 8.
pub const TESTS: &[(&str, u32, Test)] = &[
    ("other_agent_before", 8, |kit, jdk| other_agent(kit, jdk, "")),
    ("other_agent_all_the_time", 8, |kit, jdk| other_agent(kit, jdk, "=on")),
];

/// It changes what an Inflater says after its end.
fn other_agent(kit: &Kit, jdk: &Jdk, argument: &str) -> Result<()> {
    let jvm = kit.scripted(jdk)?;
    let mut flag = OsString::from("-javaagent:");
    flag.push(other_agent::jar(&kit.env, jvm.dir())?);
    flag.push(argument);
    let mut program = kit.start(jvm.flags([flag]))?;
    program.said.insert(0, "transformed".into());
    program.obey("churn 2")?;
    for _ in 0..suite::rounds(3)? {
        ensure_theirs(&program.answer("closed")?)?;
        program.zaudit("attach", &[])?;
        program.obey("window 40 25")?;
        ensure_theirs(&program.answer("closed")?)?;
        let report = program.report("disarm", &[])?;
        for kind in [Kind::Inflater, Kind::Deflater] {
            let window = report
                .sum(kind, |site| site.frames.iter().any(|f| f.to_string() == "Scripted.window"));
            let right = (window.created, window.ended, window.live) == (40, 25, 15);
            ensure!(right, "40 {kind}s made, 25 ended: {window:?}");
        }
        program.obey("release")?;
    }
    ensure_theirs(&program.answer("closed")?)?;
    program.wait_for_threads(&[])?;
    program.ensure_hooked(false)?;
    program.end().map(drop)
}

fn ensure_theirs(answer: &str) -> Result<()> {
    ensure!(answer == ": Inflater has been CLOSED", "their transformation is gone: {answer:?}");
    Ok(())
}
