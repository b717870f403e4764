//! The tables beside the code that contain pcs: exceptions, lines, variables, type annotations,
//! character ranges.
//!
//! Owns: re-encoding each of them through a [`PcMap`]. Leaves to others: frames (`frames.rs`).
//! Invariant: every item is read and written in order, none is dropped, added or reordered.

use super::Refusal;
use super::bytes::{Put, Reader};
use super::layout::PcMap;

/// The exception table (JVMS §4.7.3), including its count: `[start, end)` and the handler.
pub(super) fn exceptions(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "the exception table");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    for _ in 0..count {
        // A range from pc 0 starts after the entry snippet: the method's handlers must not catch
        // from the hook.
        out.put_u2(map.landing_u2(reader.u2()?)?);
        out.put_u2(map.boundary_u2(reader.u2()?)?);
        out.put_u2(map.landing_u2(reader.u2()?)?);
        out.put_u2(reader.u2()?);
    }
    reader.finish()?;
    Ok(out)
}

/// LineNumberTable (JVMS §4.7.12).
pub(super) fn lines(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "LineNumberTable");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    for _ in 0..count {
        out.put_u2(map.start(reader.u2()?)?);
        out.put_u2(reader.u2()?);
    }
    reader.finish()?;
    Ok(out)
}

/// LocalVariableTable and LocalVariableTypeTable (JVMS §4.7.13, §4.7.14), which have the same
/// layout.
pub(super) fn variables(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "a local variable table");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    for _ in 0..count {
        let (start, length) = map.scope(reader.u2()?, reader.u2()?)?;
        out.put_u2(start);
        out.put_u2(length);
        // Name, descriptor or signature, index.
        out.put(reader.take(6)?);
    }
    reader.finish()?;
    Ok(out)
}

/// CharacterRangeTable, which `javac -Xjcov` writes; the end pc is the last one inside.
pub(super) fn character_ranges(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "CharacterRangeTable");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    for _ in 0..count {
        let (start, last) = (reader.u2()?, reader.u2()?);
        out.put_u2(map.landing_u2(start)?);
        // An empty range at 0 has 65,535 as its last pc; wrapping in both directions keeps it.
        out.put_u2(map.boundary_u2(last.wrapping_add(1))?.wrapping_sub(1));
        // Two positions in the source and the flags.
        out.put(reader.take(10)?);
    }
    reader.finish()?;
    Ok(out)
}

/// Runtime(In)VisibleTypeAnnotations inside Code (JVMS §4.7.20).
pub(super) fn type_annotations(body: &[u8], map: &PcMap) -> Result<Vec<u8>, Refusal> {
    let mut reader = Reader::new(body, "a type annotation table");
    let mut out = Vec::with_capacity(body.len());
    let count = reader.u2()?;
    out.put_u2(count);
    for _ in 0..count {
        let target = reader.u1()?;
        out.put_u1(target);
        match target {
            // A local variable, or a resource of try-with-resources: the ranges in which it lives.
            0x40 | 0x41 => {
                let ranges = reader.u2()?;
                out.put_u2(ranges);
                for _ in 0..ranges {
                    let (start, length) = map.scope(reader.u2()?, reader.u2()?)?;
                    out.put_u2(start);
                    out.put_u2(length);
                    out.put_u2(reader.u2()?);
                }
            }
            // An exception parameter: an index into the exception table, which keeps its order.
            0x42 => out.put_u2(reader.u2()?),
            // instanceof, new, and the two kinds of method reference.
            0x43..=0x46 => out.put_u2(map.landing_u2(reader.u2()?)?),
            // Casts and type arguments: the offset, and which argument.
            0x47..=0x4B => {
                out.put_u2(map.landing_u2(reader.u2()?)?);
                out.put_u1(reader.u1()?);
            }
            _ => {
                return Err(Refusal::new(format!(
                    "a type annotation in code has the target {target:#04x}"
                )));
            }
        }
        let start = reader.clone();
        let path = reader.u1()?;
        reader.take(usize::from(path) * 2)?;
        skip_annotation(&mut reader, 0)?;
        out.put(reader.since(&start));
    }
    reader.finish()?;
    Ok(out)
}

/// The recursion limit for nested annotations: no compiler output is deeper, and the stack is
/// finite.
const MAX_DEPTH: u32 = 64;

fn skip_annotation(reader: &mut Reader<'_>, depth: u32) -> Result<(), Refusal> {
    reader.u2()?;
    for _ in 0..reader.u2()? {
        reader.u2()?;
        skip_value(reader, depth + 1)?;
    }
    Ok(())
}

/// An element value (JVMS §4.7.16.1).
fn skip_value(reader: &mut Reader<'_>, depth: u32) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::new(format!(
            "annotations are nested more than {MAX_DEPTH} levels deep"
        )));
    }
    let tag = reader.u1()?;
    match tag {
        b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' | b's' | b'c' => {
            reader.take(2).map(drop)
        }
        b'e' => reader.take(4).map(drop),
        b'@' => skip_annotation(reader, depth + 1),
        b'[' => {
            for _ in 0..reader.u2()? {
                skip_value(reader, depth + 1)?;
            }
            Ok(())
        }
        _ => Err(Refusal::new(format!("annotation value tag {tag} is unknown"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestCode, rewrite, u2s};

    /// iconst_0; return; iconst_0; return, with the table, after 3 nops on entry and 2 before each
    /// return. Old pcs 0, 1, 2, 3 and the end at 4 land at 3, 4, 7, 8 and 11.
    fn moved(name: &'static str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let out = rewrite(TestCode::of([3, 177, 3, 177]).with(name, body), 3, 2);
        out.map(|code| code.attributes[0].1.clone()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_range_takes_the_snippets_of_its_returns_and_leaves_the_one_on_entry() {
        let mut code = TestCode::of([3, 177, 3, 177]);
        code.exceptions = vec![[0, 1, 2, 0], [1, 2, 0, 7], [2, 4, 3, 0]];
        let out = rewrite(code.clone(), 3, 2).unwrap();
        assert_eq!(out.exceptions, [[3, 4, 7, 0], [4, 7, 3, 7], [7, 11, 8, 0]]);
        for malformed in [[0, 5, 2, 0], [4, 4, 2, 0], [0, 4, 4, 0]] {
            code.exceptions = vec![malformed];
            assert!(rewrite(code.clone(), 3, 2).is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn lines_move_and_line_0_stays() {
        let out = moved("LineNumberTable", u2s(&[4, 0, 10, 3, 13, 1, 11, 0, 9]));
        assert_eq!(out, Ok(u2s(&[4, 0, 10, 8, 13, 4, 11, 0, 9])));
        let refused = moved("LineNumberTable", u2s(&[1, 4, 10])).unwrap_err();
        assert_eq!(refused, "m()V: pc 4 is past the end of the code");
    }

    #[test]
    fn scopes_move_with_both_ends() {
        let before = [
            4, 0, 4, 20, 21, 0, // all the code: a parameter is in scope in the snippet too
            1, 1, 20, 21, 1, // one return
            2, 2, 20, 21, 2, // up to the end
            0, 0, 20, 21, 3, // nowhere
        ];
        let after = [4, 0, 11, 20, 21, 0, 4, 3, 20, 21, 1, 7, 4, 20, 21, 2, 3, 0, 20, 21, 3];
        for name in ["LocalVariableTable", "LocalVariableTypeTable"] {
            assert_eq!(moved(name, u2s(&before)), Ok(u2s(&after)), "{name}");
            assert!(moved(name, u2s(&[1, 2, 3, 20, 21, 0])).is_err(), "{name} past the end");
        }
    }

    #[test]
    fn character_ranges_end_inside() {
        let entry = |start, last| u2s(&[1, start, last, 1, 2, 3, 4, 5]);
        for ((start, last), (new_start, new_last)) in [
            ((0, 0), (3, 3)),
            ((0, 3), (3, 10)),
            ((1, 1), (4, 6)),
            ((2, 2), (7, 7)),
            ((0, 65_535), (3, 2)),
        ] {
            let out = moved("CharacterRangeTable", entry(start, last));
            assert_eq!(out, Ok(entry(new_start, new_last)), "{start} to {last}");
        }
    }

    /// One type annotation: the target as given, an empty path, and a value of every kind.
    fn annotation(target: &[u8]) -> Vec<u8> {
        let values: [&[u8]; 7] = [
            b"\0\x01I\0\x02",
            b"\0\x01e\0\x02\0\x03",
            b"\0\x01c\0\x02",
            b"\0\x01s\0\x02",
            b"\0\x01@\0\x05\0\0",
            b"\0\x01[\0\x02I\0\x02I\0\x02",
            b"\0\x01[\0\0",
        ];
        let tail = [b"\x01\x03\x00\0\x05\0\x07".as_slice(), &values.concat()].concat();
        // The same twice: the second one is found only if the first was measured correctly.
        [b"\0\x02".as_slice(), target, &tail, target, &tail].concat()
    }

    #[test]
    fn type_annotations_move() {
        for (before, after) in [
            (
                &[0x40, 0, 2, 0, 1, 0, 1, 0, 9, 0, 0, 0, 4, 0, 8][..],
                &[0x40, 0, 2, 0, 4, 0, 3, 0, 9, 0, 0, 0, 11, 0, 8][..],
            ),
            (&[0x41, 0, 1, 0, 2, 0, 2, 0, 9], &[0x41, 0, 1, 0, 7, 0, 4, 0, 9]),
            (&[0x42, 0, 1], &[0x42, 0, 1]),
            (&[0x43, 0, 2], &[0x43, 0, 7]),
            (&[0x46, 0, 0], &[0x46, 0, 3]),
            (&[0x47, 0, 2, 1], &[0x47, 0, 7, 1]),
            (&[0x4B, 0, 0, 1], &[0x4B, 0, 3, 1]),
        ] {
            let out = moved("RuntimeVisibleTypeAnnotations", annotation(before));
            assert_eq!(out, Ok(annotation(after)), "{before:?}");
        }
    }

    #[test]
    fn type_annotations_that_are_malformed_are_refused() {
        let deep = |levels: usize| {
            let mut body =
                [b"\0\x01\x43\0\0\0\0\x05\0\x01\0\x01".as_slice(), &b"[\0\x01".repeat(levels)]
                    .concat();
            body.extend(b"I\0\x01");
            body
        };
        assert_eq!(
            moved("RuntimeVisibleTypeAnnotations", deep(63)).map(|out| out.len()),
            Ok(deep(63).len())
        );
        for (body, reason) in [
            (deep(64), "annotations are nested more than 64 levels deep"),
            (deep(10_000), "annotations are nested more than 64 levels deep"),
            (annotation(&[0x4C]), "a type annotation in code has the target 0x4c"),
            (annotation(&[0x10, 0, 0]), "a type annotation in code has the target 0x10"),
            (b"\0\x01\x42\0\0\0\0\x05\0\x01\0\x01?".to_vec(), "annotation value tag 63 is unknown"),
            (b"\0\x01\x42\0".to_vec(), "a type annotation table is truncated"),
        ] {
            assert_eq!(
                moved("RuntimeVisibleTypeAnnotations", body),
                Err(format!("m()V: {reason}"))
            );
        }
    }
}
