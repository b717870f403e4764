//! A baseline out of a JSON report: what was found at each site, and nothing else of it.
//!
//! The report may be large, and it is read in the process that is audited: site by site, through a
//! small buffer. Invariant: it accepts what [`mod@super::read`] accepts, with the same meaning.

use super::read::{Wrong, checked, date, failed, stats, tally};
use super::wire;
use crate::analysis::classify::{Baseline, Known, SiteStats};
use crate::report::Health;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read};
use std::time::SystemTime;

/// Reads a baseline; `file` is its name.
pub(in crate::report) fn read(from: impl Read, file: &str) -> Result<Baseline, Wrong> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(from));
    let mut refused = None;
    let root = Root { refused: &mut refused };
    let found = (&mut json).deserialize_map(root).and_then(|found| json.end().map(|()| found));
    let Found { schema, taken, sites } =
        found.map_err(|error| refused.unwrap_or_else(|| failed(error)))?;
    checked(&schema.ok_or("not a zaudit JSON report: no field schema")?)?;
    Ok(Baseline {
        file: file.into(),
        taken: taken.ok_or("no field process")?,
        sites: sites.ok_or("no field sites")?,
    })
}

#[derive(Default)]
struct Found {
    schema: Option<String>,
    taken: Option<SystemTime>,
    sites: Option<HashMap<u64, Known>>,
}

/// Stops the parser where the JSON is sound and the report is not; the reason goes past it, without
/// its own words.
fn refuse<E: Error>(refused: &mut Option<Wrong>, wrong: Wrong) -> E {
    *refused = Some(wrong);
    E::custom("refused")
}

/// The report's outermost object.
struct Root<'a> {
    refused: &'a mut Option<Wrong>,
}

impl<'de> Visitor<'de> for Root<'_> {
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
                    checked(&schema).map_err(|wrong| refuse(self.refused, wrong))?;
                    found.schema = Some(schema);
                }
                "process" => {
                    let Process { taken } = map.next_value()?;
                    let date = date(taken, "taken").map_err(|wrong| refuse(self.refused, wrong))?;
                    found.taken = Some(date);
                }
                "sites" => {
                    found.sites = Some(map.next_value_seed(Sites { refused: self.refused })?)
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// The list of sites.
struct Sites<'a> {
    refused: &'a mut Option<Wrong>,
}

impl<'de> DeserializeSeed<'de> for Sites<'_> {
    type Value = HashMap<u64, Known>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Sites<'_> {
    type Value = HashMap<u64, Known>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of sites")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut sites = HashMap::new();
        while let Some(site) = seq.next_element::<wire::Site<'_>>()? {
            let wrong = match known(&site) {
                Ok((_, known)) if known == Known::default() => continue,
                Ok((id, known)) if !sites.contains_key(&id) => {
                    sites
                        .try_reserve(1)
                        .map_err(|error| refuse(self.refused, error.to_string()))?;
                    sites.insert(id, known);
                    continue;
                }
                Ok(_) => format!("duplicate site {:?}", site.id),
                Err(wrong) => format!("invalid site {:?}: {wrong}", site.id),
            };
            return Err(refuse(self.refused, wrong));
        }
        Ok(sites)
    }
}

/// What was found at a site, if it is sound.
fn known(site: &wire::Site<'_>) -> Result<(u64, Known), Wrong> {
    let id = super::read::id(site)?;
    // Sums that are off were said in that report; here they do no harm.
    let tally = tally(site, &Health { sums_off: 1, ..Health::default() })?;
    let SiteStats { leaked, suspects, known, .. } =
        stats(site, super::read::kind(&site.kind)?, tally, 0)?;
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
        let json = String::from_utf8(rendered(
            &crate::report::tests::sample(),
            crate::options::Format::Json,
        ))
        .unwrap();
        for (from, to, says) in [
            ("zaudit-report/1", "zaudit-report/2", "unsupported schema \"zaudit-report/2\""),
            ("\"schema\"", "\"scheme\"", "not a zaudit JSON report: no field schema"),
            ("\"sites\"", "\"sides\"", "no field sites"),
            ("\"kind\": \"deflater\"", "\"kind\": \"gzip\"", "invalid site "),
            ("{\n", "[\n", "not a zaudit JSON report: "),
        ] {
            let wrong = read(json.replacen(from, to, 1).as_bytes(), "x").err();
            let said = wrong.as_deref().unwrap_or("nothing");
            assert!(said.starts_with(says), "{to}: {said}");
            assert_eq!(said.contains(" at line "), says.ends_with(": "), "{to}: {said}");
        }
        for bytes in [&b""[..], b"[]", b"{}", b"{\"schema\":\"", &json.as_bytes()[..json.len() / 2]]
        {
            assert!(read(bytes, "x").is_err());
        }
    }

    /// A folder opens, and only its first bytes fail.
    #[test]
    fn what_cannot_be_read_is_said_in_the_words_of_the_system() {
        let folder = std::fs::File::open("/").unwrap();
        assert_eq!(read(folder, "x").unwrap_err(), "Is a directory");
        let cut = b"{\"schema\":".chain(std::fs::File::open("/").unwrap());
        assert_eq!(read(cut, "x").unwrap_err(), "Is a directory");
    }
}
