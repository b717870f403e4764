//! What a constructor begins with: `this(…)` or `super(…)` (JVMS §4.10.2.4).
//!
//! Owns: the distinction between the two. Leaves to others: its consequences. Invariant: it returns
//! a result only if the pairing of `new` and `<init>` is certain, and refuses otherwise.

use super::instructions::{INVOKESPECIAL, NEW};
use super::{Code, Pool, Refusal};

/// How a constructor initialises its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delegation {
    /// `this(…)`: another constructor of the class, which is examined itself.
    This,
    /// `super(…)`: this constructor is the one that creates an object of its class.
    Super,
    /// Not at all: it never returns, or it is `Object`'s own.
    None,
}

/// Finds the `invokespecial <init>` that initialises `this`.
///
/// Each `new X` is followed by the `X.<init>` that belongs to it, inner ones before outer ones,
/// because arguments are evaluated after the `new`. The call that has no `new` of its own is the
/// one on `this`.
pub(super) fn delegation(
    code: &Code<'_>,
    pool: &Pool<'_>,
    class: &[u8],
    superclass: Option<&[u8]>,
) -> Result<Delegation, Refusal> {
    let mut unfinished = Vec::new();
    let mut found = Delegation::None;
    for instruction in code.instructions() {
        let instruction = instruction?;
        let index = instruction.pool_index().unwrap_or(0);
        match instruction.opcode() {
            NEW => unfinished.push(
                pool.class_name(index)
                    .ok_or_else(|| Refusal::new("`new` names something other than a class"))?,
            ),
            INVOKESPECIAL => {
                let Some(called) = pool.method(index) else {
                    return Err(Refusal::new(
                        "`invokespecial` names something other than a method",
                    ));
                };
                if called.name != b"<init>" {
                    continue;
                }
                let this_call = match unfinished.pop() {
                    Some(new) if new == called.class => continue,
                    Some(_) => return Err(unclear()),
                    None if called.class == class => Delegation::This,
                    None if Some(called.class) == superclass => Delegation::Super,
                    None => return Err(unclear()),
                };
                if found != Delegation::None && found != this_call {
                    return Err(unclear());
                }
                found = this_call;
            }
            _ => {}
        }
    }
    if unfinished.is_empty() { Ok(found) } else { Err(unclear()) }
}

fn unclear() -> Refusal {
    Refusal::new("cannot tell which `<init>` call of the constructor initialises `this`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassFile;
    use crate::testing::{Assembler, TestCode};

    /// Builds `class T extends S` with a constructor of these steps, each `new X` or `X.<init>`.
    fn delegation_of(steps: &[&str]) -> Result<Delegation, Refusal> {
        let mut class = Assembler::class("T", "S");
        let mut code = vec![42];
        for step in steps {
            match step.strip_prefix("new ") {
                Some(name) => code.extend(class.new_of(name)),
                None => code.extend(class.init_of(step.strip_suffix(".<init>").unwrap())),
            }
        }
        code.push(177);
        class.method(0, "<init>", "()V", Some(TestCode::of(code)));
        let bytes = class.bytes();
        let class = ClassFile::parse(&bytes).unwrap();
        class.delegation(&class.methods()[0])
    }

    #[test]
    fn the_call_without_a_new_of_its_own_is_the_one() {
        for (steps, expected) in [
            (&["S.<init>"][..], Delegation::Super),
            (&["T.<init>"], Delegation::This),
            // this(new T()), super(new T()), super(new S(new T(), new S()))
            (&["new T", "T.<init>", "T.<init>"], Delegation::This),
            (&["new T", "T.<init>", "S.<init>"], Delegation::Super),
            (
                &["new S", "new T", "T.<init>", "new S", "S.<init>", "S.<init>", "S.<init>"],
                Delegation::Super,
            ),
            (&["new T", "new X", "X.<init>", "T.<init>", "T.<init>"], Delegation::This),
            // Objects created after super().
            (&["S.<init>", "new T", "T.<init>", "new S", "S.<init>"], Delegation::Super),
            (&["new X", "X.<init>"], Delegation::None),
            // super(…) on two paths.
            (&["S.<init>", "S.<init>"], Delegation::Super),
        ] {
            assert_eq!(delegation_of(steps), Ok(expected), "{steps:?}");
        }
    }

    #[test]
    fn what_is_not_beyond_doubt_is_refused() {
        for steps in [
            &["X.<init>"][..],
            &["new X", "S.<init>"],
            &["new X"],
            &["S.<init>", "T.<init>"],
            &["new T", "new S", "T.<init>", "S.<init>"],
        ] {
            assert_eq!(delegation_of(steps), Err(unclear()), "{steps:?}");
        }
    }
}
