//! `docs/report.schema.json`, and whether a report is as it says.
//!
//! Owns a checker of the few keywords that the schema uses; `tests/tests/schema.rs` holds it
//! against a real validator. Invariant: a keyword that it does not know is an error, never passed
//! over.

use crate::Result;
use serde_json::Value;
use std::sync::OnceLock;

/// The schema.
pub const TEXT: &str = include_str!("../../docs/report.schema.json");

/// Checks a report, and says all that is wrong with it.
pub fn check(report: &Value) -> Result<()> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| serde_json::from_str(TEXT).expect("the schema is JSON"));
    let mut checker = Checker { root: schema, wrong: Vec::new() };
    checker.check(schema, report, "");
    if checker.wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("not as the schema has it: {}", checker.wrong.join("; ")))
    }
}

struct Checker<'a> {
    root: &'a Value,
    wrong: Vec<String>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, at: &str) {
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            let fine = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
                    let target = pointer.and_then(|pointer| self.root.pointer(pointer));
                    self.check(target.expect("a $ref leads into this schema"), value, at);
                    true
                }
                "type" => match rule {
                    Value::Array(names) => names.iter().any(|name| is(value, name)),
                    name => is(value, name),
                },
                "const" => value == rule,
                "enum" => rule.as_array().expect("an array").contains(value),
                "minimum" => {
                    value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number"))
                }
                "pattern" => {
                    assert_eq!(rule, "^[0-9a-f]{16}$", "the one pattern that is known");
                    let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                    value.as_str().is_none_or(|text| text.len() == 16 && text.chars().all(digits))
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}/{index}"));
                    }
                    true
                }
                "properties" => {
                    let members = value.as_object();
                    for (name, rule) in rule.as_object().expect("an object") {
                        if let Some(member) = members.and_then(|members| members.get(name)) {
                            self.check(rule, member, &format!("{at}/{name}"));
                        }
                    }
                    true
                }
                "required" => value.as_object().is_none_or(|members| {
                    let names = rule.as_array().expect("an array");
                    names.iter().all(|name| members.contains_key(name.as_str().expect("a name")))
                }),
                "additionalProperties" => self.additional(schema, rule, value, at),
                unknown => panic!("the checker does not know {unknown:?}"),
            };
            if !fine {
                let mut shown = value.to_string();
                shown.truncate(shown.char_indices().nth(80).map_or(shown.len(), |(end, _)| end));
                self.wrong.push(format!("{at:?}: {keyword} {rule} and {shown}"));
            }
        }
    }

    fn additional(&mut self, schema: &'a Value, rule: &'a Value, value: &Value, at: &str) -> bool {
        for (name, member) in value.as_object().into_iter().flatten() {
            if schema["properties"].get(name).is_none() {
                match rule {
                    Value::Bool(allowed) if !allowed => {
                        self.wrong.push(format!("{at:?}: the field {name:?} is not in it"));
                    }
                    rule => self.check(rule, member, &format!("{at}/{name}")),
                }
            }
        }
        true
    }
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type has a name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("there is no type {other:?}"),
    }
}
