//! StackMapTable (JVMS §4.7.4).
//!
//! Owns: moving each frame, and each `Uninitialized(offset)` type in it, to the new place of its
//! instruction. Leaves to others: the meaning of the frames; types and locals are copied.
//! Invariant: a frame keeps its form, except that a `same` form becomes its extended form when its
//! offset delta no longer fits six bits.

use super::Refusal;
use super::bytes::{Put, Reader};
use super::layout::PcMap;

const SAME_LOCALS_1_EXTENDED: u8 = 247;
const SAME_EXTENDED: u8 = 251;
const UNINITIALIZED: u8 = 8;

/// Re-encodes the body of a StackMapTable for code that was laid out again.
pub(super) fn relocate(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "StackMapTable");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    // The pc after the last frame: deltas count from there, and the first one from 0 (JVMS §4.7.4).
    let (mut old_base, mut new_base) = (0u32, 0u32);
    for _ in 0..count {
        let tag = reader.u1()?;
        let delta = match tag {
            0..=63 => u16::from(tag),
            64..=127 => u16::from(tag - 64),
            128..=246 => {
                return Err(Refusal::new(format!("stack map frame type {tag} is reserved")));
            }
            _ => reader.u2()?,
        };
        let old = old_base + u32::from(delta);
        let new = map.landing(old)?;
        let delta = new
            .checked_sub(new_base)
            .and_then(|delta| u16::try_from(delta).ok())
            .ok_or_else(|| Refusal::new("a stack map frame moved out of order"))?;
        put_head(&mut out, tag, delta);
        match tag {
            64..=127 | SAME_LOCALS_1_EXTENDED => relocate_type(&mut reader, &mut out, map)?,
            // Appended locals.
            252..=254 => {
                for _ in SAME_EXTENDED..tag {
                    relocate_type(&mut reader, &mut out, map)?;
                }
            }
            // A full frame: locals, then the stack.
            255 => {
                for _ in 0..2 {
                    let types = reader.u2()?;
                    out.put_u2(types);
                    for _ in 0..types {
                        relocate_type(&mut reader, &mut out, map)?;
                    }
                }
            }
            _ => {}
        }
        (old_base, new_base) = (old + 1, new + 1);
    }
    reader.finish()?;
    Ok(out)
}

fn put_head(out: &mut Vec<u8>, tag: u8, delta: u16) {
    let short = u8::try_from(delta).ok().filter(|delta| *delta < 64);
    match (tag, short) {
        (0..=63, Some(delta)) => out.put_u1(delta),
        (64..=127, Some(delta)) => out.put_u1(64 + delta),
        _ => {
            out.put_u1(match tag {
                0..=63 => SAME_EXTENDED,
                64..=127 => SAME_LOCALS_1_EXTENDED,
                _ => tag,
            });
            out.put_u2(delta);
        }
    }
}

fn relocate_type(reader: &mut Reader<'_>, out: &mut Vec<u8>, map: &PcMap) -> Result<(), Refusal> {
    let tag = reader.u1()?;
    out.put_u1(tag);
    match tag {
        0..=6 => {}
        // Object: a constant pool index.
        7 => out.put_u2(reader.u2()?),
        UNINITIALIZED => {
            let offset = reader.u2()?;
            out.put_u2(map.landing_u2(offset)?);
        }
        _ => return Err(Refusal::new(format!("verification type {tag} is unknown"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestCode, rewrite};

    /// The table's body after `entry` nops in front of `code`, and `before_return` in front of each
    /// return.
    fn moved(
        code: Vec<u8>,
        table: &[u8],
        entry: usize,
        before_return: usize,
    ) -> Result<Vec<u8>, String> {
        let out = rewrite(TestCode::of(code).with("StackMapTable", table), entry, before_return);
        out.map(|code| code.attributes[0].1.clone()).map_err(|refusal| refusal.to_string())
    }

    /// One-byte instructions that are not returns.
    fn plain(len: usize) -> Vec<u8> {
        vec![3; len]
    }

    #[test]
    fn the_first_frame_counts_from_0_and_the_others_from_behind_the_last() {
        // Frames at 0, 1 and 3.
        assert_eq!(moved(plain(8), &[0, 3, 0, 0, 1], 5, 0), Ok(vec![0, 3, 5, 0, 1]));
        // Returns at 1 and 3: the frames at them stay in front of the snippets, which move the
        // later ones.
        assert_eq!(moved(vec![3, 177, 3, 177], &[0, 3, 0, 0, 1], 5, 4), Ok(vec![0, 3, 5, 0, 5]));
    }

    #[test]
    fn a_form_is_kept_until_it_no_longer_fits() {
        for (table, entry, expected) in [
            (&[63][..], 0, &[63][..]),
            (&[60], 3, &[63]),
            (&[60], 4, &[251, 0, 64]),
            (&[251, 0, 1], 0, &[251, 0, 1]),
            (&[251, 0, 1], 2, &[251, 0, 3]),
            (&[64 + 63, 1], 0, &[127, 1]),
            (&[64 + 60, 1], 3, &[127, 1]),
            (&[64 + 60, 1], 4, &[247, 0, 64, 1]),
            (&[247, 0, 1, 7, 0, 9], 2, &[247, 0, 3, 7, 0, 9]),
            (&[248, 0, 1], 2, &[248, 0, 3]),
            (&[250, 0, 1], 2, &[250, 0, 3]),
            (&[252, 0, 1, 1], 2, &[252, 0, 3, 1]),
            (&[254, 0, 1, 1, 2, 7, 0, 1], 2, &[254, 0, 3, 1, 2, 7, 0, 1]),
            (&[255, 0, 1, 0, 1, 6, 0, 2, 5, 0], 2, &[255, 0, 3, 0, 1, 6, 0, 2, 5, 0]),
            // Uninitialized(2), on the stack, in an appended local, and in both lists of a full
            // frame.
            (&[65, 8, 0, 2], 1, &[66, 8, 0, 3]),
            (&[252, 0, 1, 8, 0, 2], 1, &[252, 0, 2, 8, 0, 3]),
            (
                &[255, 0, 1, 0, 1, 8, 0, 2, 0, 1, 8, 0, 5],
                1,
                &[255, 0, 2, 0, 1, 8, 0, 3, 0, 1, 8, 0, 6],
            ),
        ] {
            let body = |frame: &[u8]| [&[0, 1], frame].concat();
            assert_eq!(
                moved(plain(70), &body(table), entry, 0),
                Ok(body(expected)),
                "{table:?} by {entry}"
            );
        }
    }

    #[test]
    fn deltas_shrink_with_a_switch_that_needs_less_padding() {
        // lookupswitch at 0 with three bytes of padding and no pairs, then a return with the frame
        // at 12.
        let code = vec![171, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 177];
        assert_eq!(moved(code, &[0, 2, 0, 11], 3, 0), Ok(vec![0, 2, 3, 8]));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (table, reason) in [
            (&[0, 1, 128][..], "stack map frame type 128 is reserved"),
            (&[0, 1, 246], "stack map frame type 246 is reserved"),
            (&[0, 1, 64, 9], "verification type 9 is unknown"),
            (&[0, 1, 8], "pc 8 is past the end of the code"),
            (&[0, 1, 64, 8, 0, 9], "pc 9 is past the end of the code"),
            (&[0, 2, 0], "StackMapTable is truncated"),
            (&[0, 1, 255, 0, 0, 255, 255], "StackMapTable is truncated"),
            (&[0, 0, 0], "StackMapTable has 1 trailing bytes"),
        ] {
            assert_eq!(moved(plain(8), table, 0, 0), Err(format!("m()V: {reason}")), "{table:?}");
        }
    }
}
