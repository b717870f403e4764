//! A JSON report as far as a table of the worst places needs it.
//!
//! Owns the fields; the table is [`crate::cmd::top::table`]'s. Invariant: fields that are not there count as nothing, so that an agent
//! of another version can be watched, too.

use serde::Deserialize;

/// One report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Snapshot {
    pub(crate) process: Process,
    pub(crate) totals: Totals,
    pub(crate) sites: Vec<Site>,
    frame_table: Vec<Frame>,
    stack_table: StackTable,
    pub(crate) health: Health,
}

/// Whose.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Process {
    pub(crate) command: String,
}

/// What it comes to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    pub(crate) inflater: Counts,
    pub(crate) deflater: Counts,
    pub(crate) adopted: Adopted,
}

/// What was open before anybody looked: it has no place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Adopted {
    pub(crate) found: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// Numbers of a kind or of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) created: u64,
    pub(crate) ended: u64,
    pub(crate) late: u64,
    pub(crate) collected: u64,
    pub(crate) live: u64,
    pub(crate) bytes_held: u64,
}

/// A place where instances are made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Site {
    pub(crate) id: String,
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) frames: Vec<Frame>,
    stack: Option<usize>,
}

/// Where the stacks of clean sites are: of each node its frame, and the node of its caller.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StackTable {
    frame: Vec<usize>,
    caller: Vec<Option<usize>>,
}

/// A frame of its stack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Frame {
    pub(crate) class: String,
    pub(crate) method: String,
    pub(crate) line: Option<u32>,
}

/// Whether all was seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Health {
    pub(crate) ok: Option<bool>,
}

/// Frames of a stack that are looked at: more than the agent keeps.
const DEEPEST: usize = 4_096;

/// Packages that are the JDK's own.
const JDK: [&str; 6] = ["java.", "javax.", "jdk.", "sun.", "com.sun.", "zaudit."];

impl Snapshot {
    /// Reads a report.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut snapshot: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let (frames, table) = (&snapshot.frame_table, &snapshot.stack_table);
        for site in &mut snapshot.sites {
            let mut node = site.stack;
            // A caller stands before those that it calls: what claims otherwise ends here. Of a stack only the frame that is
            // shown is kept.
            for _ in 0..DEEPEST {
                let Some(at) = node else { break };
                if let Some(frame) = table.frame.get(at).and_then(|frame| frames.get(*frame)) {
                    site.frames = vec![frame.clone()];
                    if frame.is_own() {
                        break;
                    }
                }
                node = table.caller.get(at).copied().flatten().filter(|caller| *caller < at);
            }
        }
        Ok(snapshot)
    }
}

impl Frame {
    /// Whether it is the program's own.
    fn is_own(&self) -> bool {
        !JDK.iter().any(|package| self.class.starts_with(package))
    }
}

impl Site {
    /// The innermost frame of the program's own, else the outermost that there is.
    pub(crate) fn place(&self) -> String {
        match self.frames.iter().find(|frame| frame.is_own()).or(self.frames.last()) {
            None => "(no stack)".into(),
            Some(Frame { class, method, line: Some(line) }) => format!("{class}.{method}:{line}"),
            Some(Frame { class, method, line: None }) => format!("{class}.{method}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_the_agent() {
        let golden = include_bytes!("../../../../tests/goldens/report.json");
        let snapshot = Snapshot::parse(golden).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(golden).unwrap();
        assert_eq!(Some(snapshot.process.command.as_str()), whole["process"]["command"].as_str());
        assert_eq!(Some(snapshot.sites.len()), whole["sites"].as_array().map(Vec::len));
        assert_eq!(Some(snapshot.totals.inflater.created), whole["totals"]["inflater"]["created"].as_u64());
        assert_eq!(Some(snapshot.totals.adopted.found), whole["totals"]["adopted"]["found"].as_u64());
        assert_eq!(Some(snapshot.totals.adopted.counts.live), whole["totals"]["adopted"]["live"].as_u64());
        assert_eq!(Some(snapshot.sites[0].counts.late), whole["sites"][0]["late"].as_u64());
        assert!(snapshot.sites.iter().any(|site| site.stack.is_some()), "there is a clean one");
        for site in &snapshot.sites {
            assert!(!site.place().starts_with("java."), "{}", site.place());
        }
    }

    #[test]
    fn what_is_not_there_counts_as_nothing() {
        assert_eq!(Snapshot::parse(b"{}").unwrap().totals.inflater, Counts::default());
        let site = &Snapshot::parse(br#"{"sites":[{"frames":[]}]}"#).unwrap().sites[0];
        assert_eq!(site.place(), "(no stack)");
        for text in [&b""[..], b"[", b"{\"sites\":1}", &[0xff; 9]] {
            assert!(Snapshot::parse(text).is_err());
        }
    }
}
