//! What reports say of the ways in which a program creates instances: the frame that is blamed, and
//! the hint, on every JDK.
//!
//! Invariant: what is looked for in a hint is what its reader has to do, and names the method that
//! creates the instance.

use std::process::ExitCode;
use zaudit_tests::Result;
use zaudit_tests::child::Ended;
use zaudit_tests::ensure;
use zaudit_tests::jdks::Jdk;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::report::{Counts, Kind, Report, Severity, Site};
use zaudit_tests::suite::{self, TestEnv, case, per_jdk};

type Test = fn(&TestEnv, &Jdk) -> Result<()>;

const TESTS: [(&str, Test); 9] = [
    ("every_stream_is_called_by_its_name", every_stream),
    ("who_creates_indirectly_is_blamed", indirectly),
    ("a_name_makes_nothing_the_jdks", named_as_jdk),
    ("who_does_not_give_back_is_blamed", pool),
    ("what_a_copy_has_ended_is_ended", copied),
    ("what_is_handed_on_is_not_ended_at_once", handed_on),
    ("a_caller_that_forgets_shall_close", callers_differ),
    ("methods_are_called_as_in_the_source", generated_names),
    ("a_constructor_that_throws_is_named", streams_throw),
];

fn main() -> ExitCode {
    suite::main(|env| {
        let mut trials = env.missing();
        trials.extend(per_jdk(env, TESTS));
        trials.push(case(env, "a_method_is_found_in_a_hint", |_| finds()));
        trials
    })
}

/// The leaks of a fixture, and its report as text.
fn run(env: &TestEnv, jdk: &Jdk, fixture: &str) -> Result<(Report, Ended)> {
    let fixture = env.fixture(fixture)?;
    let audited = Jvm::new(jdk, fixture)?.audited(&env.library, "gc").run()?;
    let text = Jvm::new(jdk, fixture)?.agent(&env.library, "gc").run()?;
    Ok((audited.report()?, text))
}

/// The hints of the leaks that `method` of the fixture has created, each once.
fn hints<'a>(report: &'a Report, method: &str) -> Vec<&'a str> {
    let leaks = report.sites.iter().filter(|site| site.severity == Severity::Leak);
    let of_method =
        leaks.filter(|site| site.frames.iter().any(|frame| frame.to_string() == method));
    let hint = |site: &'a Site| site.hint.as_deref().unwrap_or("nothing");
    let mut hints: Vec<&str> = of_method.map(hint).collect();
    hints.dedup();
    hints
}

fn ensure_hint(report: &Report, method: &str, expected: &str) -> Result<()> {
    let found = hints(report, method);
    let right = matches!(found.as_slice(), [one] if one.starts_with(expected));
    ensure!(right, "{method}: {found:?}, and not {expected:?}");
    Ok(())
}

/// The blame frames of the leaks in the text report, worst first, without lines.
fn blamed(text: &str) -> Vec<String> {
    let heads = text.lines().filter(|line| line.starts_with("LEAK ") && line.contains(" of "));
    let frame = |line: &str| {
        line.rsplit("  ").next().and_then(|frame| frame.split('(').next()).map(String::from)
    };
    heads.filter_map(frame).collect()
}

fn ensure_blamed(ended: &Ended, expected: &[&str]) -> Result<()> {
    let mut found = blamed(&ended.stderr());
    found.sort();
    ensure!(found == expected, "blamed are {found:?}, and not {expected:?}: {ended}");
    Ok(())
}

fn every_stream(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, _) = run(env, jdk, "EveryStream")?;
    for (method, stream) in [
        ("gzipIn", "GZIPInputStream"),
        ("gzipOut", "GZIPOutputStream"),
        ("inflaterIn", "InflaterInputStream"),
        ("inflaterOut", "InflaterOutputStream"),
        ("deflaterIn", "DeflaterInputStream"),
        ("deflaterOut", "DeflaterOutputStream"),
        ("zipIn", "ZipInputStream"),
        ("zipOut", "ZipOutputStream"),
        ("jarIn", "JarInputStream"),
        ("jarOut", "JarOutputStream"),
    ] {
        let begin = format!("close the {stream} created in EveryStream.{method}()");
        ensure_hint(&report, &format!("EveryStream.{method}"), &begin)?;
    }
    for (method, kind) in [("given", "Inflater"), ("direct", "Deflater")] {
        let begin = created_by_itself(jdk, kind, &format!("EveryStream.{method}()"));
        ensure_hint(&report, &format!("EveryStream.{method}"), &begin)?;
    }
    // What the constructor loses is the JDK's leak; one that is fixed loses nothing.
    let lost = hints(&report, "EveryStream.noGzip");
    let says = |hint: &&str| hint.contains("JDK-8210471");
    ensure!(lost.iter().all(says), "{lost:?}");
    let says = hints(&report, "EveryStream.gzipIn").iter().any(says);
    ensure!(says != lost.is_empty(), "{lost:?}: the constructor is fixed, or it is not");
    Ok(())
}

/// How the hint begins for what the application creates without a stream.
fn created_by_itself(jdk: &Jdk, kind: &str, method: &str) -> String {
    match jdk.major {
        25.. => format!("use try ({kind} z = new {kind}(…)) in {method}"),
        _ => format!("call end() in a finally block in {method}"),
    }
}

fn indirectly(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, text) = run(env, jdk, "MadeIndirectly")?;
    for (method, kind) in [
        ("reflected", "Deflater"),
        ("handled", "Inflater"),
        ("referred", "Inflater"),
        ("orElse", "Inflater"),
    ] {
        let method = format!("MadeIndirectly.{method}");
        ensure_hint(&report, &method, &created_by_itself(jdk, kind, &format!("{method}()")))?;
    }
    ensure_hint(
        &report,
        "MadeIndirectly.ofThread",
        "the Inflater that a ThreadLocal creates in MadeIndirectly.ofThread() is lost when its thread ends",
    )?;
    // Each line is one finding, however the JDK calls the constructor.
    ensure_blamed(
        &text,
        &["handled", "ofThread", "orElse", "referred", "reflected"]
            .map(|method| format!("MadeIndirectly.{method}"))
            .each_ref()
            .map(String::as_str),
    )
}

fn named_as_jdk(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, text) = run(env, jdk, "NamedAsJdk")?;
    let begin = created_by_itself(jdk, "Deflater", "Codec.pack()");
    ensure_hint(&report, "com.sun.acme.Codec.pack", &begin)?;
    ensure_blamed(&text, &["com.sun.acme.Codec.pack", "com.sun.acme.Codec.stream"])?;
    for frame in report.sites.iter().flat_map(|site| &site.frames) {
        let own = frame.class == "NamedAsJdk" || frame.class.starts_with("com.sun.acme.");
        ensure!(frame.jdk != own, "{frame:?}");
    }
    Ok(())
}

fn pool(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, text) = run(env, jdk, "PoolNotRefilled")?;
    let begin = "PoolNotRefilled.forgets() probably does not give back the Inflater that it gets from \
                 PoolNotRefilled$InflaterPool.acquire()";
    ensure_hint(&report, "PoolNotRefilled.forgets", begin)?;
    ensure_blamed(&text, &["PoolNotRefilled.forgets"])
}

/// Two objects with one native stream, of which the second one is ended.
fn copied(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    // Compiled with the fixtures.
    let classes = &env.fixture("EveryStream")?.classes;
    let opened: &[&str] = match jdk.major {
        ..=8 => &[],
        9..=25 => &["--add-opens", "java.base/java.util.zip=ALL-UNNAMED"],
        26.. => &[
            "--add-opens",
            "java.base/java.util.zip=ALL-UNNAMED",
            "--enable-final-field-mutation=ALL-UNNAMED",
        ],
    };
    let jvm = || -> Result<Jvm> {
        Ok(Jvm::program(jdk, classes.as_os_str(), "CopiedFields")?.flags(opened))
    };
    let report = jvm()?.audited(&env.library, "gc").run()?.report()?;
    for (kind, number) in [(Kind::Inflater, 5), (Kind::Deflater, 3)] {
        let found = report.sum(kind, |site| site.is_of("CopiedFields"));
        let expected = Counts { created: number, ended: number, ..Counts::default() };
        ensure!(found == expected, "{kind}: {found:?}");
        ensure!(report.totals.of(kind).ended_unknown == 0, "{kind}: an end without a creation");
    }
    // By tag, the agent cannot know that they are one, but says nothing that is not so.
    let text = jvm()?.agent(&env.library, "gc,hooks=tag").run()?.stderr();
    let says = "8 ended, but the audit did not see their creation";
    ensure!(text.contains(says), "no {says:?}: {text}");
    Ok(())
}

fn handed_on(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, _) = run(env, jdk, "HandedOn")?;
    for (method, name) in [
        ("HandedOn.createStream", "HandedOn.createStream()"),
        ("HandedOn$Codec.initialize", "HandedOn$Codec.initialize()"),
    ] {
        let begin = format!("{name} probably returns or keeps this Inflater");
        ensure_hint(&report, method, &begin)?;
    }
    let begin = created_by_itself(jdk, "Inflater", "HandedOn.decode()")
        + "; if the method returns or keeps this Inflater, call end() where its owner is closed";
    ensure_hint(&report, "HandedOn.decode", &begin)
}

fn callers_differ(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, text) = run(env, jdk, "CallersDiffer")?;
    for (method, begin) in [
        ("forgets", "does not close the CallersDiffer$Codec that it creates, as other callers do"),
        ("loses", "does not end or close the Inflater that it gets from CallersDiffer.inflater()"),
    ] {
        let method = format!("CallersDiffer.{method}");
        ensure_hint(&report, &method, &format!("{method}() probably {begin}"))?;
    }
    ensure_blamed(&text, &["CallersDiffer.forgets", "CallersDiffer.loses"])?;
    let says = "0 of 3 were ended: nothing called end(); for other callers, all 3 were ended";
    let said = text.stderr().matches(says).count();
    ensure!(said == 2, "{said} times {says:?}: {text}");
    Ok(())
}

fn generated_names(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, _) = run(env, jdk, "GeneratedNames")?;
    for (method, name) in [
        ("inLambda", "GeneratedNames.inLambda() (GeneratedNames.java:"),
        ("inAnonymous", "run() of an anonymous class in GeneratedNames (GeneratedNames.java:"),
    ] {
        let begin = created_by_itself(jdk, "Inflater", name);
        ensure_hint(&report, &format!("GeneratedNames.{method}"), &begin)?;
    }
    let begin = "close the InflaterInputStream created in the constructor of GeneratedNames$Holder";
    ensure_hint(&report, "GeneratedNames.inConstructor", begin)
}

fn streams_throw(env: &TestEnv, jdk: &Jdk) -> Result<()> {
    let (report, _) = run(env, jdk, "StreamsThrow")?;
    for (method, stream, why) in [
        ("gzipOut", "GZIPOutputStream", "the stream below failed"),
        ("jarOut", "JarOutputStream", "the stream below failed"),
        ("jarIn", "JarInputStream", "the data is damaged"),
        ("zipIn", "ZipInputStream", "it was given null"),
    ] {
        let method = format!("StreamsThrow.{method}");
        ensure_hint(&report, &method, &format!("close the {stream} created in {method}()"))?;
        let end =
            format!("if it is closed already, its constructor has probably thrown because {why}");
        let hints = hints(&report, &method);
        ensure!(hints.iter().all(|hint| hint.ends_with(&end)), "{hints:?}, and not {end:?}");
    }
    Ok(())
}

fn finds() -> Result<()> {
    let text =
        "LEAK 1 of 2  a.B.c(B.java:7)\n    x\nLEAK 2 of 2  d.E.f(unknown source)\nLEAK: 2 in all\n";
    ensure!(blamed(text) == ["a.B.c", "d.E.f"], "{:?}", blamed(text));
    Ok(())
}
