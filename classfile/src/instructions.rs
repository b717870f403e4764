//! The instruction set's shape (JVMS §6.5): where each instruction ends and which kind of pc it
//! contains.
//!
//! Owns: instruction lengths, operand layouts and the step from one instruction to the next. Leaves
//! to others: what instructions do, except for the few predicates at the end. Invariant: iteration
//! over code either covers it to the last byte or ends in a [`Refusal`]; each step is at least one
//! byte, so it always ends.

use super::Refusal;
use super::bytes::Reader;

pub(super) const NEW: u8 = 187;
pub(super) const INVOKEVIRTUAL: u8 = 182;
pub(super) const INVOKESPECIAL: u8 = 183;
pub(super) const INVOKESTATIC: u8 = 184;
const IINC: u8 = 132;
const RET: u8 = 169;
const TABLESWITCH: u8 = 170;
const LOOKUPSWITCH: u8 = 171;
const ATHROW: u8 = 191;
const WIDE: u8 = 196;

/// Where an instruction contains pcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nowhere: it may be copied unchanged.
    Plain,
    /// A 16-bit offset after the opcode: `if…`, `goto`, `jsr`, `ifnull`, `ifnonnull`.
    Branch,
    /// A 32-bit offset after the opcode: `goto_w`, `jsr_w`.
    WideBranch,
    /// `tableswitch`: padding, default, low, high, one offset each.
    TableSwitch,
    /// `lookupswitch`: padding, default, count, pairs of a match and an offset.
    LookupSwitch,
}

/// One instruction at its place in a method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction<'a> {
    /// Offset of the opcode in the code array.
    pub(super) pc: usize,
    /// Where it contains pcs.
    pub(super) shape: Shape,
    /// The whole instruction, including a `wide` prefix and a switch's padding.
    pub(super) bytes: &'a [u8],
}

impl<'a> Instruction<'a> {
    /// The first byte; `wide` (196) for instructions that have the prefix.
    pub(super) fn opcode(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Whether the method ends here, with a value or without; `athrow` is not a return.
    pub(super) fn is_return(&self) -> bool {
        (172..=177).contains(&self.opcode())
    }

    /// Whether control may continue anywhere but at the next instruction, exceptions aside.
    pub(super) fn leaves(&self) -> bool {
        let returns_from_subroutine = self.opcode() == RET || self.widened() == Some(RET);
        self.shape != Shape::Plain
            || self.is_return()
            || self.opcode() == ATHROW
            || returns_from_subroutine
    }

    /// The bytes after the opcode, or after a switch's padding.
    pub(super) fn operands(&self) -> Reader<'a> {
        let skipped = match self.shape {
            Shape::TableSwitch | Shape::LookupSwitch => 1 + padding(self.pc),
            _ => 1,
        };
        Reader::new(self.bytes.get(skipped..).unwrap_or_default(), "an instruction")
    }

    /// The constant pool index after the opcode, for instructions that have a two-byte index.
    pub(super) fn pool_index(&self) -> Option<u16> {
        self.operands().u2().ok()
    }

    /// The length that the instruction would have at `pc`: only a switch's padding depends on it.
    pub(super) fn length_at(&self, pc: usize) -> usize {
        match self.shape {
            Shape::TableSwitch | Shape::LookupSwitch => {
                self.bytes.len().saturating_sub(padding(self.pc)).saturating_add(padding(pc))
            }
            _ => self.bytes.len(),
        }
    }

    /// The opcode after a `wide` prefix.
    fn widened(&self) -> Option<u8> {
        if self.opcode() == WIDE { self.bytes.get(1).copied() } else { None }
    }

    /// Whether the instruction changes this local variable.
    pub(super) fn writes_local(&self, local: u16) -> bool {
        let opcode = self.widened().unwrap_or_else(|| self.opcode());
        let (first, two_slots) = match opcode {
            IINC | 54..=58 => {
                let index = match self.widened() {
                    Some(_) => self.bytes.get(2..4).map(|b| Reader::new(b, "a wide index").u2()),
                    None => self.bytes.get(1).map(|&index| Ok(u16::from(index))),
                };
                // lstore and dstore.
                (index.and_then(Result::ok), opcode == 55 || opcode == 57)
            }
            // istore_0 to astore_3: four each of int, long, float, double, reference.
            59..=78 => (Some(u16::from((opcode - 59) % 4)), matches!(opcode, 63..=66 | 71..=74)),
            _ => (None, false),
        };
        first.is_some_and(|first| {
            first == local || (two_slots && first.checked_add(1) == Some(local))
        })
    }
}

/// Zero bytes between a switch's opcode and its first operand, which is aligned to four.
pub(super) fn padding(pc: usize) -> usize {
    3 - pc % 4
}

/// Iterates over the instructions of a code array; ends after the first refusal.
#[derive(Debug, Clone)]
pub(super) struct Instructions<'a> {
    code: &'a [u8],
    pc: usize,
}

impl<'a> Instructions<'a> {
    /// Starts at the first byte of a code array.
    pub(super) fn of(code: &'a [u8]) -> Self {
        Self { code, pc: 0 }
    }
}

impl<'a> Iterator for Instructions<'a> {
    type Item = Result<Instruction<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.code.get(self.pc..).filter(|rest| !rest.is_empty())?;
        let step = measure(rest, self.pc).and_then(|(shape, len)| {
            let bytes = Reader::new(rest, "the code").take(len)?;
            Ok(Instruction { pc: self.pc, shape, bytes })
        });
        self.pc = match &step {
            Ok(instruction) => self.pc + instruction.bytes.len(),
            Err(_) => self.code.len(),
        };
        Some(step)
    }
}

/// Shape and length of the instruction at the start of `rest`, whose pc is `pc`.
fn measure(rest: &[u8], pc: usize) -> Result<(Shape, usize), Refusal> {
    let mut reader = Reader::new(rest, "the code");
    let opcode = reader.u1()?;
    Ok(match opcode {
        0..=15 | 26..=53 | 59..=131 | 133..=152 | 172..=177 | 190 | 191 | 194 | 195 => {
            (Shape::Plain, 1)
        }
        // bipush, ldc, loads, stores, ret, newarray.
        16 | 18 | 21..=25 | 54..=58 | RET | 188 => (Shape::Plain, 2),
        // sipush, ldc_w, ldc2_w, iinc, fields, invokes, new, anewarray, checkcast, instanceof.
        17 | 19 | 20 | IINC | 178..=184 | NEW | 189 | 192 | 193 => (Shape::Plain, 3),
        // multianewarray.
        197 => (Shape::Plain, 4),
        // invokeinterface, invokedynamic.
        185 | 186 => (Shape::Plain, 5),
        153..=168 | 198 | 199 => (Shape::Branch, 3),
        200 | 201 => (Shape::WideBranch, 5),
        TABLESWITCH | LOOKUPSWITCH => {
            // Padding other than zeros is legal in new class files, but would be lost when the
            // switch moves.
            if reader.take(padding(pc))?.iter().any(|&byte| byte != 0) {
                return Err(Refusal::new(format!("the switch at pc {pc} has non-zero padding")));
            }
            reader.i4()?;
            let first = reader.i4()?;
            let (shape, header, each, count) = if opcode == TABLESWITCH {
                (Shape::TableSwitch, 12, 4, i64::from(reader.i4()?) - i64::from(first) + 1)
            } else {
                (Shape::LookupSwitch, 8, 8, i64::from(first))
            };
            // No method holds more than 65,535 bytes, so a larger count is refused before it is
            // multiplied.
            let least = if opcode == TABLESWITCH { 1 } else { 0 };
            let count =
                usize::try_from(count).ok().filter(|count| (least..=0xFFFF).contains(count));
            let count = count.ok_or_else(|| {
                Refusal::new(format!("the switch at pc {pc} has an invalid size"))
            })?;
            (shape, 1 + padding(pc) + header + each * count)
        }
        WIDE => match reader.u1()? {
            21..=25 | 54..=58 | RET => (Shape::Plain, 4),
            IINC => (Shape::Plain, 6),
            other => {
                return Err(Refusal::new(format!("`wide` at pc {pc} precedes opcode {other}")));
            }
        },
        _ => return Err(Refusal::new(format!("opcode {opcode} at pc {pc} is unknown"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_has_its_length() {
        // Lengths according to JVMS §6.5, in runs of equal ones; 0 stands for a variable length or
        // an unused opcode.
        let runs = [
            (0..=15, 1),
            (16..=16, 2),
            (17..=17, 3),
            (18..=18, 2),
            (19..=20, 3),
            (21..=25, 2),
            (26..=53, 1),
            (54..=58, 2),
            (59..=131, 1),
            (132..=132, 3),
            (133..=152, 1),
            (153..=168, 3),
            (169..=169, 2),
            (170..=171, 0),
            (172..=177, 1),
            (178..=184, 3),
            (185..=186, 5),
            (187..=187, 3),
            (188..=188, 2),
            (189..=189, 3),
            (190..=191, 1),
            (192..=193, 3),
            (194..=195, 1),
            (196..=196, 0),
            (197..=197, 4),
            (198..=199, 3),
            (200..=201, 5),
            (202..=255, 0),
        ];
        for (opcodes, len) in runs {
            for opcode in opcodes {
                let code = [opcode, 0, 0, 0, 0];
                let first = Instructions::of(&code).next().unwrap();
                assert_eq!(
                    first.map_or(0, |instruction| instruction.bytes.len()),
                    len,
                    "opcode {opcode}"
                );
            }
        }
    }

    #[test]
    fn a_walk_ends_where_the_code_does() {
        let lengths = |code: &[u8]| -> Result<Vec<usize>, String> {
            Instructions::of(code)
                .map(|step| step.map(|i| i.bytes.len()).map_err(|r| r.to_string()))
                .collect()
        };
        // nop; tableswitch at 1 with two bytes of padding and the cases 5 and 6; return
        let table = [0, 170, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 177];
        assert_eq!(lengths(&table), Ok(vec![1, 23, 1]));
        // lookupswitch at 0 with no pairs, wide iload, wide iinc
        let lookup = [171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 196, 21, 1, 0, 196, 132, 1, 0, 0, 1];
        assert_eq!(lengths(&lookup), Ok(vec![12, 4, 6]));
        for (code, reason) in [
            (&table[..23], "the code is truncated"),
            (&[170, 1][..], "the code is truncated"),
            (&[18], "the code is truncated"),
            (&[170, 0, 0, 9, 0, 0, 0, 0], "the switch at pc 0 has non-zero padding"),
            // low 1, high 0; a count of -1; a count past what any method can hold
            (
                &[170, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
                "the switch at pc 0 has an invalid size",
            ),
            (
                &[171, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
                "the switch at pc 0 has an invalid size",
            ),
            (
                &[171, 0, 0, 0, 0, 0, 0, 0, 127, 255, 255, 255],
                "the switch at pc 0 has an invalid size",
            ),
            (&[0, 196, 0], "`wide` at pc 1 precedes opcode 0"),
            (&[202], "opcode 202 at pc 0 is unknown"),
        ] {
            assert_eq!(lengths(code), Err(reason.to_owned()));
        }
    }

    #[test]
    fn writes_to_locals_are_seen() {
        for (code, local, writes) in [
            (&[75][..], 0, true), // astore_0
            (&[76], 0, false),    // astore_1
            (&[59], 0, true),     // istore_0
            (&[63], 0, true),     // lstore_0
            (&[63], 1, true),     // its second half
            (&[63], 2, false),
            (&[74], 4, true), // dstore_3
            (&[78], 3, true), // astore_3
            (&[78], 4, false),
            (&[58, 0], 0, true), // astore 0
            (&[58, 7], 0, false),
            (&[55, 6], 7, true),     // lstore 6
            (&[132, 0, 1], 0, true), // iinc 0
            (&[132, 1, 0], 0, false),
            (&[196, 58, 0, 0], 0, true),
            (&[196, 58, 1, 0], 0, false),
            (&[196, 57, 1, 0], 257, true),
            (&[196, 132, 0, 0, 0, 1], 0, true),
            (&[42], 0, false),    // aload_0
            (&[25, 0], 0, false), // aload 0
            (&[79], 0, false),    // iastore
        ] {
            let instruction = Instructions::of(code).next().unwrap().unwrap();
            assert_eq!(instruction.writes_local(local), writes, "{code:?} and local {local}");
        }
    }
}
