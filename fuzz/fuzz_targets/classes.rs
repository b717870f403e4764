//! Class files into the rewriter and into the table of hooks.
//!
//! The input is a class file, or describes one whose parts are well-formed and whose code and
//! tables are not.
//!
//! Properties, of any bytes:
//! - a class that is parsed is written again byte for byte;
//! - a class with snippets is refused, or it parses again and its code is the old code with the
//!   snippets where they belong: the same instructions, and jumps to the same ones;
//! - a hook is reported as placed as often as the class calls the helper class, and a class that
//!   was instrumented can be parsed.
#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use zaudit_classfile::testing::{Assembler, TestCode};
use zaudit_classfile::{ClassFile, Splice, Where};
use zaudit_fuzz::bytecode::{Instruction, decode, is_return};
use zaudit_instrument::{HELPER_CLASS, Identity, instrument, targets};

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(&[0xca, 0xfe, 0xba, 0xbe]) {
        let at = bytes.len() / 2;
        check(bytes, &mut Unstructured::new(&bytes[at..]));
    } else {
        let mut input = Unstructured::new(bytes);
        if let Ok(class) = described(&mut input) {
            check(&class, &mut input);
        }
    }
});

/// Names and descriptors of methods, most of which the table of hooks names.
const METHODS: [(&str, &str); 10] = [
    ("<init>", "()V"),
    ("<init>", "(Z)V"),
    ("end", "()V"),
    ("run", "()V"),
    ("clean", "()V"),
    ("getInflater", "()Ljava/util/zip/Inflater;"),
    ("releaseInflater", "(Ljava/util/zip/Inflater;)V"),
    ("halt", "(I)V"),
    ("shutdown", "()V"),
    ("other", "(IJ)I"),
];

/// Methods that code calls, most of which the table of hooks looks for.
const CALLED: [(&str, &str, &str); 8] = [
    ("java/lang/Object", "<init>", "()V"),
    ("java/util/zip/Inflater", "<init>", "()V"),
    ("java/util/zip/Inflater", "init", "(Z)J"),
    ("java/util/zip/Deflater", "init", "(IIZ)J"),
    ("java/util/zip/Inflater", "end", "(J)V"),
    ("java/util/zip/Deflater", "end", "(J)V"),
    ("java/util/zip/Inflater", "reset", "()V"),
    ("java/util/zip/Deflater", "<init>", "()V"),
];

/// Attributes of code that the rewriter knows, and one that it does not.
const ATTRIBUTES: [&str; 9] = [
    "StackMapTable",
    "LineNumberTable",
    "LocalVariableTable",
    "LocalVariableTypeTable",
    "RuntimeVisibleTypeAnnotations",
    "RuntimeInvisibleTypeAnnotations",
    "CharacterRangeTable",
    "StackMap",
    "Unknown",
];

/// A class of these parts.
fn described(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let names: Vec<&str> = targets().chain(["T"]).collect();
    let mut class = Assembler::class(input.choose(&names)?, "java/lang/Object");
    for _ in 0..input.int_in_range(1..=4)? {
        let (name, descriptor) = *input.choose(&METHODS)?;
        let access = *input.choose(&[1, 8, 9, 0x101])?;
        let code = if input.ratio(1, 16)? { None } else { Some(code(&mut class, input)?) };
        class.method(access, name, descriptor, code);
    }
    Ok(class.bytes())
}

fn code(class: &mut Assembler, input: &mut Unstructured<'_>) -> Result<TestCode> {
    let mut bytes = Vec::new();
    for _ in 0..input.int_in_range(0..=24)? {
        match input.int_in_range(0..=9)? {
            0 => bytes.push(*input.choose(&[172, 173, 176, 177, 191])?),
            1 => bytes.push(42),
            2 => {
                let (owner, name, descriptor) = *input.choose(&CALLED)?;
                let index = class.method_ref(owner, name, descriptor);
                bytes.push(*input.choose(&[182, 183, 184])?);
                bytes.extend(index.to_be_bytes());
            }
            3 => {
                let field = class.field_ref(
                    "java/util/zip/Inflater",
                    "zsRef",
                    "Ljava/util/zip/Inflater$InflaterZStreamRef;",
                );
                bytes.push(180);
                bytes.extend(field.to_be_bytes());
            }
            4 => {
                bytes.push(input.int_in_range(153..=168)?);
                bytes.extend(i16::from(i8::arbitrary(input)?).to_be_bytes());
            }
            5 => {
                bytes.push(*input.choose(&[200, 201])?);
                bytes.extend(i32::from(i8::arbitrary(input)?).to_be_bytes());
            }
            6 => switch(&mut bytes, input)?,
            7 => {
                bytes.extend([196, *input.choose(&[21, 25, 54, 58, 132, 169])?]);
                bytes.extend(u16::arbitrary(input)?.to_be_bytes());
            }
            8 => bytes.extend([*input.choose(&[21, 25, 54, 58, 75, 169])?, u8::arbitrary(input)?]),
            _ => bytes.push(u8::arbitrary(input)?),
        }
    }
    let mut code = TestCode { max_stack: u16::arbitrary(input)?, ..TestCode::of(bytes) };
    for _ in 0..input.int_in_range(0..=2)? {
        let small = |input: &mut Unstructured<'_>| Ok(u16::from(u8::arbitrary(input)?));
        code.exceptions.push([small(input)?, small(input)?, small(input)?, small(input)?]);
    }
    for _ in 0..input.int_in_range(0..=3)? {
        let name = *input.choose(&ATTRIBUTES)?;
        let length = input.int_in_range(0..=40)?;
        code = code.with(name, input.bytes(length.min(input.len()))?);
    }
    Ok(code)
}

/// A switch with its padding.
fn switch(bytes: &mut Vec<u8>, input: &mut Unstructured<'_>) -> Result<()> {
    let is_table = bool::arbitrary(input)?;
    bytes.push(if is_table { 170 } else { 171 });
    while bytes.len() % 4 != 0 {
        bytes.push(0);
    }
    let cases = input.int_in_range(0..=4)?;
    let mut word = |word: i32| bytes.extend(word.to_be_bytes());
    word(i8::arbitrary(input)?.into());
    if is_table {
        let low = i8::arbitrary(input)?.into();
        word(low);
        word(low + cases - 1);
    } else {
        word(cases);
    }
    for case in 0..cases {
        if !is_table {
            word(case);
        }
        word(i8::arbitrary(input)?.into());
    }
    Ok(())
}

fn check(class: &[u8], input: &mut Unstructured<'_>) {
    let Ok(parsed) = ClassFile::parse(class) else {
        for target in targets() {
            assert!(instrument(target, class, Identity::Tag).is_err());
        }
        return;
    };
    assert_eq!(parsed.to_bytes().as_deref(), Ok(class), "an unchanged class stays as it is");
    spliced(&parsed, input);
    let name = parsed.name().into_owned();
    for identity in [Identity::Tag, Identity::Address] {
        let Ok(result) = instrument(&name, class, identity) else { continue };
        if result.placed.is_empty() {
            assert_eq!(result.bytes, class);
            continue;
        }
        let after = ClassFile::parse(&result.bytes).expect("an instrumented class parses");
        let placed: usize = result.placed.iter().map(|hook| hook.calls).sum();
        assert_eq!(calls(&after), calls(&parsed) + placed, "{:?}", result.placed);
    }
}

/// How many calls of the helper class there are in methods that decode.
fn calls(class: &ClassFile<'_>) -> usize {
    let bodies = class.methods().iter().filter_map(|method| decode(method.code()?.bytes()));
    let is_call = |instruction: &Instruction| {
        let [high, low] = instruction.operands[..] else { return false };
        let called = class.pool().method(u16::from_be_bytes([high, low]));
        instruction.opcode == 184
            && called.is_some_and(|called| called.class == HELPER_CLASS.as_bytes())
    };
    bodies.flatten().filter(is_call).count()
}

/// The most places beside instructions.
const PLACES: usize = 3;

/// Puts nops into each method that decodes and has none.
fn spliced(class: &ClassFile<'_>, input: &mut Unstructured<'_>) {
    for (index, method) in class.methods().iter().enumerate() {
        let Some(code) = method.code() else { continue };
        let Some(before) = decode(code.bytes()) else { continue };
        if before.is_empty() || before.iter().any(|instruction| instruction.opcode == 0) {
            continue;
        }
        let mut nops = vec![(Where::Entry, small(input)), (Where::Return, small(input))];
        for _ in 0..PLACES {
            let at = usize::from(u8::arbitrary(input).unwrap_or(0)) % before.len();
            let pc = before[at].pc;
            let beside = if small(input) % 2 == 0 { Where::Before(pc) } else { Where::After(pc) };
            nops.push((beside, small(input)));
        }
        let mut changed = class.clone();
        let one = &mut changed.methods_mut()[index];
        let placed = nops.iter().all(|(at, count)| {
            one.splice(Splice { at: *at, code: vec![0; *count], stack: 0 }).is_ok()
        });
        let Some(bytes) = changed.to_bytes().ok().filter(|_| placed) else { continue };
        let again = ClassFile::parse(&bytes).expect("a class with snippets parses");
        assert_eq!(again.to_bytes().as_deref(), Ok(&bytes[..]));
        for (at, (old, new)) in class.methods().iter().zip(again.methods()).enumerate() {
            assert_eq!(old.to_string(), new.to_string());
            match (old.code(), new.code()) {
                (Some(_), Some(new)) if at == index => compare(&before, new.bytes(), &nops),
                (old, new) => {
                    assert_eq!(old.map(|code| code.bytes()), new.map(|code| code.bytes()));
                }
            }
        }
    }
}

fn small(input: &mut Unstructured<'_>) -> usize {
    usize::from(u8::arbitrary(input).unwrap_or(0) % 4)
}

/// Compares the instructions from before with a code array that has these nops in it.
fn compare(before: &[Instruction], code: &[u8], nops: &[(Where, usize)]) {
    let after = decode(code).expect("the new code decodes");
    let count = |wanted: &dyn Fn(Where) -> bool| -> usize {
        nops.iter().filter(|(at, _)| wanted(*at)).map(|(_, count)| count).sum()
    };
    let are_nops = |from: usize, count: usize| {
        let found = &after[from..from + count];
        assert!(found.iter().all(|instruction| instruction.opcode == 0), "a snippet: {found:?}");
        from + count
    };
    let mut next = are_nops(0, count(&|at| at == Where::Entry));
    // Each old instruction with the new one, and where a jump to it must go: in front of the nops
    // that are before it.
    let mut pairs = Vec::new();
    for old in before {
        let landing = next;
        let is_before =
            |at| at == Where::Before(old.pc) || (at == Where::Return && is_return(old.opcode));
        let own = are_nops(landing, count(&is_before));
        pairs.push((old, &after[own], after[landing].pc as i64));
        let behind = if old.leaves { 0 } else { count(&|at| at == Where::After(old.pc)) };
        next = are_nops(own + 1, behind);
    }
    assert_eq!(next, after.len(), "nothing else is in the code");
    for (old, new, _) in &pairs {
        assert_eq!((old.opcode, &old.operands), (new.opcode, &new.operands), "at {}", old.pc);
        let moved = |target: &i64| {
            let (.., landing) = pairs
                .iter()
                .find(|(old, ..)| old.pc as i64 == *target)
                .expect("a jump that goes to no instruction is refused");
            *landing
        };
        assert_eq!(new.targets, old.targets.iter().map(moved).collect::<Vec<_>>(), "{old:?}");
    }
}
