//! `docs/report.schema.json` before a validator that others use, and our own small checker beside
//! it.
//!
//! Invariant: both say the same of every sample. The validator is Python's `jsonschema`, from the
//! machine or from its registry; where it cannot be had, what needs it is an ignored test.

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use zaudit_tests::{schema, suite};

fn main() -> ExitCode {
    let test = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let agrees = "a_validator_agrees_with_our_checker";
    let trials = vec![
        test("reports_are_as_the_schema_has_them", reports_are_as_the_schema_has_them),
        test(
            "an_undocumented_field_is_refused_anywhere",
            an_undocumented_field_is_refused_anywhere,
        ),
        match python() {
            Ok(python) => Trial::test(agrees, move || {
                a_validator_agrees_with_our_checker(&python);
                Ok(())
            }),
            Err(why) => suite::ignored(agrees, &format!("needs a JSON Schema validator: {why}")),
        },
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Reads the schema's file and one report a line; answers each line with whether it is valid.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator as Validator
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
for line in sys.stdin:
    print('valid' if validator.is_valid(json.loads(line)) else 'invalid')
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A Python with the validator: the machine's own, else one of our own in the cache.
fn python() -> Result<PathBuf, String> {
    let has = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "from jsonschema import Draft202012Validator"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let own = PathBuf::from("python3");
    if has(&own) {
        return Ok(own);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache
        .or_else(home)
        .ok_or("there is no cache folder")?
        .join("zaudit/tools/jsonschema-4.26.0");
    let python = folder.join("bin/python");
    if !has(&python) {
        let folder = folder.to_str().ok_or("the cache folder has no plain name")?;
        let pip = python.to_str().ok_or("the cache folder has no plain name")?;
        for words in [
            &["python3", "-m", "venv", folder][..],
            &[pip, "-m", "pip", "install", "-q", "jsonschema==4.26.0"],
        ] {
            let output = Command::new(words[0]).args(&words[1..]).output();
            let output = output.map_err(|error| format!("{words:?}: {error}"))?;
            if !output.status.success() {
                return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    Ok(python)
}

/// What the validator says of each: whether it is valid. It takes its time, so each processor has
/// its share.
fn validated(python: &Path, samples: &[Value]) -> Vec<bool> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shares = samples.chunks(samples.len().div_ceil(processors));
    std::thread::scope(|scope| {
        let shares: Vec<_> =
            shares.map(|share| scope.spawn(move || validated_share(python, share))).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    })
}

fn validated_share(python: &Path, samples: &[Value]) -> Vec<bool> {
    let mut command = Command::new(python);
    command.arg("-c").arg(VALIDATE).arg(root().join("docs/report.schema.json"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the schema itself is refused");
    let answers: Vec<bool> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "valid").collect();
    assert_eq!(answers.len(), samples.len());
    answers
}

fn golden() -> Value {
    serde_json::from_str(
        &std::fs::read_to_string(root().join("tests/goldens/report.json")).unwrap(),
    )
    .unwrap()
}

/// Every value of a report, by its pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, member)| pointers(member, &format!("{at}/{name}"), found));
        }
        // The first of each tells for the others.
        Value::Array(items) => {
            items.iter().take(1).for_each(|item| pointers(item, &format!("{at}/0"), found));
        }
        _ => {}
    }
}

/// The report with each value in turn replaced, removed, or given a neighbour.
fn damaged(report: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    pointers(report, "", &mut found);
    let values =
        [Value::Null, json!(-1), json!(1.5), json!("x"), json!([7]), json!({"x": 1}), json!(true)];
    let mut samples = Vec::new();
    for pointer in &found {
        for value in &values {
            let mut sample = report.clone();
            *sample.pointer_mut(pointer).unwrap() = value.clone();
            samples.push(sample);
        }
        let Some((parent, name)) = pointer.rsplit_once('/') else { continue };
        let mut sample = report.clone();
        if let Some(members) = sample.pointer_mut(parent).unwrap().as_object_mut() {
            members.remove(name);
            samples.push(sample.clone());
            sample.pointer_mut(parent).unwrap()["undocumented"] = 1.into();
            samples.push(sample);
        }
    }
    samples
}

/// The golden report, and one that has what the golden has not.
fn sound() -> [Value; 2] {
    let golden = golden();
    let mut unwell = golden.clone();
    unwell["health"]["dropped"] = json!({"any reason": 3});
    unwell["health"]["unsettled"] = "why".into();
    unwell["process"]["number"] = 1.into();
    [golden, unwell]
}

fn reports_are_as_the_schema_has_them() {
    for report in sound() {
        schema::check(&report).unwrap();
    }
    let damaged = damaged(&golden());
    let refused = damaged.iter().filter(|sample| schema::check(sample).is_err()).count();
    // A number for a number, a string for a string: some damage is none.
    assert!(
        refused > damaged.len() / 2 && refused < damaged.len(),
        "{refused} of {}",
        damaged.len()
    );
}

fn a_validator_agrees_with_our_checker(python: &Path) {
    assert_eq!(validated(python, &sound()), [true, true]);
    let damaged = damaged(&golden());
    for (sample, theirs) in damaged.iter().zip(validated(python, &damaged)) {
        assert_eq!(schema::check(sample).is_ok(), theirs, "{sample}");
    }
}

fn an_undocumented_field_is_refused_anywhere() {
    let golden = golden();
    let mut found = Vec::new();
    pointers(&golden, "", &mut found);
    let mut objects = 0;
    for pointer in found {
        // The reasons of the health are anybody's words.
        let mut sample = golden.clone();
        let value = sample.pointer_mut(&pointer).unwrap();
        if value.is_object()
            && !["/health/dropped", "/health/unreadable", "/health/walk/fallbacks"]
                .contains(&pointer.as_str())
        {
            value["undocumented"] = 1.into();
            let wrong = schema::check(&sample).unwrap_err();
            assert!(wrong.contains("\"undocumented\" is not in it"), "{wrong}");
            objects += 1;
        }
    }
    assert!(objects > 10, "{objects}");
}
