//! A build whose walk has one wrong offset (`ZAUDIT_FAULT=walk-FIELD+8`).
//!
//! Invariant: the program does not notice, and no wrong stack comes from such a walk. Health says
//! so, unless the walk never came to a stack.

use super::{Walk, is_turn_of};
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::TestEnv;
use zaudit_tests::{Result, agent, ensure};

/// Fields of the walk's layout that every stack needs.
const FIELDS: [&str; 19] = [
    "frame",
    "frame_size",
    "shift",
    "stack_base",
    "anchor_sp",
    "anchor_fp",
    "wrapper_slot",
    "wrapper_sp",
    "method_slot",
    "position_slot",
    "block_header",
    "blob_name",
    "compiled_method",
    "const_method",
    "constants",
    "pool_holder",
    "method_ids",
    "env",
    "wrapper_pc",
];

/// Each fault on the release whose turn it is.
pub(super) fn caught(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (index, field) in FIELDS.iter().enumerate() {
        for (by, index) in [("+8", index), ("-8", index + 1)] {
            if is_turn_of(env, jdk, 0, index)? {
                let fault = format!("walk-{field}{by}");
                sabotaged(env, jdk, &fault).map_err(|why| format!("{fault}: {why}"))?;
            }
        }
    }
    Ok(())
}

fn sabotaged(env: &TestEnv, jdk: &Jdk, fault: &str) -> Result<()> {
    let library = agent::faulty_library()?;
    let fixture = env.fixture("RandomStacks")?;
    let jvm = Jvm::new(jdk, fixture)?.args(&["1000"]).env("ZAUDIT_FAULT", fault);
    let ended = jvm.audited(&library, "walk=check").run()?;
    ensure!(ended.printed() == "ended\n" && ended.code() == 0, ended.to_string());
    let report = ended.unhealthy_report()?;
    let walk = Walk::of(&report)?;
    if walk.stacks > 0 {
        ensure!(walk.state == "failed" && !report.health.ok, "not noticed: {walk:?}");
    }
    if walk.state == "failed" {
        let reason = walk.reason.unwrap_or_default();
        ensure!(!reason.is_empty(), "no reason: {ended}");
        // Stacks of which the wrong field is no part may be right. But none may be wrong.
        ensure!(!reason.contains("had led to another stack"), "{reason}: {ended}");
    }
    Ok(())
}
