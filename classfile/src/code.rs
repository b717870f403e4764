//! The Code attribute (JVMS §4.7.3) and what is spliced into it.
//!
//! Owns: the attribute's parts, the snippets to insert, and writing both. Leaves to others:
//! instructions (`layout.rs`), tables (`tables.rs`, `frames.rs`). Invariant: attributes keep their
//! order; an attribute that is not known to contain pcs is copied unchanged, and one that is known
//! to and cannot be moved makes the method a [`Refusal`].

use super::bytes::{Put, Reader, length_u4};
use super::instructions::{INVOKESTATIC, INVOKEVIRTUAL, Instructions};
use super::layout::{self, Insertions, PcMap};
use super::{MethodRef, Pool, Refusal, frames, tables};

/// Where a snippet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Where {
    /// Once, before the first instruction; jumps back to the start do not run it again.
    Entry,
    /// In front of each return instruction, jumps to it included; not where an exception leaves the
    /// method.
    Return,
    /// In front of the instruction at this pc, jumps to it included.
    Before(usize),
    /// Behind the instruction at this pc, where no jump goes.
    After(usize),
}

/// Straight-line instructions to put into a method. They must leave the operand stack unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where it goes.
    pub at: Where,
    /// Whole instructions, without a branch, switch, return or throw.
    pub code: Vec<u8>,
    /// How many operand slots it needs in addition to those in use.
    pub stack: u16,
}

type Relocate = fn(&[u8], &PcMap) -> Result<Vec<u8>, Refusal>;

#[derive(Debug, Clone)]
struct Attribute<'a> {
    name: u16,
    /// How to move its pcs, if it has any.
    relocate: Option<Relocate>,
    body: &'a [u8],
}

/// The Code attribute of one method.
#[derive(Debug, Clone)]
pub struct Code<'a> {
    max_stack: u16,
    max_locals: u16,
    bytes: &'a [u8],
    /// The exception table with its count.
    exceptions: &'a [u8],
    attributes: Vec<Attribute<'a>>,
    splices: Vec<Splice>,
}

impl<'a> Code<'a> {
    pub(super) fn parse(body: &'a [u8], pool: &Pool<'a>) -> Result<Self, Refusal> {
        let mut reader = Reader::new(body, "Code");
        let (max_stack, max_locals) = (reader.u2()?, reader.u2()?);
        let length = reader.u4()?;
        let bytes = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        let start = reader.clone();
        let handlers = reader.u2()?;
        reader.take(usize::from(handlers) * 8)?;
        let exceptions = reader.since(&start);
        let mut attributes = Vec::new();
        for _ in 0..reader.u2()? {
            let name = reader.u2()?;
            let length = reader.u4()?;
            let body = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            let text =
                pool.utf8(name).ok_or_else(|| Refusal::new("an attribute in Code has no name"))?;
            attributes.push(Attribute { name, relocate: relocation(text), body });
        }
        reader.finish()?;
        Ok(Self { max_stack, max_locals, bytes, exceptions, attributes, splices: Vec::new() })
    }

    /// The code array as it was read.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its instructions as they were read.
    pub(super) fn instructions(&self) -> Instructions<'a> {
        Instructions::of(self.bytes)
    }

    /// Whether any instruction writes to this local variable; local 0 holds `this` only while none
    /// does.
    ///
    /// # Errors
    /// The code is malformed.
    pub fn writes_local(&self, local: u16) -> Result<bool, Refusal> {
        for instruction in self.instructions() {
            if instruction?.writes_local(local) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The pcs of the instructions that call this method.
    ///
    /// # Errors
    /// The code is malformed.
    pub fn calls(&self, pool: &Pool<'_>, called: &MethodRef<'_>) -> Result<Vec<usize>, Refusal> {
        let mut calls = Vec::new();
        for instruction in self.instructions() {
            let instruction = instruction?;
            let method = instruction.pool_index().and_then(|index| pool.method(index));
            if (INVOKEVIRTUAL..=INVOKESTATIC).contains(&instruction.opcode())
                && method.as_ref() == Some(called)
            {
                calls.push(instruction.pc);
            }
        }
        Ok(calls)
    }

    /// Adds a snippet, and returns in how many places it will be inserted: 0 before the returns of
    /// a method that only throws, and 0 if no instruction is at the pc. Snippets for the same place
    /// run in the order in which they were added.
    ///
    /// # Errors The snippet is not straight-line code, or the method's own code is malformed.
    /// Whether the result fits the format is checked when the class is written.
    pub fn splice(&mut self, splice: Splice) -> Result<usize, Refusal> {
        for instruction in Instructions::of(&splice.code) {
            let instruction = instruction?;
            if instruction.leaves() {
                return Err(Refusal::new(format!(
                    "a snippet must be straight-line code, but contains opcode {}",
                    instruction.opcode()
                )));
            }
        }
        let mut places = usize::from(splice.at == Where::Entry);
        for instruction in self.instructions() {
            let instruction = instruction?;
            places += usize::from(match splice.at {
                Where::Entry => false,
                Where::Return => instruction.is_return(),
                Where::Before(pc) => instruction.pc == pc,
                // Behind a jump or a return it would be code that nothing reaches.
                Where::After(pc) => instruction.pc == pc && !instruction.leaves(),
            });
        }
        self.splices.push(splice);
        Ok(places)
    }

    /// Whether anything was spliced in, even an empty snippet.
    pub(super) fn is_spliced(&self) -> bool {
        !self.splices.is_empty()
    }

    /// Writes the attribute's body with all snippets in place.
    pub(super) fn write(&self) -> Result<Vec<u8>, Refusal> {
        let (mut insertions, mut entry_stack, mut inner_stack) = (Insertions::default(), 0, 0);
        for splice in &self.splices {
            let (snippet, stack) = match splice.at {
                Where::Entry => (&mut insertions.entry, &mut entry_stack),
                Where::Return => (&mut insertions.before_return, &mut inner_stack),
                Where::Before(pc) => (insertions.before.entry(pc).or_default(), &mut inner_stack),
                Where::After(pc) => (insertions.after.entry(pc).or_default(), &mut inner_stack),
            };
            snippet.extend(&splice.code);
            // Each leaves the stack unchanged, so the deepest one counts, not the sum.
            *stack = splice.stack.max(*stack);
        }
        let (code, map) = layout::lay_out(self.bytes, &insertions)?;
        // The stack is empty on entry; elsewhere it may be as deep as the method ever makes it.
        let max_stack =
            self.max_stack.checked_add(inner_stack).map(|stack: u16| stack.max(entry_stack));
        let max_stack = max_stack
            .ok_or_else(|| Refusal::new("the operand stack would be deeper than 65,535"))?;

        let mut out = Vec::with_capacity(code.len() + self.exceptions.len() + 64);
        out.put_u2(max_stack);
        out.put_u2(self.max_locals);
        out.put_u4(length_u4(code.len())?);
        out.put(&code);
        out.put(&tables::exceptions(self.exceptions, &map)?);
        out.put_u2(u16::try_from(self.attributes.len()).unwrap_or(u16::MAX));
        for attribute in &self.attributes {
            let moved =
                attribute.relocate.map(|relocate| relocate(attribute.body, &map)).transpose()?;
            let body = moved.as_deref().unwrap_or(attribute.body);
            out.put_u2(attribute.name);
            out.put_u4(length_u4(body.len())?);
            out.put(body);
        }
        Ok(out)
    }
}

fn relocation(name: &[u8]) -> Option<Relocate> {
    Some(match name {
        b"StackMapTable" => frames::relocate,
        b"LineNumberTable" => tables::lines,
        b"LocalVariableTable" | b"LocalVariableTypeTable" => tables::variables,
        b"RuntimeVisibleTypeAnnotations" | b"RuntimeInvisibleTypeAnnotations" => {
            tables::type_annotations
        }
        b"CharacterRangeTable" => tables::character_ranges,
        // CLDC's frames for other virtual machines. HotSpot never reads them, so no test could show
        // that they were moved correctly, and a copy would be wrong.
        b"StackMap" => {
            |_, _| Err(Refusal::new("the code has a CLDC StackMap, which is not supported"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassFile;
    use crate::testing::{TestCode, class_of, rewrite};

    fn splice(at: Where, code: &[u8], stack: u16) -> Splice {
        Splice { at, code: code.to_vec(), stack }
    }

    #[test]
    fn the_operand_stack_is_deep_enough() {
        for (max_stack, entry, before_return, expected) in [
            (2, 0, 0, Some(2)),
            (2, 1, 0, Some(2)),
            (2, 3, 0, Some(3)),
            (0, 1, 1, Some(1)),
            (2, 0, 1, Some(3)),
            (65_535, 65_535, 0, Some(65_535)),
            (65_535, 0, 1, None),
        ] {
            let bytes = class_of(TestCode { max_stack, ..TestCode::of([177]) });
            let mut class = ClassFile::parse(&bytes).unwrap();
            let method = &mut class.methods_mut()[0];
            method.splice(splice(Where::Entry, &[], entry)).unwrap();
            method.splice(splice(Where::Return, &[], before_return)).unwrap();
            method.splice(splice(Where::Return, &[], 0)).unwrap();
            let found = class.to_bytes().ok().map(|out| {
                let class = ClassFile::parse(&out).unwrap();
                class.methods()[0].code().unwrap().max_stack
            });
            assert_eq!(found, expected, "{max_stack} and {entry}, {before_return}");
        }
    }

    #[test]
    fn places_are_counted_and_snippets_keep_their_order() {
        // ireturn and lreturn count as return does; athrow does not.
        let bytes = class_of(TestCode::of([172, 173, 191, 177]));
        let mut class = ClassFile::parse(&bytes).unwrap();
        let method = &mut class.methods_mut()[0];
        assert_eq!(method.splice(splice(Where::Entry, &[3], 1)), Ok(1));
        assert_eq!(method.splice(splice(Where::Entry, &[87], 1)), Ok(1));
        assert_eq!(method.splice(splice(Where::Return, &[0], 0)), Ok(3));
        let out = class.to_bytes().unwrap();
        let class = ClassFile::parse(&out).unwrap();
        assert_eq!(
            class.methods()[0].code().unwrap().bytes(),
            [3, 87, 0, 172, 0, 173, 191, 0, 177]
        );
    }

    #[test]
    fn snippets_beside_an_instruction_go_where_its_jumps_do_or_do_not() {
        // goto 4; nop; iconst_0 (a target); pop (a target); goto 4; return
        let code = [167, 0, 4, 0, 3, 87, 167, 255, 254, 167, 255, 252, 177];
        let bytes = class_of(TestCode::of(code));
        let mut class = ClassFile::parse(&bytes).unwrap();
        let method = &mut class.methods_mut()[0];
        for (at, places) in [
            (Where::Before(4), 1),
            (Where::After(4), 1),
            (Where::Before(1), 0),
            (Where::After(0), 0),
            (Where::After(12), 0),
            (Where::Before(99), 0),
        ] {
            assert_eq!(method.splice(splice(at, &[0, 0], 0)), Ok(places), "{at:?}");
        }
        let out = class.to_bytes().unwrap();
        let class = ClassFile::parse(&out).unwrap();
        assert_eq!(
            class.methods()[0].code().unwrap().bytes(),
            // The jump to iconst_0 runs what is in front of it, the one to pop nothing.
            [167, 0, 4, 0, 0, 0, 3, 0, 0, 87, 167, 255, 250, 167, 255, 252, 177]
        );
    }

    #[test]
    fn snippets_that_go_elsewhere_are_refused() {
        let bytes = class_of(TestCode::of([177]));
        let mut class = ClassFile::parse(&bytes).unwrap();
        let method = &mut class.methods_mut()[0];
        for code in [
            &[167, 0, 3][..],
            &[0, 177],
            &[3, 172],
            &[1, 191],
            &[169, 0],
            &[196, 169, 0, 0],
            &[168, 0, 3],
            &[200, 0, 0, 0, 5],
            &[171, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0],
            &[18],
        ] {
            assert!(method.splice(splice(Where::Entry, code, 0)).is_err(), "{code:?}");
        }
        assert_eq!(
            class.to_bytes().unwrap(),
            bytes,
            "a snippet that was refused leaves nothing behind"
        );
    }

    #[test]
    fn attributes_that_are_unknown_are_copied_and_the_one_that_cannot_move_is_refused() {
        let code = TestCode::of([177]).with("Unknown", [0, 1, 2]).with("LineNumberTable", [0, 0]);
        assert_eq!(rewrite(code.clone(), 1, 1).unwrap().attributes, code.attributes);
        let refused = rewrite(code.with("StackMap", [0, 0]), 1, 1).unwrap_err().to_string();
        assert_eq!(refused, "m()V: the code has a CLDC StackMap, which is not supported");
    }
}
