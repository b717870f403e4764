//! Stacks as one tree: every frame once, and every path from the outermost frame inwards once.
//!
//! A stack is the path from a node to the root, which stands for the thread's start. Invariant: a
//! caller comes before the frames that it calls.

use crate::model::{Frame, OutOfMemory, push};
use std::collections::HashMap;

/// Number of a node; 0 is the root.
pub(super) type Node = u32;

#[derive(Default)]
pub(super) struct Tree<'a> {
    /// Every frame once.
    pub(super) frames: Vec<&'a Frame>,
    /// Of each node after the root: the node of its caller, and the number of its frame.
    pub(super) nodes: Vec<(Node, u32)>,
    /// By content: equal frames may have different addresses.
    frame_numbers: HashMap<&'a Frame, u32>,
    numbers: HashMap<(Node, u32), Node>,
}

impl<'a> Tree<'a> {
    /// The node of a stack's innermost frame.
    pub(super) fn add(
        &mut self,
        outermost_first: impl Iterator<Item = &'a Frame>,
    ) -> Result<Node, OutOfMemory> {
        let mut outermost_first = outermost_first;
        outermost_first.try_fold(0, |caller, frame| self.node(caller, frame))
    }

    fn node(&mut self, caller: Node, frame: &'a Frame) -> Result<Node, OutOfMemory> {
        let frame = match self.frame_numbers.get(frame) {
            Some(known) => *known,
            None => {
                self.frame_numbers.try_reserve(1)?;
                let next = u32::try_from(self.frames.len()).map_err(|_| OutOfMemory)?;
                push(&mut self.frames, frame)?;
                self.frame_numbers.insert(frame, next);
                next
            }
        };
        if let Some(known) = self.numbers.get(&(caller, frame)) {
            return Ok(*known);
        }
        self.numbers.try_reserve(1)?;
        push(&mut self.nodes, (caller, frame))?;
        let node = Node::try_from(self.nodes.len()).map_err(|_| OutOfMemory)?;
        self.numbers.insert((caller, frame), node);
        Ok(node)
    }
}
