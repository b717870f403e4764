//! Properties of random methods.
//!
//! Owns: a model of a method whose pcs are item numbers, its own assembler, and the properties of
//! every method. Leaves to the unit tests: the named cases. Invariant: the expected bytes come from
//! assembling the *model* with the snippets in it, never from the rewriter's own layout.

use super::bytes::Put;
use super::testing::{NOP, TestCode, class_of, rewrite, rewrite_at, u2s};
use super::{ClassFile, Splice, Where};
use fastrand::Rng;

#[derive(Debug, Clone)]
enum Item {
    Plain(Vec<u8>),
    Return,
    /// Opcode and target.
    Branch(u8, usize),
    WideBranch(u8, usize),
    /// `tableswitch` from 5 on: the default and the cases.
    Table(usize, Vec<usize>),
    /// `lookupswitch`: the default and the cases.
    Lookup(usize, Vec<usize>),
}

#[derive(Debug, Clone)]
enum Type {
    Int,
    Object,
    Uninitialized(usize),
}

#[derive(Debug, Clone)]
enum Form {
    Same,
    SameLocals1(Type),
    Chop(u8),
    Append(Vec<Type>),
    Full(Vec<Type>, Vec<Type>),
}

#[derive(Debug, Clone)]
struct Frame {
    at: usize,
    form: Form,
    /// Uses the long form of `same` where the short one would suffice.
    extended: bool,
}

/// Nops that are spliced in: how many, and those beside an item with its number.
#[derive(Clone, Copy, Debug, Default)]
struct Nops {
    entry: usize,
    before_return: usize,
    before: (usize, usize),
    after: (usize, usize),
}

/// A method; every number in it that stands for a pc is an item's number, and `items.len()` is the
/// end.
#[derive(Debug)]
struct Model {
    items: Vec<Item>,
    handlers: Vec<[usize; 3]>,
    frames: Vec<Frame>,
    lines: Vec<usize>,
    scopes: Vec<[usize; 2]>,
    offsets: Vec<usize>,
}

impl Model {
    fn random(rng: &mut Rng) -> Self {
        let count = 1 + rng.usize(..60);
        let some =
            |rng: &mut Rng| (0..rng.usize(..4)).map(|_| rng.usize(..count)).collect::<Vec<_>>();
        let items = (0..count).map(|_| match rng.usize(..12) {
            0 | 1 => Item::Return,
            2 => Item::Branch(153 + rng.u8(..16), rng.usize(..count)),
            3 => Item::Branch(198 + rng.u8(..2), rng.usize(..count)),
            4 => Item::WideBranch(200 + rng.u8(..2), rng.usize(..count)),
            5 => Item::Table(rng.usize(..count), [vec![rng.usize(..count)], some(rng)].concat()),
            6 => Item::Lookup(rng.usize(..count), some(rng)),
            7 => Item::Plain(vec![196, 132, 0, 1, 0, 1]),
            8 => Item::Plain(vec![18, 1]),
            9 => Item::Plain(vec![185, 0, 1, 1, 0]),
            _ => Item::Plain(vec![3]),
        });
        let items: Vec<_> = items.collect();
        // An Uninitialized type names a `new`, so never a return.
        let solid: Vec<_> = (0..count).filter(|&at| !matches!(items[at], Item::Return)).collect();
        let one_type = |rng: &mut Rng| match rng.usize(..3) {
            0 if !solid.is_empty() => Type::Uninitialized(solid[rng.usize(..solid.len())]),
            1 => Type::Object,
            _ => Type::Int,
        };
        let types = |rng: &mut Rng, limit| (0..rng.usize(..limit)).map(|_| one_type(rng)).collect();
        let mut frames = Vec::new();
        for at in 0..count {
            if rng.u8(..100) < 30 {
                let form = match rng.usize(..6) {
                    0 | 1 => Form::Same,
                    2 => Form::SameLocals1(one_type(rng)),
                    3 => Form::Chop(1 + rng.u8(..3)),
                    4 => Form::Append([vec![one_type(rng)], types(rng, 3)].concat()),
                    _ => Form::Full(types(rng, 5), types(rng, 5)),
                };
                frames.push(Frame { at, form, extended: rng.u8(..100) < 20 });
            }
        }
        let range = |rng: &mut Rng| {
            let start = rng.usize(..count);
            [start, start + 1 + rng.usize(..count - start)]
        };
        let handlers = (0..rng.usize(..4)).map(|_| {
            let [start, end] = range(rng);
            [start, end, rng.usize(..count)]
        });
        let handlers = handlers.collect();
        let scopes = (0..rng.usize(..4)).map(|_| range(rng)).collect();
        let offsets = solid.iter().copied().filter(|_| rng.u8(..100) < 20).collect();
        Self { items, handlers, frames, lines: some(rng), scopes, offsets }
    }

    /// Where the items are, and where jumps to them go, with these nops.
    fn places(&self, nops: Nops) -> (Vec<usize>, Vec<usize>) {
        let (mut places, mut landings, mut pc) = (Vec::new(), Vec::new(), nops.entry);
        let beside = |at: usize, (item, count): (usize, usize)| if at == item { count } else { 0 };
        for (at, item) in self.items.iter().enumerate() {
            landings.push(pc);
            pc += beside(at, nops.before);
            pc += if matches!(item, Item::Return) { nops.before_return } else { 0 };
            places.push(pc);
            pc += match item {
                Item::Plain(bytes) => bytes.len(),
                Item::Return => 1,
                Item::Branch(..) => 3,
                Item::WideBranch(..) => 5,
                Item::Table(_, cases) => (pc + 1).next_multiple_of(4) - pc + 12 + 4 * cases.len(),
                Item::Lookup(_, cases) => (pc + 1).next_multiple_of(4) - pc + 8 + 8 * cases.len(),
            };
            pc += beside(at, nops.after);
        }
        landings.push(pc);
        (places, landings)
    }

    fn assemble(&self, nops: Nops) -> TestCode {
        let (places, landings) = self.places(nops);
        let mut bytes = vec![NOP; nops.entry];
        for (item, &place) in self.items.iter().zip(&places) {
            bytes.resize(place, NOP);
            let offset = |target: &usize| landings[*target] as i32 - place as i32;
            match item {
                Item::Plain(plain) => bytes.put(plain),
                Item::Return => bytes.put_u1(177),
                Item::Branch(opcode, target) => {
                    bytes.put_u1(*opcode);
                    bytes.put_u2(offset(target) as i16 as u16);
                }
                Item::WideBranch(opcode, target) => {
                    bytes.put_u1(*opcode);
                    bytes.put_i4(offset(target));
                }
                Item::Table(default, cases) => {
                    bytes.put_u1(170);
                    bytes.resize((place + 1).next_multiple_of(4), 0);
                    put_i4s(&mut bytes, &[offset(default), 5, 4 + cases.len() as i32]);
                    cases.iter().for_each(|case| bytes.put_i4(offset(case)));
                }
                Item::Lookup(default, cases) => {
                    bytes.put_u1(171);
                    bytes.resize((place + 1).next_multiple_of(4), 0);
                    put_i4s(&mut bytes, &[offset(default), cases.len() as i32]);
                    for (key, case) in cases.iter().enumerate() {
                        bytes.put_i4(key as i32 * 1000 - 1);
                        bytes.put_i4(offset(case));
                    }
                }
            }
        }
        bytes.resize(landings[self.items.len()], NOP);
        let landing = |at: &usize| landings[*at] as u16;
        let start = |at: &usize| if *at == 0 { 0 } else { landings[*at] as u16 };
        let exceptions =
            self.handlers.iter().map(|[s, e, h]| [landing(s), landing(e), landing(h), 0]).collect();
        let mut code = TestCode { max_stack: 2, bytes, exceptions, attributes: Vec::new() };

        code = code.with("StackMapTable", self.frames(&landings));
        let mut lines = (self.lines.len() as u16).to_be_bytes().to_vec();
        for at in &self.lines {
            lines.put_u2(start(at));
            lines.put_u2(77);
        }
        let mut variables = (self.scopes.len() as u16).to_be_bytes().to_vec();
        let mut annotations =
            ((self.scopes.len() + self.offsets.len()) as u16).to_be_bytes().to_vec();
        for [from, to] in &self.scopes {
            let scope = [start(from), landing(to) - start(from)];
            variables.put(&u2s(&[scope[0], scope[1], 1, 2, 3]));
            annotations.put_u1(0x40);
            annotations.put(&u2s(&[1, scope[0], scope[1], 3]));
            annotations.put(&[0, 0, 9, 0, 0]);
        }
        for at in &self.offsets {
            annotations.put_u1(0x44);
            annotations.put_u2(landing(at));
            annotations.put(&[0, 0, 9, 0, 0]);
        }
        code.with("LineNumberTable", lines)
            .with("LocalVariableTable", variables)
            .with("RuntimeVisibleTypeAnnotations", annotations)
            .with("Unknown", *b"unknown")
    }

    fn frames(&self, landings: &[usize]) -> Vec<u8> {
        let original = self.places(Nops::default()).1;
        let put_type = |out: &mut Vec<u8>, one: &Type| match one {
            Type::Int => out.put_u1(1),
            Type::Object => out.put(&[7, 0, 9]),
            Type::Uninitialized(at) => {
                out.put_u1(8);
                out.put_u2(landings[*at] as u16);
            }
        };
        let mut out = (self.frames.len() as u16).to_be_bytes().to_vec();
        let (mut base, mut original_base) = (0, 0);
        for frame in &self.frames {
            let delta = landings[frame.at] - base;
            base += delta + 1;
            // What was long stays long.
            let was_long = frame.extended || original[frame.at] - original_base > 63;
            original_base = original[frame.at] + 1;
            let short = (!was_long && delta <= 63).then_some(delta as u8);
            let head = |out: &mut Vec<u8>, tag: u8| {
                out.put_u1(tag);
                out.put_u2(delta as u16);
            };
            match &frame.form {
                Form::Same => match short {
                    Some(delta) => out.put_u1(delta),
                    None => head(&mut out, 251),
                },
                Form::SameLocals1(one) => {
                    match short {
                        Some(delta) => out.put_u1(64 + delta),
                        None => head(&mut out, 247),
                    }
                    put_type(&mut out, one);
                }
                Form::Chop(locals) => head(&mut out, 251 - locals),
                Form::Append(types) => {
                    head(&mut out, 251 + types.len() as u8);
                    types.iter().for_each(|one| put_type(&mut out, one));
                }
                Form::Full(locals, stack) => {
                    head(&mut out, 255);
                    for types in [locals, stack] {
                        out.put_u2(types.len() as u16);
                        types.iter().for_each(|one| put_type(&mut out, one));
                    }
                }
            }
        }
        out
    }
}

fn put_i4s(out: &mut Vec<u8>, values: &[i32]) {
    values.iter().for_each(|value| out.put_i4(*value));
}

/// Runs `check` on `count` random methods, and prints the seed of one that fails.
fn for_random_methods(count: u64, check: impl Fn(&Model, &mut Rng)) {
    for seed in 1..=count {
        let mut rng = Rng::with_seed(seed);
        let model = Model::random(&mut rng);
        let checked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&model, &mut rng)));
        assert!(checked.is_ok(), "seed {seed}: {model:?}");
    }
}

#[test]
fn splicing_into_bytes_is_splicing_into_the_model() {
    for_random_methods(3_000, |model, rng| {
        for (entry, before_return) in [(0, 0), (rng.usize(..90), 0), (0, rng.usize(..90)), (4, 4)] {
            let rewritten = rewrite(model.assemble(Nops::default()), entry, before_return).unwrap();
            let nops = Nops { entry, before_return, ..Nops::default() };
            assert_eq!(rewritten, model.assemble(nops), "{nops:?}");
        }
    });
}

#[test]
fn splicing_beside_an_instruction_is_splicing_beside_an_item() {
    for_random_methods(3_000, |model, rng| {
        let original = model.places(Nops::default()).0;
        let plain = |at: &usize| matches!(model.items[*at], Item::Plain(_));
        let Some(after) = (0..model.items.len()).find(plain) else { return };
        let before = rng.usize(..model.items.len());
        let nops = Nops {
            entry: rng.usize(..9),
            before_return: rng.usize(..9),
            before: (before, rng.usize(..90)),
            after: (after, rng.usize(..90)),
        };
        let splices = [
            (Where::Entry, nops.entry),
            // In front of a return, that of its pc comes first.
            (Where::Before(original[before]), nops.before.1),
            (Where::Return, nops.before_return),
            (Where::After(original[after]), nops.after.1),
        ];
        let rewritten = rewrite_at(model.assemble(Nops::default()), &splices).unwrap();
        assert_eq!(rewritten, model.assemble(nops), "{nops:?}");
    });
}

/// Splices empty snippets everywhere and writes the class: the same bytes, or a refusal.
fn round_trips(bytes: &[u8]) -> bool {
    let Ok(mut class) = ClassFile::parse(bytes) else { return false };
    for method in class.methods_mut().iter_mut().filter(|method| method.code().is_some()) {
        for at in [Where::Entry, Where::Return] {
            if method.splice(Splice { at, code: Vec::new(), stack: 0 }).is_err() {
                return false;
            }
        }
    }
    let Ok(out) = class.to_bytes() else { return false };
    assert_eq!(out, bytes);
    true
}

#[test]
fn bytes_that_are_cut_short_are_refused() {
    for_random_methods(60, |model, _| {
        let bytes = class_of(model.assemble(Nops::default()));
        assert!(round_trips(&bytes));
        for len in 0..bytes.len() {
            assert!(!round_trips(&bytes[..len]), "cut to {len}");
        }
    });
}

#[test]
fn bytes_that_are_damaged_are_refused_or_come_through_unchanged() {
    for_random_methods(12, |model, rng| {
        let mut bytes = class_of(model.assemble(Nops::default()));
        for at in 0..bytes.len() {
            let was = bytes[at];
            for damage in
                [0, 1, was ^ 0x80, was.wrapping_add(1), was.wrapping_sub(1), 255, rng.u8(..)]
            {
                bytes[at] = damage;
                round_trips(&bytes);
                // A snippet that moves everything: any result is acceptable, except a panic.
                if let Ok(mut class) = ClassFile::parse(&bytes) {
                    for method in class.methods_mut() {
                        for at in [Where::Entry, Where::Return] {
                            let _ = method.splice(Splice { at, code: vec![NOP; 3], stack: 9 });
                        }
                    }
                    let _ = class.to_bytes();
                }
            }
            bytes[at] = was;
        }
    });
}
