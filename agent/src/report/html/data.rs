//! What the page's script works on: every frame once, the stacks as one tree, the numbers of every site.
//!
//! The tree is the flame graph's own: a stack is the way from a node to the root. Invariant: a parent stands before
//! its children.

use super::Group;
use super::escape::script_data;
use crate::event::Frame;
use crate::places::Place;
use crate::report::text::place::source;
use crate::report::words::clean;
use crate::suppress::in_jdk;
use serde::Serialize;
use std::collections::HashMap;

/// Tuples, not objects: there may be ten thousand of each. `page.js` names their parts again.
#[derive(Default, Serialize)]
struct Data<'a> {
    /// Name, place in the source, whether it is the JDK's.
    frames: Vec<(String, String, bool)>,
    /// Parent and frame of each node in turn; the first is the root.
    nodes: Vec<usize>,
    /// Of each site, in the order of the places: its place, its innermost node, how far out from there the culprit is,
    /// 1 where it was cut at the outer end, leaked, live, bytes held, byte-seconds of lateness, created.
    sites: Vec<[u64; 9]>,
    /// What to think of each place.
    groups: Vec<Group>,
    #[serde(skip)]
    frame_ids: HashMap<&'a Frame, usize>,
    #[serde(skip)]
    node_ids: HashMap<(usize, usize), usize>,
}

pub(super) fn data(places: &[Place<'_>]) -> String {
    let mut data = Data { nodes: vec![0, 0], ..Data::default() };
    for (number, place) in places.iter().enumerate() {
        data.groups.push(Group::of(place));
        for judged in &place.sites {
            let frames: Vec<&Frame> = judged.site.frames().collect();
            let leaf = frames.into_iter().rev().fold(0, |node, frame| data.node(node, frame));
            let verdict = &judged.verdict;
            data.sites.push([
                number as u64,
                leaf as u64,
                place.culprit as u64,
                u64::from(judged.site.truncated),
                verdict.leaked,
                verdict.tally.live,
                verdict.bytes_held(),
                verdict.lateness() as u64,
                verdict.tally.counts.created,
            ]);
        }
    }
    // Strings, numbers and lists of them: there is nothing in it that serde_json can refuse.
    script_data(&serde_json::to_string(&data).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")))
}

impl<'a> Data<'a> {
    fn node(&mut self, parent: usize, frame: &'a Frame) -> usize {
        let next = self.frames.len();
        let frame_id = *self.frame_ids.entry(frame).or_insert(next);
        if frame_id == next {
            let name = clean(&format!("{}.{}", frame.class, frame.method));
            self.frames.push((name, clean(&source(frame)), in_jdk(&frame.class)));
        }
        let next = self.nodes.len() / 2;
        let node = *self.node_ids.entry((parent, frame_id)).or_insert(next);
        if node == next {
            self.nodes.extend([parent, frame_id]);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tests::{MADE, judged};
    use crate::event::Kind;
    use crate::places::places;

    #[test]
    fn stacks_share_what_they_share() {
        let judgement = judged(&[
            (Kind::Inflater, &[MADE, "a.B.c", "a.One.m", "a.Main.m"], 3, 1, 0, 2),
            (Kind::Inflater, &[MADE, "a.B.c", "a.Two.m", "a.Main.m"], 1, 0, 0, 0),
            (Kind::Inflater, &[MADE, "a.B.c", "a.One.m", "a.Main.m", "a.Outer.m"], 1, 1, 0, 0),
        ]);
        let data: serde_json::Value = serde_json::from_str(&data(&places(&judgement.sites))).unwrap();
        let nodes: Vec<usize> = serde_json::from_value(data["nodes"].clone()).unwrap();
        assert!(nodes.chunks(2).skip(1).enumerate().all(|(before, node)| node[0] <= before), "{nodes:?}");
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
        // Ten names in all; a.Main.m and what it calls on the way to a.One are there once, under a.Outer once more.
        assert_eq!((data["frames"].as_array().unwrap().len(), nodes.len() / 2), (6, 1 + 7 + 5));
    }
}
