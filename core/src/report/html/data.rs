//! What the page's script works on: every frame once, the stacks as one tree, the numbers of every
//! site.
//!
//! The tree is the flame graph's own: a stack is the way from a node to the root. Invariant: a
//! parent comes before its children.

use super::Group;
use super::escape::ScriptData;
use crate::analysis::classify::ClassifiedSite;
use crate::analysis::findings::Finding;
use crate::model::{OutOfMemory, push};
use crate::report::out::{Listed, Out};
use crate::report::text::finding::source;
use crate::report::tree::{Node, Tree};
use crate::report::words::clean;
use serde::{Serialize, Serializer};

/// Tuples, not objects: there may be ten thousand of each. `page.js` names their parts. Each list
/// is made while it is written.
struct Data<'a> {
    findings: &'a [Finding<'a>],
    /// Whether bytes held are an estimate, so that they get a `≈`.
    estimated: bool,
    tree: Tree<'a>,
    /// The innermost node of each site, in the order of the findings.
    leaves: Vec<Node>,
}

/// Writes the data as JSON that may stand in a `<script>`.
pub(super) fn data(
    findings: &[Finding<'_>],
    measured: bool,
    to: &mut Out<'_>,
) -> Result<(), OutOfMemory> {
    let data = Data::of(findings, !measured)?;
    let result = serde_json::to_writer(ScriptData(&mut *to), &data);
    to.serialized(result);
    Ok(())
}

impl<'a> Data<'a> {
    fn of(findings: &'a [Finding<'a>], estimated: bool) -> Result<Data<'a>, OutOfMemory> {
        let mut data = Data { findings, estimated, tree: Tree::default(), leaves: Vec::new() };
        for classified in findings.iter().flat_map(|finding| &finding.sites) {
            let leaf = data.tree.add(classified.site.outermost_first())?;
            push(&mut data.leaves, leaf)?;
        }
        Ok(data)
    }

    /// Name, line of the source, whether it is a frame of the JDK.
    fn frames(&self) -> impl Iterator<Item = (String, String, bool)> + Clone {
        self.tree.frames.iter().map(|frame| {
            let name = clean(&format!("{}.{}", frame.class, frame.method));
            (name, clean(&source(frame)), frame.jdk)
        })
    }

    /// Parent and frame of each node in turn; the first is the root.
    fn nodes(&self) -> impl Iterator<Item = u32> + Clone {
        [0, 0]
            .into_iter()
            .chain(self.tree.nodes.iter().flat_map(|(caller, frame)| [*caller, *frame]))
    }

    /// Of each site, in the order of the findings: its finding, its innermost node, the index of
    /// the blame frame from there, 1 if its stack is truncated, leaked, live, bytes held,
    /// byte-seconds of lateness, created.
    fn sites(&self) -> impl Iterator<Item = [u64; 9]> + Clone {
        let of_place = |(at, finding): (usize, &'a Finding<'a>)| {
            let blamed = |classified| finding.blame_frame_of(classified);
            finding.sites.iter().map(move |classified| (at, blamed(classified), *classified))
        };
        let all = self.findings.iter().enumerate().flat_map(of_place);
        all.zip(&self.leaves).map(
            |((finding, blame_frame, classified), leaf): ((_, _, &ClassifiedSite), _)| {
                let stats = &classified.stats;
                [
                    finding as u64,
                    u64::from(*leaf),
                    blame_frame as u64,
                    u64::from(classified.site.truncated),
                    stats.leaked,
                    stats.tally.live,
                    stats.bytes_held(),
                    stats.lateness() as u64,
                    stats.tally.counts.created,
                ]
            },
        )
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut data = to.serialize_struct("Data", 5)?;
        data.serialize_field("estimated", &self.estimated)?;
        data.serialize_field("frames", &Listed(self.frames()))?;
        data.serialize_field("nodes", &Listed(self.nodes()))?;
        data.serialize_field("sites", &Listed(self.sites()))?;
        // Of each finding.
        data.serialize_field("groups", &Listed(self.findings.iter().map(Group::of)))?;
        data.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, classified};
    use crate::analysis::findings::findings;
    use crate::model::Kind;

    #[test]
    fn stacks_share_what_they_share() {
        let classification = classified(&[
            (Kind::Inflater, &[MADE, "a.B.c", "a.One.m", "a.Main.m"], 3, 1, 0, 2),
            (Kind::Inflater, &[MADE, "a.B.c", "a.Two.m", "a.Main.m"], 1, 0, 0, 0),
            (Kind::Inflater, &[MADE, "a.B.c", "a.One.m", "a.Main.m", "a.Outer.m"], 1, 1, 0, 0),
        ]);
        let mut bytes = Vec::new();
        let mut out = Out::new(&mut bytes);
        data(&findings(&classification.sites).unwrap(), true, &mut out).unwrap();
        out.finish().unwrap();
        let data: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let nodes: Vec<usize> = serde_json::from_value(data["nodes"].clone()).unwrap();
        assert!(
            nodes.chunks(2).skip(1).enumerate().all(|(before, node)| node[0] <= before),
            "{nodes:?}"
        );
        let stacks: Vec<String> = data["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|site| {
                let mut names = Vec::new();
                let mut node = site[1].as_u64().unwrap() as usize;
                while node > 0 {
                    names.push(data["frames"][nodes[node * 2 + 1]][0].as_str().unwrap().to_owned());
                    node = nodes[node * 2];
                }
                names.join(" ")
            })
            .collect();
        assert_eq!(stacks[0], format!("{MADE} a.B.c a.One.m a.Main.m"));
        assert_eq!(stacks[1], format!("{MADE} a.B.c a.Two.m a.Main.m"));
        // Ten names in all; a.Main.m and what it calls on the way to a.One are there once, under
        // a.Outer once more.
        assert_eq!((data["frames"].as_array().unwrap().len(), nodes.len() / 2), (6, 1 + 7 + 5));
    }
}
