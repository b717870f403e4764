//! JSON reports, whole and damaged.
//!
//! Most changes to the bytes of a report leave no JSON, so that little behind the parser would be
//! reached. An input that does not begin with a brace is a list of changes to the values of a good
//! report instead.

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::Value;
use std::sync::LazyLock;

/// The report that the renderers' goldens show.
pub const SAMPLE: &[u8] = include_bytes!("../../tests/goldens/report.json");

static VALUE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(SAMPLE).expect("the golden is JSON"));

/// Names that a class file may have.
pub const NAMES: [&str; 12] = [
    "",
    "java.util.zip.Inflater.<init>",
    "java.util.zip.ZipFile",
    "org.acme.Codec",
    "a\"},\\\u{0}\u{1b}[31m",
    "</script><script>alert(1)</script>",
    "\u{1F600}\u{10FFFF}",
    "line\nbreak\u{202e}",
    "`|*_[x](y)",
    "a;b 7",
    "a{b=\"c\"} 7",
    "$$Lambda/0x7",
];

/// The document that an input is or describes.
pub fn of(bytes: &[u8]) -> Vec<u8> {
    if bytes.first() == Some(&b'{') {
        return bytes.to_vec();
    }
    let mut root = VALUE.clone();
    let mut input = Unstructured::new(bytes);
    while !input.is_empty() {
        if change(&mut root, &mut input).is_err() {
            break;
        }
    }
    serde_json::to_vec(&root).expect("a value can be written")
}

/// Changes one value of the document.
fn change(root: &mut Value, input: &mut Unstructured<'_>) -> Result<()> {
    let at = usize::from(u16::arbitrary(input)?) % count(root);
    let other = nth(root, &mut { at }).cloned();
    let what = input.int_in_range(0..=9)?;
    let number = number(input)?;
    let name = *input.choose(&NAMES)?;
    let Some(value) = nth(root, &mut { at }) else { return Ok(()) };
    match (value, what) {
        (Value::Array(all), 0..=2) if !all.is_empty() => {
            all.remove(usize::try_from(number.as_u64().unwrap_or(0)).unwrap_or(0) % all.len());
        }
        (Value::Array(all), 3..=5) => {
            let copy = all.last().cloned().unwrap_or(Value::Null);
            all.push(copy);
        }
        (Value::Object(all), 0..=2) => {
            let keys: Vec<String> = all.keys().cloned().collect();
            if let Some(key) = keys.get(input.choose_index(keys.len().max(1))?) {
                all.remove(key);
            }
        }
        (Value::Object(all), 3) => {
            all.insert(name.into(), number);
        }
        (value @ Value::Number(_), 0..=8) => *value = number,
        (value @ Value::Bool(_), 0..=8) => *value = Value::Bool(what % 2 == 0),
        (value @ Value::String(_), 0..=7) => *value = name.into(),
        (value, 9) => {
            *value = match usize::from(u8::arbitrary(input)?) % 6 {
                0 => Value::Null,
                1 => Value::Bool(true),
                2 => number,
                3 => name.into(),
                4 => Value::Array(other.into_iter().collect()),
                _ => serde_json::json!({ name: number }),
            };
        }
        _ => {}
    }
    Ok(())
}

/// A number that is likely to be at a limit.
fn number(input: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match input.int_in_range(0..=9)? {
        0..=3 => u8::arbitrary(input)?.into(),
        4 => (1_u64 << input.int_in_range(0..=63)?).into(),
        5 => ((1_u64 << input.int_in_range(1..=63)?) - 1).into(),
        6 => u64::MAX.into(),
        7 => i64::from(i8::arbitrary(input)?).into(),
        8 => f64::from(i32::arbitrary(input)?).exp2().into(),
        _ => (f64::from(i32::arbitrary(input)?) / 1_000.0).into(),
    })
}

/// How many values there are in this one, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of this number; counts down.
fn nth<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(all) => all.iter_mut().find_map(|inner| nth(inner, left)),
        Value::Object(all) => all.values_mut().find_map(|inner| nth(inner, left)),
        _ => None,
    }
}
