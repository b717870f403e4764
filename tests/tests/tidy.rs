//! The house rules that a machine can check: which room may name which, and documents that must
//! equal the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use zaudit_core::options::{FORMATS, FormatSpec};
use zaudit_tests::golden;

/// Where packages have their sources, and their names in paths.
const PACKAGES: [(&str, &str); 6] = [
    ("classfile", "zaudit_classfile"),
    ("instrument", "zaudit_instrument"),
    ("core", "zaudit_core"),
    ("agent", "zaudit"),
    ("cli", "zaudit_cli"),
    ("bench/plain-agent", "zaudit_plain_agent"),
];

/// Folders whose files are modules of their own; of any other folder all files are one module.
const GROUPS: [&str; 9] = [
    "core/analysis",
    "agent/sys",
    "agent/state",
    "agent/observe",
    "agent/inspect",
    "agent/control",
    "cli/proc",
    "cli/hotspot",
    "cli/cmd",
];

/// The floors of the agent from the bottom up: a module names none above its own.
const FLOORS: [&str; 5] =
    ["agent/sys", "agent/state", "agent/observe", "agent/inspect", "agent/control"];

/// The list of modules, and which others each of them names.
const MODULES: &str = "tests/modules.txt";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file of the packages with its module: `agent/sys/jni`, `core/report`, `classfile`.
fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, at: &str, is_module: bool, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let own = match is_module || name == "mod" || name == "lib" || name == "main" {
                true => at.to_owned(),
                false => format!("{at}/{name}"),
            };
            if path.is_dir() {
                walk(&path, &own, is_module || !GROUPS.contains(&own.as_str()), found);
            } else {
                found.insert(path, own);
            }
        }
    }
    let mut found = BTreeMap::new();
    for (package, _) in PACKAGES {
        // The class file rewriter is one thing.
        let is_module = package == "classfile";
        walk(&root().join(package).join("src"), package, is_module, &mut found);
    }
    assert!(found.len() > 100, "the sources were found: {}", found.len());
    found
}

/// What a file names in paths that begin with a package, as `core::report::Report`. Comments do not
/// count.
fn paths(text: &str, package: &str) -> Vec<Vec<String>> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (folder, name) in PACKAGES {
        let prefix = if folder == package { "crate" } else { name };
        for (at, _) in code.match_indices(&format!("{prefix}::")) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            expand(&code[at + prefix.len() + 2..], vec![folder.to_owned()], &mut found);
        }
        if code.contains(&format!("use {name} as ")) {
            found.push(vec![folder.to_owned()]);
        }
    }
    found
}

/// Takes `a::b`, `a::{b, c::d}` apart.
fn expand(rest: &str, path: Vec<String>, found: &mut Vec<Vec<String>>) {
    let rest = rest.trim_start();
    if let Some(list) = rest.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    expand(&list[begin..at], path.clone(), found);
                    begin = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return;
    }
    let mut path = path;
    path.push(name.clone());
    match rest[name.len()..].strip_prefix("::") {
        Some(more) => expand(more, path, found),
        None => found.push(path),
    }
}

/// The modules that each module names.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let modules: BTreeSet<&String> = sources.values().collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, module) in &sources {
        let named = edges.entry(module.clone()).or_default();
        if path.extension().is_some_and(|name| name != "rs") {
            continue;
        }
        let (package, _) = PACKAGES
            .iter()
            .find(|(package, _)| *package == module || module.starts_with(&format!("{package}/")))
            .unwrap();
        let text = fs::read_to_string(path).unwrap();
        // Names in unit tests do not count.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // Siblings are also named by `super::`.
        let text = match module.rsplit_once('/').filter(|(group, _)| GROUPS.contains(group)) {
            Some((group, _)) => {
                let own = group[package.len()..].replace('/', "::");
                text.replace("use super::", &format!("use crate{own}::"))
            }
            None => text.to_owned(),
        };
        for path in paths(&text, package) {
            // The longest prefix that is a module.
            let mut prefixes = (1..=path.len()).rev().map(|length| path[..length].join("/"));
            let other = prefixes.find(|other| modules.contains(other));
            named.extend(other.filter(|other| other != module && !is_root(other)));
        }
    }
    edges.retain(|module, _| !is_root(module));
    edges
}

/// A package's or group's own file has no code but the list of its modules.
fn is_root(module: &str) -> bool {
    (PACKAGES.iter().any(|(package, _)| *package == module)
        && !["classfile", "instrument"].contains(&module))
        || GROUPS.contains(&module)
}

/// An explicit list: a new arrow between two modules is a decision, to be seen in a change.
/// `BLESS=1` writes it.
#[test]
fn modules_name_each_other_as_the_list_says() {
    let mut text = String::new();
    for (module, named) in edges() {
        let named: Vec<_> = named.iter().map(String::as_str).collect();
        let arrow = if named.is_empty() { "" } else { " -> " };
        text.push_str(&format!("{module}{arrow}{}\n", named.join(" ")));
    }
    let path = root().join(MODULES);
    golden::golden(&path, &text).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn modules_form_no_circle() {
    fn visit<'a>(
        module: &'a str,
        edges: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) {
        if let Some(at) = way.iter().position(|passed| *passed == module) {
            panic!("a circle: {} -> {module}", way[at..].join(" -> "));
        }
        if done.insert(module) {
            way.push(module);
            edges.get(module).into_iter().flatten().for_each(|next| visit(next, edges, way, done));
            way.pop();
        }
    }
    let edges = edges();
    let mut done = BTreeSet::new();
    edges.keys().for_each(|module| visit(module, &edges, &mut Vec::new(), &mut done));
}

#[test]
fn arrows_run_downward_only() {
    let floor =
        |module: &str| FLOORS.iter().position(|floor| module.starts_with(&format!("{floor}/")));
    let package = |module: &str| module.split('/').next().unwrap_or("").to_owned();
    for (module, named) in edges() {
        for other in named {
            if let (Some(own), Some(named)) = (floor(&module), floor(&other)) {
                assert!(named <= own, "{module} names {other}, a floor above");
            }
            let (own, named) = (package(&module), package(&other));
            let may = match own.as_str() {
                "cli" => &["core"][..],
                "agent" => &["core", "classfile", "instrument"],
                "instrument" | "bench" => &["classfile", "instrument"],
                _ => &[],
            };
            assert!(own == named || may.contains(&named.as_str()), "{module} names {other}");
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for path in sources().into_keys() {
        let text = fs::read_to_string(&path).unwrap();
        let opening =
            if path.extension().is_some_and(|name| name == "css") { "/*! " } else { "//! " };
        assert!(text.starts_with(opening), "{} does not open with `{opening}`", path.display());
    }
}

#[test]
fn unsafe_stays_where_the_jvm_and_the_system_are() {
    for (path, module) in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let has = text
            .lines()
            .any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
        let may =
            module.starts_with("agent/") || module.starts_with("bench/") || module == "cli/sys";
        assert!(!has || may, "{} has unsafe code", path.display());
    }
}

/// The parts of documents that are made from the code: the document, the name of the part and its
/// text. They stand between `<!-- NAME -->` and `<!-- /NAME -->`.
fn generated() -> Vec<(&'static str, &'static str, String)> {
    use zaudit_core::options;
    let rules = format!("```\n{}```\n", zaudit_core::analysis::rules::Rule::built_in_file());
    vec![
        ("README.md", "options", options::readme_table()),
        ("docs/options.md", "options", options::markdown()),
        ("docs/options.md", "commands", options::commands_markdown()),
        ("docs/suppressions.md", "built-in rules", rules),
    ]
}

/// The document with this part, or what is wrong with it.
fn with_part(document: &str, name: &str, text: &str) -> Result<(), String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let page = read(document);
    let without = |mark: &str| format!("{document} has no {}", mark.trim());
    let (before, rest) = page.split_once(&begin).ok_or_else(|| without(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| without(&end))?;
    let now = format!("{before}{begin}{text}{end}{after}");
    golden::golden(&root().join(document), &now)
        .map_err(|why| format!("the part `{name}` is not the code's: {why}"))
}

/// Compares the generated parts of documents and the examples, or writes them with `BLESS=1`. Once,
/// and before any test reads a document: tests run side by side.
fn generated_files() -> Result<(), String> {
    static DONE: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let mut wrong = Vec::new();
        for (document, name, text) in generated() {
            wrong.extend(with_part(document, name, &text).err());
        }
        for name in examples() {
            let path = format!("tests/goldens/{name}");
            let stored = fs::read_to_string(root().join(&path)).map_err(|error| {
                format!("{path}: {error}; BLESS=1 cargo test -p zaudit-core writes it")
            });
            let example = root().join("docs/examples").join(&name);
            wrong.extend(stored.and_then(|text| golden::golden(&example, &text)).err());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    });
    DONE.clone()
}

#[test]
fn documents_and_examples_are_what_the_code_makes() {
    generated_files().unwrap_or_else(|why| panic!("{why}"));
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

/// The sections of docs/json-report.md, and the objects of the schema that they describe.
const SECTIONS: [(&str, &str); 10] = [
    ("## Top level", "report"),
    ("## `process`", "process"),
    ("## `native`", "native"),
    ("## `totals.adopted`", "adopted"),
    ("## `ended_again`", "ender"),
    ("## A site", "site"),
    ("## A rule", "rule"),
    ("## `baseline`", "baseline"),
    ("## `health`", "health"),
    ("## `health.walk`", "walk"),
];

/// The names in the first column of the tables of fields of a section.
fn fields_of_section(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, rest) =
        page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = rest.split("\n## ").next().unwrap();
    let mut found = BTreeSet::new();
    for table in section.split("\n\n").filter(|text| text.contains("| field ")) {
        let rows = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
        let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
        found.extend(cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned));
    }
    found
}

#[test]
fn the_json_page_describes_each_object_field_by_field() {
    let page = fs::read_to_string(root().join("docs/json-report.md")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(zaudit_tests::schema::TEXT).unwrap();
    let counts = fields_of_section(&page, "## Counts");
    for (heading, object) in SECTIONS {
        let properties = schema["$defs"][object]["properties"].as_object().unwrap();
        let mut described = fields_of_section(&page, heading);
        if object == "site" {
            described.extend(counts.iter().filter(|name| properties.contains_key(*name)).cloned());
        }
        let declared: BTreeSet<String> = properties.keys().cloned().collect();
        assert_eq!(described, declared, "docs/json-report.md, {heading}");
    }
    let mut all = BTreeSet::new();
    fields(&schema, &mut all);
    for name in all {
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
        assert!(
            text.contains(&format!("fn {test}(")),
            "SECURITY.md: there is no {test} in {file}.rs"
        );
    }
    for item in page.split("\n- ").skip(1).flat_map(|rest| rest.split("\n\n").next()) {
        assert!(item.contains(".rs::"), "SECURITY.md names no test: {item}");
    }
}

/// The documents of the root, of `docs/` and of `.github/`, after what is generated was written.
fn documents() -> Vec<PathBuf> {
    // The test of generated files says what is wrong with them.
    let _ = generated_files();
    let folders = ["", "docs", "docs/examples", ".github", ".github/ISSUE_TEMPLATE"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|name| name == "md"));
    // What a renderer wrote has lines of any length.
    let found: Vec<_> = files.filter(|path| !path.ends_with("examples/report.md")).collect();
    assert!(found.len() > 15, "the documents were found: {found:?}");
    found
}

/// Words of no technical English, each with a better one in `docs/glossary.md` or in any
/// dictionary.
const BANNED: [&str; 15] = [
    "told",
    "asked",
    "nobody",
    "whoever",
    "so many",
    "stands still",
    "stood still",
    "standing still",
    "comes by",
    "come by",
    "mend",
    "mended",
    "mends",
    "be it",
    "culprit",
];

/// Tables, headings, links and code are apart from the width, code from the words.
#[test]
fn documents_have_100_columns_and_plain_words() {
    for path in documents() {
        let mut code = false;
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let place = || format!("{}:{}: {line}", path.display(), number + 1);
            code ^= line.starts_with("```");
            if code || line.starts_with("```") {
                continue;
            }
            let apart = line.starts_with(['|', '#', '>']) || line.contains("](");
            assert!(apart || line.chars().count() <= 100, "more than 100 columns: {}", place());
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            let prose = format!(" {} ", prose.join(" ").to_lowercase());
            let words: Vec<&str> = prose
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            let words = format!(" {} ", words.join(" "));
            for banned in BANNED {
                assert!(
                    !words.contains(&format!(" {banned} ")),
                    "no {banned:?} in documents: {}",
                    place()
                );
            }
        }
    }
}

/// A link to a file of the repository, and to a heading in it, leads somewhere.
#[test]
fn links_in_documents_lead_somewhere() {
    let anchors = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let headings = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim());
        let kept = |c: &char| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_';
        headings
            .map(|title| {
                title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
            })
            .collect()
    };
    for path in documents() {
        let page = fs::read_to_string(&path).unwrap();
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target
                .split_once('#')
                .map_or((target, None), |(file, heading)| (file, Some(heading)));
            let file =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "{} links to {target}", path.display());
            if let Some(heading) = heading {
                assert!(
                    anchors(&file).iter().any(|anchor| anchor == heading),
                    "{} links to {target}",
                    path.display()
                );
            }
        }
    }
}

/// The name of the golden of a format, which is also its example. What is no text is stored in
/// text form.
fn example(spec: &FormatSpec) -> String {
    match spec.extensions.first() {
        _ if !spec.is_text => format!("report.{}.txt", spec.name),
        Some(extension) => format!("report{extension}"),
        None => "report.txt".to_owned(),
    }
}

/// The examples in `docs/examples`: one for each format.
fn examples() -> Vec<String> {
    FORMATS.iter().map(example).collect()
}

#[test]
fn every_example_is_one_of_a_format() {
    let examples = examples();
    for file in fs::read_dir(root().join("docs/examples")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = examples.contains(&name) || name == "README.md";
        assert!(known, "docs/examples/{name} is the example of no format");
    }
}

/// Formats that docs/formats.md leaves to another document, and how it begins to describe them.
const DESCRIBED_ELSEWHERE: [(&str, &str, &str); 3] = [
    ("text", "README.md", "\n## What a report looks like\n"),
    ("html", "README.md", "\n`file=report.html` writes "),
    ("json", "docs/json-report.md", "\n`format=json` writes "),
];

#[test]
fn every_format_is_described_and_has_an_example() {
    // The test of generated files says what is wrong with them.
    let _ = generated_files();
    let (page, list) = (read("docs/formats.md"), read("docs/examples/README.md"));
    for spec in FORMATS {
        let (name, file) = (spec.name, example(spec));
        match DESCRIBED_ELSEWHERE.iter().find(|(format, ..)| *format == name) {
            Some((_, document, begin)) => {
                assert!(read(document).contains(begin), "{document} does not describe {name}");
            }
            None => {
                let begin = format!("\n## {name} (");
                assert!(page.contains(&begin), "docs/formats.md has no section {begin:?}");
                let link = format!("](examples/{file})");
                assert!(page.contains(&link), "docs/formats.md does not link to examples/{file}");
            }
        }
        let row = format!("| [{file}]({file}) | `{name}`");
        assert!(list.contains(&row), "docs/examples/README.md has no row that begins with {row}");
    }
}

/// Messages are headings in code, with `…` for what varies; each part must be in the text of one
/// source file.
#[test]
fn the_page_on_troubleshooting_quotes_messages_that_are_printed() {
    let texts: Vec<String> = sources()
        .into_iter()
        .filter(|(_, module)| {
            ["core", "agent", "cli"].iter().any(|package| module.starts_with(package))
        })
        .map(|(path, _)| literals(&fs::read_to_string(path).unwrap()))
        .collect();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let messages: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert!(messages.len() > 20, "the messages were found: {messages:?}");
    for message in messages {
        let parts = || message.split('…').map(str::trim).filter(|part| part.len() > 2);
        assert!(parts().next().is_some(), "docs/troubleshooting.md: {message} has no words");
        assert!(
            texts.iter().any(|text| parts().all(|part| text.contains(part))),
            "docs/troubleshooting.md quotes what no source file prints: {message}"
        );
    }
}

/// A source file without its comments and tests, each string in one line as it is printed.
fn literals(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    // A backslash at the end of a line joins it to the next one.
    lines.collect::<Vec<_>>().join("\n").replace("\\\n", "").replace("\\\"", "\"")
}

/// The widest comment.
const WIDTH: usize = 100;

/// Files that are not ours to write, or that list the words themselves.
const NOT_WRITTEN: [&str; 3] = ["LICENSE", "Cargo.lock", "tests/tests/tidy.rs"];

/// Every tracked file with one of these extensions, by its name from the root.
fn tracked(extensions: &[&str]) -> Vec<String> {
    let mut git = std::process::Command::new("git");
    let output = git.current_dir(root()).args(["ls-files", "-z"]).output().unwrap();
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    let ours = |name: &&str| {
        let known =
            Path::new(name).extension().is_some_and(|own| extensions.iter().any(|one| own == *one));
        known && !NOT_WRITTEN.iter().any(|not| name.starts_with(not)) && root().join(name).exists()
    };
    let found: Vec<String> = names.split('\0').filter(ours).map(str::to_owned).collect();
    assert!(found.len() > 5, "no files with {extensions:?} were found: {found:?}");
    found
}

/// All files of `scripts/`, by their names from the root.
fn scripts() -> Vec<String> {
    let files = fs::read_dir(root().join("scripts")).unwrap().flatten();
    files.map(|file| format!("scripts/{}", file.file_name().to_string_lossy())).collect()
}

/// The numbers of the lines of a source that are comments and too wide, with the beginnings that
/// comments have in its language. A URL may make one so, and what a fixture expects.
fn wide_comments(source: &str, begins: &[&str]) -> Vec<usize> {
    let is_wide = |line: &str| {
        let comment = begins.iter().any(|begin| line.trim_start().starts_with(begin));
        let apart = line.contains("://") || is_expectation(line);
        comment && !apart && line.chars().count() > WIDTH
    };
    source
        .lines()
        .enumerate()
        .filter(|(_, line)| is_wide(line))
        .map(|(number, _)| number + 1)
        .collect()
}

/// Whether a line is a `// key: value` of a fixture.
fn is_expectation(line: &str) -> bool {
    let key = line.strip_prefix("// ").and_then(|line| Some(line.split_once(": ")?.0));
    key.is_some_and(|key| {
        key.starts_with("expect on ") || key.chars().all(|c| c.is_ascii_lowercase())
    })
}

/// The banned words in a text, with the numbers of their lines. In any case, and as whole words; a
/// name of code such as `is_told_twice` has them too. One that is quoted alone is a name: the user
/// `nobody`.
fn banned(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.to_lowercase();
        for word in BANNED {
            let is_whole = |at: usize| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                let quoted = before == after && before.is_some_and(|c| c == '`' || c == '"');
                !quoted && ![before, after].into_iter().flatten().any(char::is_alphanumeric)
            };
            found.extend(
                line.match_indices(word)
                    .filter(|(at, _)| is_whole(*at))
                    .map(|_| (number + 1, word)),
            );
        }
    }
    found
}

/// Prints how much of it is in each file, the most first, and fails if there is any.
fn none_left<T: std::fmt::Debug>(what: &str, mut files: Vec<(String, Vec<T>)>) {
    files.retain(|(_, found)| !found.is_empty());
    files.sort_by_key(|(name, found)| (std::cmp::Reverse(found.len()), name.clone()));
    let total: usize = files.iter().map(|(_, found)| found.len()).sum();
    let lines: Vec<String> = files
        .iter()
        .map(|(name, found)| {
            format!("{:5} {name}: {:?}", found.len(), &found[..found.len().min(5)])
        })
        .collect();
    assert!(total == 0, "{total} {what} in {} files:\n{}", files.len(), lines.join("\n"));
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn comments_are_no_wider_than_they_may_be() {
    let mut files = Vec::new();
    for (names, begins) in [
        (tracked(&["rs"]), &["//"][..]),
        (tracked(&["java"]), &["//", "/*", "*"]),
        (scripts(), &["#"]),
    ] {
        let of = |name: String| (name.clone(), wide_comments(&read(&name), begins));
        files.extend(names.into_iter().map(of));
    }
    none_left("comments that are too wide", files);
}

#[test]
fn no_banned_word_is_used() {
    let extensions = ["rs", "java", "js", "css", "cjs"];
    let of = |name: String| (name.clone(), banned(&read(&name)));
    let mut files: Vec<_> = tracked(&extensions).into_iter().map(of).collect();
    files.extend(scripts().into_iter().map(of));
    none_left("banned words", files);
}

/// The checks of sources find what they are to find.
#[test]
fn what_is_too_wide_or_banned_is_found() {
    let wide = "x".repeat(WIDTH + 1);
    let source =
        format!("// {wide}\nlet {wide};\n    /// {wide}\n//! https://a/{wide}\n// short\n");
    assert_eq!(wide_comments(&source, &["//"]), [1, 3]);
    // Characters count, not bytes.
    assert_eq!(wide_comments(&format!("// {}", "é".repeat(WIDTH - 3)), &["//"]), [0; 0]);
    let fixture =
        format!("// expect: {wide}\n// Says: {wide}\n * {wide}\n// expect on 8: {wide}\n");
    assert_eq!(wide_comments(&fixture, &["//", "/*", "*"]), [2, 3]);
    let text = "Whoever told it\nNOBODY `nobody` \"nobody\"\nuntold recommended asked_for\nit stands  still\nso many";
    let found = [(1, "told"), (1, "whoever"), (2, "nobody"), (3, "asked"), (5, "so many")];
    assert_eq!(banned(text), found);
}
