//! What every crate that is built with the project may be: permissively licensed, and published.

use serde_json::Value;
use spdx::{Expression, LicenseReq};
use std::process::Command;
use zaudit_tests::repository;

/// The licences that a dependency may have; one that offers a choice needs one of them.
const PERMITTED: [&str; 8] =
    ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "NCSA", "Zlib", "Unicode-3.0"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The crates that the workspaces are built from on the platforms that zaudit is released for.
fn packages() -> Vec<Value> {
    ["Cargo.toml", "fuzz/Cargo.toml"].into_iter().flat_map(packages_of).collect()
}

fn packages_of(manifest: &str) -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(repository())
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path", manifest])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .args(["--filter-platform", "aarch64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether a licence expression can be met with what is permitted.
fn is_permitted(licence: &str) -> bool {
    let permitted = |required: &LicenseReq| {
        let id = required.license.id();
        id.is_some_and(|id| PERMITTED.contains(&id.name)) && required.addition.is_none()
    };
    let expression = Expression::parse_mode(licence, spdx::ParseMode::LAX);
    expression.is_ok_and(|expression| expression.evaluate(permitted))
}

#[test]
fn licences_are_permissive_and_sources_are_published() {
    let packages = packages();
    assert!(packages.len() > 50, "{} packages", packages.len());
    let mut wrong = Vec::new();
    for package in &packages {
        let name = format!("{} {}", package["name"], package["version"]);
        match package["license"].as_str() {
            Some(licence) if is_permitted(licence) => {}
            licence => wrong.push(format!("{name}: licence {licence:?}")),
        }
        let own = package["source"].is_null();
        if !own && package["source"] != CRATES_IO {
            wrong.push(format!("{name}: source {}", package["source"]));
        }
        if own && package["publish"] != Value::Array(Vec::new()) {
            wrong.push(format!("{name}: may be published by accident"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_version_of_a_dependency_is_required() {
    let wildcard = |package: &Value| {
        let required = package["dependencies"].as_array().unwrap().iter();
        required
            .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null())
            .count()
    };
    let own = packages().into_iter().filter(|package| package["source"].is_null());
    let wrong: Vec<_> = own.filter(|package| wildcard(package) > 0).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn an_expression_needs_one_permitted_choice() {
    for (licence, expected) in [
        ("MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("GPL-3.0-only", false),
        ("MIT AND GPL-3.0-only", false),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("no licence", false),
    ] {
        assert_eq!(is_permitted(licence), expected, "{licence}");
    }
}
