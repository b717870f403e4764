//! A baseline out of a JSON report: what was found at each site, and nothing else of it.
//!
//! The report may be large, and it is read in the process that is audited: site by site, through a small
//! buffer. Invariant: it accepts what [`super::read`] accepts, with the same meaning.

use super::read::{Wrong, checked, date, failed, tally, verdict};
use super::wire;
use crate::classify::{Baseline, Known, Verdict};
use crate::report::Health;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::{BufReader, Read};
use std::time::SystemTime;

/// Reads a baseline; `file` is its name.
pub(in crate::report) fn read(from: impl Read, file: &str) -> Result<Baseline, Wrong> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(from));
    let found = (&mut json).deserialize_map(Root).and_then(|found| json.end().map(|()| found));
    let Found { schema, taken, sites } = found.map_err(failed)?;
    checked(&schema.ok_or("it is no JSON report of zaudit: it has no schema")?)?;
    Ok(Baseline {
        file: file.into(),
        taken: taken.ok_or("it has no process")?,
        sites: sites.ok_or("it has no sites")?,
    })
}

#[derive(Default)]
struct Found {
    schema: Option<String>,
    taken: Option<SystemTime>,
    sites: Option<HashMap<u64, Known>>,
}

/// The report's outermost object.
struct Root;

impl<'de> Visitor<'de> for Root {
    type Value = Found;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a report")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Found, M::Error> {
        #[derive(Deserialize)]
        struct Process {
            taken: f64,
        }
        let mut found = Found::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schema" => {
                    let schema: String = map.next_value()?;
                    // Of another schema nothing else is understood.
                    checked(&schema).map_err(M::Error::custom)?;
                    found.schema = Some(schema);
                }
                "process" => {
                    let Process { taken } = map.next_value()?;
                    found.taken = Some(date(taken, "taken").map_err(M::Error::custom)?);
                }
                "sites" => found.sites = Some(map.next_value_seed(Sites)?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// The list of sites.
struct Sites;

impl<'de> DeserializeSeed<'de> for Sites {
    type Value = HashMap<u64, Known>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Sites {
    type Value = HashMap<u64, Known>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of sites")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut sites = HashMap::new();
        while let Some(site) = seq.next_element::<wire::Site<'_>>()? {
            let (id, known) = known(&site)
                .map_err(|wrong| S::Error::custom(format!("its site {:?} is not sound: {wrong}", site.id)))?;
            if known == Known::default() {
                continue;
            }
            sites.try_reserve(1).map_err(S::Error::custom)?;
            match sites.entry(id) {
                Entry::Vacant(free) => free.insert(known),
                Entry::Occupied(_) => {
                    return Err(S::Error::custom(format!("it has two sites {:?}", site.id)));
                }
            };
        }
        Ok(sites)
    }
}

/// What was found at a site, if it is sound.
fn known(site: &wire::Site<'_>) -> Result<(u64, Known), Wrong> {
    let id = super::read::id(site)?;
    // Sums that are off were said in that report; here they do no harm.
    let tally = tally(site, &Health { sums_off: 1, ..Health::default() })?;
    let Verdict { leaked, suspects, known, .. } = verdict(site, super::read::kind(&site.kind)?, tally, 0)?;
    Ok((id, Known { leaked: leaked + known.leaked, suspects: suspects + known.suspects }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::report::json::tests::all_kinds_of_reports;
    use crate::report::tests::rendered;

    #[test]
    fn it_is_what_the_whole_report_says() {
        for report in all_kinds_of_reports() {
            let json = rendered(&report, crate::options::Format::Json);
            let whole = Report::read(&json).unwrap().as_baseline("old.json");
            assert_eq!(read(json.as_slice(), "old.json").unwrap(), whole);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let json = String::from_utf8(rendered(&crate::report::tests::sample(), crate::options::Format::Json))
            .unwrap();
        for (from, to, says) in [
            ("zaudit-report/1", "zaudit-report/2", "its schema is \"zaudit-report/2\""),
            ("\"schema\"", "\"scheme\"", "it has no schema"),
            ("\"sites\"", "\"sides\"", "it has no sites"),
            ("\"kind\": \"deflater\"", "\"kind\": \"gzip\"", "its kind \"gzip\" is unknown"),
            ("{\n", "[\n", "expected"),
        ] {
            let wrong = read(json.replacen(from, to, 1).as_bytes(), "x").err();
            let said = wrong.as_deref().unwrap_or("nothing");
            assert!(said.contains(says), "{to}: {said}");
        }
        for bytes in [&b""[..], b"[]", b"{}", b"{\"schema\":\"", &json.as_bytes()[..json.len() / 2]] {
            assert!(read(bytes, "x").is_err());
        }
    }
}
