//! JVM instructions, decoded without the rewriter (JVMS chapter 6).
//!
//! Owns: where instructions begin and where they jump to. Invariant: shares nothing with
//! `classfile/`, so that a mistake there shows.

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins.
    pub pc: usize,
    /// Its opcode.
    pub opcode: u8,
    /// Its operands, without those that are jumps and without padding.
    pub operands: Vec<u8>,
    /// The pcs that it may jump to; outside the code, too.
    pub targets: Vec<i64>,
    /// Whether control may go elsewhere than to the next instruction, exceptions apart.
    pub leaves: bool,
}

/// The instructions of a method, or none if the bytes are no sequence of instructions.
pub fn decode(code: &[u8]) -> Option<Vec<Instruction>> {
    let mut instructions = Vec::new();
    let mut pc = 0;
    while pc < code.len() {
        let (instruction, length) = one(code, pc)?;
        instructions.push(instruction);
        pc += length;
    }
    Some(instructions)
}

/// Whether this opcode is one of the six returns.
pub fn is_return(opcode: u8) -> bool {
    (172..=177).contains(&opcode)
}

/// The instruction at a pc, and its length.
fn one(code: &[u8], pc: usize) -> Option<(Instruction, usize)> {
    let opcode = *code.get(pc)?;
    let i4 = |at: usize| -> Option<i64> {
        Some(i64::from(i32::from_be_bytes(code.get(at..at + 4)?.try_into().ok()?)))
    };
    let target = |offset: i64| pc as i64 + offset;
    let mut targets = Vec::new();
    let mut operands = Vec::new();
    let length = match opcode {
        // Conditions, goto, jsr, ifnull and ifnonnull.
        153..=168 | 198 | 199 => {
            let offset = i16::from_be_bytes(code.get(pc + 1..pc + 3)?.try_into().ok()?);
            targets.push(target(i64::from(offset)));
            3
        }
        // goto_w and jsr_w.
        200 | 201 => {
            targets.push(target(i4(pc + 1)?));
            5
        }
        // tableswitch and lookupswitch: aligned to four bytes.
        170 | 171 => {
            let at = (pc & !3) + 4;
            targets.push(target(i4(at)?));
            let (keys, cases, width) = if opcode == 170 {
                let (low, high) = (i4(at + 4)?, i4(at + 8)?);
                (at + 4..at + 12, high - low + 1, 4)
            } else {
                (at + 4..at + 8, i4(at + 4)?, 8)
            };
            let cases = usize::try_from(cases).ok().filter(|cases| *cases <= code.len())?;
            operands.extend(code.get(keys.clone())?);
            for case in 0..cases {
                let at = keys.end + case * width;
                operands.extend(code.get(at..at + width - 4)?);
                targets.push(target(i4(at + width - 4)?));
            }
            keys.end + cases * width - pc
        }
        // wide: iinc has two operands, the others one.
        196 => match *code.get(pc + 1)? {
            132 => 6,
            21..=25 | 54..=58 | 169 => 4,
            _ => return None,
        },
        // bipush, ldc, loads and stores with an operand, ret, newarray.
        16 | 18 | 21..=25 | 54..=58 | 169 | 188 => 2,
        // sipush, ldc_w, ldc2_w, iinc, fields, invocations, new, anewarray, checkcast, instanceof.
        17 | 19 | 20 | 132 | 178..=184 | 187 | 189 | 192 | 193 => 3,
        // multianewarray.
        197 => 4,
        // invokeinterface and invokedynamic.
        185 | 186 => 5,
        202.. => return None,
        _ => 1,
    };
    let all = code.get(pc..pc + length)?;
    if targets.is_empty() {
        operands.extend(&all[1..]);
    }
    // ret, wide ret and athrow.
    let is_elsewhere = opcode == 169 || all.starts_with(&[196, 169]) || opcode == 191;
    let leaves = !targets.is_empty() || is_return(opcode) || is_elsewhere;
    Some((Instruction { pc, opcode, operands, targets, leaves }, length))
}
