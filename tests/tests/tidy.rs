//! The house rules that a machine can check: which room may name which, and documents that must equal the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `agent/src` from the bottom up: one may name those before it, never those behind it.
const ROOMS: [&str; 18] = [
    "escape",
    "dump",
    "event",
    "native",
    "options",
    "classfile",
    "instrument",
    "stacks",
    "ledger",
    "session",
    "growth",
    "retention",
    "suppress",
    "classify",
    "places",
    "hints",
    "report",
    "jvm",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file of the agent with its room.
fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, room: Option<&str>, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                walk(&path, Some(room.unwrap_or(&name)), found);
            } else {
                found.insert(path, room.unwrap_or(&name).to_owned());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join("agent/src"), None, &mut found);
    assert!(found.len() > 20, "the sources were found: {}", found.len());
    found
}

#[test]
fn arrows_run_downward_only() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    for (path, room) in sources() {
        if room == "lib" {
            continue;
        }
        let own =
            rank(&room).unwrap_or_else(|| panic!("{}: a room that ROOMS does not know", path.display()));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for named in line.split("crate::").skip(1) {
                let named: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let other = rank(&named)
                    .unwrap_or_else(|| panic!("{}:{}: crate::{named}?", path.display(), number + 1));
                assert!(other <= own, "{}:{}: {room} names {named}", path.display(), number + 1);
            }
        }
    }
}

/// The files of the command, which has one room.
fn command_sources() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("cli/src")).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(found.len() > 10, "the command's sources were found: {}", found.len());
    found
}

#[test]
fn every_file_says_what_it_owns() {
    for path in sources().into_keys().chain(command_sources()) {
        let text = fs::read_to_string(&path).unwrap();
        let opening = if path.extension().is_some_and(|name| name == "css") { "/*! " } else { "//! " };
        assert!(text.starts_with(opening), "{} does not open with `{opening}`", path.display());
    }
}

#[test]
fn unsafe_stays_in_its_room() {
    for (path, room) in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let has = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
        assert!(!has || room == "jvm", "{} has unsafe code", path.display());
    }
    for path in command_sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("unsafe ") || path.ends_with("system.rs"),
            "{} has unsafe code",
            path.display()
        );
    }
}

#[test]
fn the_readme_has_the_tables_of_options_and_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (heading, table) in [
        ("### Options", zaudit_core::options::markdown()),
        ("### While it runs", zaudit_core::options::commands_markdown()),
    ] {
        let section = readme.split(heading).nth(1).unwrap_or_else(|| panic!("README.md has no {heading}"));
        let section = section.split("\n### ").next().unwrap();
        assert!(
            section.contains(&table),
            "the table under {heading} of README.md is not the code's:\n{table}"
        );
    }
}

/// The names of all fields that a schema has.
fn fields(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| fields(member, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}

#[test]
fn schema_and_code_have_the_same_fields() {
    let mut documented = BTreeSet::new();
    fields(&serde_json::from_str(zaudit_tests::schema::TEXT).unwrap(), &mut documented);
    let wire = fs::read_to_string(root().join("core/src/report/json/wire.rs")).unwrap();
    let declared = wire.lines().map(str::trim).collect::<Vec<_>>();
    let written: BTreeSet<String> = declared
        .windows(2)
        // What is flattened has no name of its own.
        .filter(|lines| !lines[0].contains("flatten"))
        .filter_map(|lines| lines[1].strip_prefix("pub(super) ")?.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    assert!(written.len() > 50, "the fields were found: {written:?}");
    assert_eq!(written, documented, "core/src/report/json/wire.rs and docs/report.schema.json");
}

#[test]
fn the_json_page_names_every_field() {
    let page = fs::read_to_string(root().join("docs/json-report.md")).unwrap();
    let mut documented = BTreeSet::new();
    fields(&serde_json::from_str(zaudit_tests::schema::TEXT).unwrap(), &mut documented);
    for name in documented {
        assert!(page.contains(&format!("`{name}`")), "docs/json-report.md does not name `{name}`");
    }
}

/// The page names its tests as `path/to/file.rs::test`.
#[test]
fn the_page_on_security_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<_> = page.split('`').filter_map(|word| word.split_once(".rs::")).collect();
    assert!(named.len() > 20, "the tests were found: {named:?}");
    for (file, test) in named {
        let text = fs::read_to_string(root().join(format!("{file}.rs")));
        let text = text.unwrap_or_else(|error| panic!("SECURITY.md names {file}.rs: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "SECURITY.md: there is no {test} in {file}.rs");
    }
    for item in page.split("\n- ").skip(1).flat_map(|rest| rest.split("\n\n").next()) {
        assert!(item.contains(".rs::"), "SECURITY.md names no test: {item}");
    }
}

#[test]
fn the_page_on_suppressions_has_the_built_in_rules() {
    let page = fs::read_to_string(root().join("docs/suppressions.md")).unwrap();
    let section = page.split("\n## Built-in rules\n").nth(1).expect("docs/suppressions.md has the section");
    let listed = section.split("```").nth(1).expect("and in it a list");
    let (rules, complaints) = zaudit_core::analysis::rules::Rule::read_file("docs/suppressions.md", listed);
    let texts =
        |rules: Vec<zaudit_core::analysis::rules::Rule>| rules.into_iter().map(|rule| rule.text).collect::<Vec<_>>();
    assert_eq!(complaints, [""; 0]);
    assert_eq!(texts(rules), texts(zaudit_core::analysis::rules::Rule::built_in()));
}
