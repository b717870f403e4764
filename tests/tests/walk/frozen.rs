//! Stacks of virtual threads that have blocked: most of their frames are frozen.
//!
//! Invariant: not one of them differs from GetStackTrace, most are found by the walk, and a walk of
//! frozen frames that is wrong on purpose, or meets a GC pause, gives no wrong stack.

use super::{Test, Walk};
use libtest_mimic::Trial;
use zaudit_tests::child::Folder;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{Need, TestEnv, has_turn, per_jdk_needing, rounds, table};
use zaudit_tests::{Result, agent, ensure, other_agent};

/// Ways in which code comes to be, or objects are moved: the name, the first release, the flags,
/// how many instances each of 8 threads makes, and how deep their stacks are.
const FLAGS: [(&str, u32, &[&str], u32, u32); 15] = [
    ("frozen_g1", 21, &["-XX:+UseG1GC", "-Xmx64m"], 1_500, 60),
    // In this place it runs on 21, the only release in which ZGC has but one generation.
    ("frozen_zgc", 21, &["-XX:+UseZGC", "-Xmx128m"], 800, 60),
    ("frozen_parallel", 21, &["-XX:+UseParallelGC", "-Xmx64m"], 800, 60),
    ("frozen_serial", 21, &["-XX:+UseSerialGC", "-Xmx64m"], 800, 60),
    ("frozen_shenandoah", 21, &["-XX:+UseShenandoahGC", "-Xmx64m"], 800, 60),
    ("frozen_interpreted", 21, &["-Xint"], 800, 40),
    ("frozen_c1", 21, &["-XX:TieredStopAtLevel=1"], 800, 60),
    ("frozen_c2", 21, &["-XX:-TieredCompilation"], 800, 60),
    ("frozen_without_inlining", 21, &["-XX:-Inline"], 800, 60),
    ("frozen_small_code_cache", 21, &["-XX:ReservedCodeCacheSize=8m"], 800, 60),
    ("frozen_deep", 21, &["-XX:-Inline"], 300, 300),
    ("frozen_slow_accessors", 21, &["-XX:-UseFastJNIAccessors"], 500, 40),
    ("frozen_wide_references", 21, &["-XX:-UseCompressedOops"], 800, 60),
    ("frozen_generational", 21, &[GENERATIONAL, "-XX:+UseZGC", "-Xmx128m", "-Xint"], 500, 40),
    ("frozen_compact_headers", 24, &["-XX:+UnlockExperimentalVMOptions", COMPACT], 800, 60),
];

const COMPACT: &str = "-XX:+UseCompactObjectHeaders";

/// ZGC has been generational in any case since JDK 24, which warns of the flag.
const GENERATIONAL: &str = "-XX:+ZGenerational";

pub(super) fn trials(env: &TestEnv) -> Result<Vec<Trial>> {
    let since_21 = [Need::since(21)];
    let flags = FLAGS.map(|(name, since, flags, number, depth)| {
        let test = move |env: &TestEnv, jdk: &Jdk| {
            let known = |flag: &&&str| **flag != GENERATIONAL || jdk.major < 24;
            let flags: Vec<&str> = flags.iter().filter(known).copied().collect();
            compared(env, jdk, &flags, number, depth)
        };
        (name, [Need::since(since)], test)
    });
    let mut trials = table(env, per_jdk_needing(env, flags))?;
    let tests: [(&str, Test); 5] = [
        ("frozen_retransformed", retransformed),
        ("frozen_option", option),
        ("frozen_cut_stacks", cut_stacks),
        ("frozen_unsupported", unsupported),
        ("frozen_pauses", pauses),
    ];
    let tests = tests.map(|(name, test)| (name, since_21.clone(), test));
    trials.extend(table(env, per_jdk_needing(env, tests))?);
    trials.extend(per_jdk_needing(env, [("frozen_sabotage", since_21, sabotage)]));
    Ok(trials)
}

/// Random stacks; at least half of them must have been compared with their frozen frames.
fn compared(env: &TestEnv, jdk: &Jdk, flags: &[&str], number: u32, depth: u32) -> Result<()> {
    let number = rounds(number)?;
    let fixture = env.fixture("FrozenStacks")?;
    let arguments = [number.to_string(), depth.to_string(), "10".into()];
    let jvm = Jvm::new(jdk, fixture)?.flags(flags).args(&arguments.each_ref().map(String::as_str));
    let ended = jvm.audited(&env.library, "walk=check").run()?;
    ensure!(ended.printed() == "ended\n" && ended.code() == 0, ended.to_string());
    let walk = Walk::checked(&ended)?;
    let frozen = &walk.frozen;
    ensure!(frozen.state == "on" && frozen.mismatches == 0, "{walk:?}");
    ensure!(frozen.compared > u64::from(8 * number) / 2 && frozen.stacks > 0, "{walk:?}");
    Ok(())
}

/// The class of most frames is retransformed while they are frozen, also while a walk reads the ids
/// of its methods.
fn retransformed(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let folder = Folder::fresh()?;
    let fixture = env.fixture("FrozenStacks")?;
    let flag = retransforming(env, &folder)?;
    let slow = agent::faulty_library()?;
    for (library, fault, number, least) in
        [(&env.library, "", "500", 500), (&slow, "method-ids-sleep", "60", 0)]
    {
        let jvm = Jvm::new(jdk, fixture)?.flags([&flag]).args(&[number]);
        let ended = jvm.env("ZAUDIT_FAULT", fault).audited(library, "walk=check").run()?;
        ensure!(ended.printed().ends_with("ended\n") && ended.code() == 0, ended.to_string());
        let walk = Walk::checked(&ended)?;
        ensure!(walk.frozen.mismatches == 0 && walk.frozen.state == "on", "{fault}: {walk:?}");
        ensure!(walk.frozen.compared > least, "{fault}: {walk:?}");
        // Before, a class gets another list only if it needs a longer one, which this one does not.
        let is_hit = walk.fallbacks.contains_key("replaced method ids");
        ensure!(fault.is_empty() || jdk.major < 23 || is_hit, "not hit: {walk:?}");
    }
    Ok(())
}

/// The flag for another agent, made in this folder, which retransforms that class all the time.
fn retransforming(env: &TestEnv, folder: &Folder) -> Result<String> {
    let jar = other_agent::jar(env, &folder.0)?;
    Ok(format!("-javaagent:{}=on:FrozenStacks$Walker", jar.display()))
}

/// Without comparing.
fn option(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("FrozenStacks")?;
    for (options, is_on) in [("walk=frozen", true), ("walk=auto", AUTO), ("walk=off", false)] {
        let jvm = Jvm::new(jdk, fixture)?.args(&["1000"]);
        let ended = jvm.audited(&env.library, options).run()?;
        let walk = Walk::of(&ended.report()?)?;
        let expected = if is_on { "on" } else { "off" };
        ensure!(walk.frozen.state == expected, "{options}: {walk:?}");
        ensure!((walk.frozen.stacks > 1_000) == is_on, "{options}: {walk:?}");
    }
    Ok(())
}

/// Whether `walk=auto` walks frozen frames.
const AUTO: bool = true;

/// The walk ends among the frozen frames.
fn cut_stacks(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("FrozenStacks")?;
    let jvm = Jvm::new(jdk, fixture)?.args(&["500"]);
    let ended = jvm.audited(&env.library, "walk=check,depth=12").run()?;
    let walk = Walk::checked(&ended)?;
    ensure!(walk.frozen.compared > 1_000 && walk.frozen.mismatches == 0, "{walk:?}");
    Ok(())
}

/// Where made-up field ids must not be used, GetStackTrace is.
fn unsupported(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let fixture = env.fixture("FrozenStacks")?;
    let jvm = Jvm::new(jdk, fixture)?.flags(["-Xcheck:jni"]).args(&["100"]);
    let ended = jvm.audited(&env.library, "walk=frozen").run()?;
    ensure!(ended.code() == 0, ended.to_string());
    let walk = Walk::of(&ended.report()?)?;
    let reason = walk.frozen.reason.clone().unwrap_or_default();
    ensure!(reason == "the flag CheckJNICalls is on" && walk.frozen.stacks == 0, "{walk:?}");
    ensure!(walk.frozen.state == "unsupported", "{walk:?}");
    Ok(())
}

/// Threads sleep between two reads, while ZGC moves what they read. Without the test of the epoch
/// they read old memory; with it they notice.
fn pauses(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let library = agent::faulty_library()?;
    let fixture = env.fixture("FrozenStacks")?;
    let generational = (jdk.major < 24).then_some(GENERATIONAL);
    let run = |fault: &str, number: u32| {
        let number = rounds(number)?.to_string();
        let jvm = Jvm::new(jdk, fixture)?
            .flags(["-XX:+UseZGC", "-Xmx64m", "-Xint"])
            .flags(generational)
            .args(&[&number, "40", "1"])
            .env("ZAUDIT_FAULT", fault);
        jvm.audited(&library, "walk=check").run()
    };
    let ended = run("frozen-sleep", 400)?;
    ensure!(ended.printed() == "ended\n" && ended.code() == 0, ended.to_string());
    let walk = Walk::checked(&ended)?;
    let pauses = walk.fallbacks.get("GC pause").copied().unwrap_or(0);
    ensure!(pauses > 0 && walk.frozen.compared > 500, "{walk:?}");
    ensure!(walk.frozen.mismatches == 0 && walk.frozen.state == "on", "{walk:?}");
    ensure!(!walk.fallbacks.contains_key("an impossible frozen frame"), "{walk:?}");
    // Old memory is anything, and may even be followed to where nothing is, or be as it was: it may
    // take several runs until it is wrong.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let ended = run("frozen-sleep-without-epoch", 600)?;
        if ended.code() != 0 {
            return Ok(());
        }
        let walk = Walk::of(&ended.unhealthy_report()?)?;
        if walk.frozen.state == "failed" {
            return Ok(());
        }
        seen.push(walk);
    }
    Err(format!("the test cannot fail: {seen:?}"))
}

/// Fields of the layout, and by how much they are wrong.
const FIELDS: [(&str, &str); 7] = [
    ("frozen_words", "8"),
    ("frozen_shift", "1"),
    ("frozen_sp", "8"),
    ("frozen_method_slot", "1"),
    ("frozen_position_slot", "1"),
    ("frozen_entry", "8"),
    ("frozen_continuation", "8"),
];

/// Each fault switches off the walk of frozen frames, and nothing else. A release tries one sign of
/// each field, and the next release the other one; with more rounds, each tries both.
fn sabotage(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    for (index, (field, by)) in FIELDS.iter().enumerate() {
        // Before JDK 25 no table says where it is: it is learnt, and cannot be wrong.
        if *field == "frozen_entry" && jdk.major < 25 {
            continue;
        }
        for (sign, half) in [("+", 0), ("-", 1)] {
            if has_turn(index + jdk.place(), half, 2)? {
                let fault = format!("walk-{field}{sign}{by}");
                sabotaged(env, jdk, &fault, 250).map_err(|why| format!("{fault}: {why}"))?;
            }
        }
    }
    Ok(())
}

fn sabotaged(env: &TestEnv, jdk: &Jdk, fault: &str, number: u32) -> Result<()> {
    let library = agent::faulty_library()?;
    let fixture = env.fixture("FrozenStacks")?;
    let number = number.to_string();
    let jvm = Jvm::new(jdk, fixture)?.args(&[&number]).env("ZAUDIT_FAULT", fault);
    let ended = jvm.audited(&library, "walk=check").run()?;
    ensure!(ended.printed() == "ended\n" && ended.code() == 0, ended.to_string());
    let walk = Walk::of(&ended.unhealthy_report()?)?;
    let reason = walk.frozen.reason.clone().unwrap_or_default();
    ensure!(walk.state == "on" && walk.frozen.stacks == 0, "{walk:?}");
    ensure!(["failed", "unsupported"].contains(&&*walk.frozen.state), "not noticed: {walk:?}");
    ensure!(!reason.is_empty() && !reason.contains("had led to another stack"), "{walk:?}");
    Ok(())
}
