//! Lays out instructions again.
//!
//! Owns: the new place of every instruction when snippets are inserted, and re-encoding
//! instructions that contain pcs. Leaves to others: the tables beside the code. Invariant: a pc
//! that control can reach lands *in front of* the snippets before its instruction, and *after* the
//! entry snippet and the snippets behind the previous instruction: a jump to a `return` runs the
//! hook, and a jump back to pc 0 does not run the entry hook again.

use super::Refusal;
use super::bytes::Put;
use super::instructions::{Instruction, Instructions, Shape, padding};
use std::collections::BTreeMap;

/// The longest code array the format allows (JVMS §4.7.3): its length must be *less than* 65,536.
pub(super) const MAX_CODE: usize = 65_535;

const NOT_AN_INSTRUCTION: u32 = u32::MAX;

/// Maps pcs of the old code to pcs of the new.
pub(super) struct PcMap {
    /// One item for each old pc, and one for the end of the code.
    landings: Vec<u32>,
}

impl PcMap {
    /// The new pc for a jump, a handler, a frame or the start of a range that named the instruction
    /// at `old`.
    pub(super) fn landing(&self, old: u32) -> Result<u32, Refusal> {
        let end = self.landings.len().saturating_sub(1);
        if usize::try_from(old).is_ok_and(|old| old < end) {
            return self.boundary(old);
        }
        Err(Refusal::new(format!("pc {old} is past the end of the code")))
    }

    /// The same for the end of a range, which may be the end of the code.
    pub(super) fn boundary(&self, old: u32) -> Result<u32, Refusal> {
        let landing = usize::try_from(old).ok().and_then(|old| self.landings.get(old)).copied();
        landing
            .filter(|&new| new != NOT_AN_INSTRUCTION)
            .ok_or_else(|| Refusal::new(format!("no instruction starts at pc {old}")))
    }

    /// [`Self::landing`] for the two-byte pcs of tables.
    pub(super) fn landing_u2(&self, old: u16) -> Result<u16, Refusal> {
        to_u2(self.landing(old.into())?)
    }

    /// [`Self::boundary`] for the two-byte pcs of tables.
    pub(super) fn boundary_u2(&self, old: u16) -> Result<u16, Refusal> {
        to_u2(self.boundary(old.into())?)
    }

    /// The new start of a range of lines or of a variable's scope.
    ///
    /// A start at 0 stays at 0: a hook called on entry then has a line, and parameters are in
    /// scope.
    pub(super) fn start(&self, old: u16) -> Result<u16, Refusal> {
        if old == 0 { Ok(0) } else { self.landing_u2(old) }
    }

    /// A range given by start and length. An empty one stays empty.
    pub(super) fn scope(&self, start: u16, length: u16) -> Result<(u16, u16), Refusal> {
        if length == 0 {
            return Ok((self.landing_u2(start)?, 0));
        }
        let end = self.boundary(u32::from(start) + u32::from(length))?;
        let start = self.start(start)?;
        Ok((start, to_u2(end.saturating_sub(start.into()))?))
    }
}

fn to_u2(pc: u32) -> Result<u16, Refusal> {
    u16::try_from(pc).map_err(|_| Refusal::new("a pc moved past 65,535"))
}

/// What is inserted into one code array.
#[derive(Debug, Default)]
pub(super) struct Insertions {
    /// In front of the first instruction.
    pub(super) entry: Vec<u8>,
    /// In front of each return.
    pub(super) before_return: Vec<u8>,
    /// In front of the instruction at a pc.
    pub(super) before: BTreeMap<usize, Vec<u8>>,
    /// Behind the instruction at a pc.
    pub(super) after: BTreeMap<usize, Vec<u8>>,
}

impl Insertions {
    fn before(&self, instruction: &Instruction<'_>) -> [&[u8]; 2] {
        let here = self.before.get(&instruction.pc).map_or(&[][..], Vec::as_slice);
        let before_return = if instruction.is_return() { &self.before_return[..] } else { &[] };
        [here, before_return]
    }

    fn after(&self, instruction: &Instruction<'_>) -> &[u8] {
        // Nothing reaches what is behind a jump or a return, and a verifier wants a frame there.
        let here = self.after.get(&instruction.pc).filter(|_| !instruction.leaves());
        here.map_or(&[], Vec::as_slice)
    }
}

/// Puts the insertions into the code.
pub(super) fn lay_out(code: &[u8], insertions: &Insertions) -> Result<(Vec<u8>, PcMap), Refusal> {
    let map = measure(code, insertions)?;
    let mut out = Vec::with_capacity(code.len() + insertions.entry.len());
    out.put(&insertions.entry);
    for instruction in Instructions::of(code) {
        let instruction = instruction?;
        insertions.before(&instruction).into_iter().for_each(|snippet| out.put(snippet));
        emit(&instruction, &mut out, &map)?;
        out.put(insertions.after(&instruction));
    }
    Ok((out, map))
}

fn measure(code: &[u8], insertions: &Insertions) -> Result<PcMap, Refusal> {
    let too_long = || Refusal::new(format!("the code would be longer than {MAX_CODE} bytes"));
    if code.is_empty() {
        return Err(Refusal::new("the code is empty"));
    }
    if code.len() > MAX_CODE {
        return Err(too_long());
    }
    let mut landings = vec![NOT_AN_INSTRUCTION; code.len() + 1];
    let mut mark = |old: usize, new: usize| {
        if let (Some(slot), Ok(new)) = (landings.get_mut(old), u32::try_from(new)) {
            *slot = new;
        }
    };
    let mut pc = insertions.entry.len();
    for instruction in Instructions::of(code) {
        let instruction = instruction?;
        mark(instruction.pc, pc);
        pc += insertions.before(&instruction).map(<[u8]>::len).into_iter().sum::<usize>();
        pc += instruction.length_at(pc);
        pc += insertions.after(&instruction).len();
        if pc > MAX_CODE {
            return Err(too_long());
        }
    }
    mark(code.len(), pc);
    Ok(PcMap { landings })
}

fn emit(instruction: &Instruction<'_>, out: &mut Vec<u8>, map: &PcMap) -> Result<(), Refusal> {
    let (old_pc, new_pc) = (instruction.pc, out.len());
    let retarget = |offset: i32| -> Result<i32, Refusal> {
        let target =
            i64::try_from(old_pc).ok().and_then(|pc| u32::try_from(pc + i64::from(offset)).ok());
        let target = target.ok_or_else(|| {
            Refusal::new(format!("the branch at pc {old_pc} has a target before the code"))
        })?;
        let moved = i64::from(map.landing(target)?) - i64::try_from(new_pc).unwrap_or(i64::MAX);
        i32::try_from(moved).map_err(|_| Refusal::new("a branch moved out of range"))
    };
    let mut operands = instruction.operands();
    match instruction.shape {
        Shape::Plain => out.put(instruction.bytes),
        Shape::Branch => {
            let offset = retarget(operands.i2()?.into())?;
            let offset = i16::try_from(offset).map_err(|_| {
                Refusal::new(format!("the branch at pc {old_pc} would span more than 32,767 bytes"))
            })?;
            out.put_u1(instruction.opcode());
            out.put(&offset.to_be_bytes());
        }
        Shape::WideBranch => {
            let offset = retarget(operands.i4()?)?;
            out.put_u1(instruction.opcode());
            out.put_i4(offset);
        }
        Shape::TableSwitch | Shape::LookupSwitch => {
            out.put_u1(instruction.opcode());
            out.resize(out.len() + padding(new_pc), 0);
            out.put_i4(retarget(operands.i4()?)?);
            // tableswitch: low and high. lookupswitch: the number of pairs.
            out.put_i4(operands.i4()?);
            if instruction.shape == Shape::TableSwitch {
                out.put_i4(operands.i4()?);
            }
            while !operands.rest().is_empty() {
                if instruction.shape == Shape::LookupSwitch {
                    out.put_i4(operands.i4()?);
                }
                out.put_i4(retarget(operands.i4()?)?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestCode, rewrite};

    const GOTO: u8 = 167;
    const RETURN: u8 = 177;

    /// What `code` becomes with `entry` nops on entry and `before_return` nops before each return.
    fn spliced(code: &[u8], entry: usize, before_return: usize) -> Result<Vec<u8>, String> {
        rewrite(TestCode::of(code), entry, before_return)
            .map(|code| code.bytes)
            .map_err(|r| r.to_string())
    }

    #[test]
    fn code_that_is_only_a_return_takes_both() {
        assert_eq!(spliced(&[RETURN], 1, 2), Ok(vec![0, 0, 0, RETURN]));
    }

    #[test]
    fn a_jump_to_a_return_runs_the_snippet() {
        // ifeq to the second return; return; return
        let out = spliced(&[3, 153, 0, 4, RETURN, RETURN], 0, 2);
        assert_eq!(out, Ok(vec![3, 153, 0, 6, 0, 0, RETURN, 0, 0, RETURN]));
    }

    #[test]
    fn a_jump_to_the_start_does_not_run_the_entry_snippet_again() {
        // iconst_0; ifeq 0; return
        let out = spliced(&[3, 153, 255, 255, RETURN], 3, 0);
        assert_eq!(out, Ok(vec![0, 0, 0, 3, 153, 255, 255, RETURN]));
        // A return at 0 that is jumped to: after the one snippet, in front of the other.
        let out = spliced(&[RETURN, GOTO, 255, 255], 3, 2);
        assert_eq!(out, Ok(vec![0, 0, 0, 0, 0, RETURN, GOTO, 255, 253]));
    }

    #[test]
    fn wide_jumps_and_subroutines_move() {
        // goto_w +6; return; jsr -1; jsr_w -4
        let out = spliced(&[200, 0, 0, 0, 6, RETURN, 168, 255, 255, 201, 255, 255, 255, 252], 0, 1);
        assert_eq!(
            out,
            Ok(vec![200, 0, 0, 0, 7, 0, RETURN, 168, 255, 254, 201, 255, 255, 255, 251])
        );
    }

    #[test]
    fn switches_are_padded_anew() {
        // iconst_0; tableswitch 7..7 at pc 1, default and case at 20; return
        let code = [3, 170, 0, 0, 0, 0, 0, 19, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 19, RETURN];
        for entry in 0..=8 {
            let out = spliced(&code, entry, 0).unwrap();
            let pad = 3 - (entry + 1) % 4;
            let mut expected = vec![0; entry];
            expected.extend([3, 170]);
            expected.extend(vec![0; pad]);
            let to_end = 17 + pad as u8;
            expected.extend([0, 0, 0, to_end, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, to_end, RETURN]);
            assert_eq!(out, expected, "{entry} in front");
        }
        // The same with a lookupswitch for -1, whose case jumps back to the start.
        let code =
            [3, 171, 0, 0, 0, 0, 0, 19, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, RETURN];
        let out = spliced(&code, 2, 1).unwrap();
        let expected = [
            0, 0, 3, 171, 0, 0, 0, 17, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0,
            RETURN,
        ];
        assert_eq!(out, expected);
    }

    /// `goto` over a return and enough nops to make it span `distance`.
    fn long_jump(distance: usize) -> Vec<u8> {
        let mut code = vec![GOTO];
        code.put(&u16::try_from(distance).unwrap().to_be_bytes());
        code.push(RETURN);
        code.resize(distance, 0);
        code.push(RETURN);
        code
    }

    #[test]
    fn a_16_bit_branch_stretches_to_its_limit_and_no_further() {
        let out = spliced(&long_jump(32_765), 0, 2).unwrap();
        assert_eq!(out[1..3], 32_767u16.to_be_bytes());
        assert_eq!(
            spliced(&long_jump(32_766), 0, 2),
            Err("m()V: the branch at pc 0 would span more than 32,767 bytes".to_owned())
        );
    }

    #[test]
    fn code_grows_to_its_limit_and_no_further() {
        let mut code = vec![0; 65_534];
        code.push(RETURN);
        assert_eq!(spliced(&code, 0, 0), Ok(code.clone()));
        let too_long = Err("m()V: the code would be longer than 65535 bytes".to_owned());
        assert_eq!(spliced(&code, 1, 0), too_long);
        assert_eq!(spliced(&code, 0, 1), too_long);
        assert_eq!(spliced(&code[1..], 1, 0).map(|out| out.len()), Ok(65_535));
        code.insert(0, 0);
        assert_eq!(spliced(&code, 0, 0), too_long);
    }

    #[test]
    fn branches_that_go_nowhere_are_refused() {
        for (code, reason) in [
            (&[GOTO, 0, 3][..], "pc 3 is past the end of the code"),
            (&[GOTO, 255, 255], "the branch at pc 0 has a target before the code"),
            (&[200, 127, 255, 255, 255], "pc 2147483647 is past the end of the code"),
            (&[GOTO, 0, 1], "no instruction starts at pc 1"),
            (&[], "the code is empty"),
        ] {
            assert_eq!(spliced(code, 0, 0), Err(format!("m()V: {reason}")), "{code:?}");
        }
    }
}
