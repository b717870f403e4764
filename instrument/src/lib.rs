//! The one table of hooks (which methods get which call), and the class that the calls go to.
//!
//! Owns: the table (`table`), placing its hooks in the classes that they name, and the bytes of the
//! helper class and of the one that Java code calls (`queries`). Leaves to others: rewriting
//! (`classfile/`), loading these classes and handling their calls (`agent/`). Invariant: a hook is
//! placed as the table says or reported missing with the reason; it is never guessed, and a missing
//! hook does not prevent the others.

mod helper;
mod queries;
mod table;

use table::{ADDRESS, HOOKS, Hook, Selector};
use zaudit_classfile::{ClassFile, Delegation, Method, MethodRef, Refusal, Splice, Where};

pub use helper::{HELPER_CLASS, helper_class};
pub use queries::{QUERIES_CLASS, Query, queries_class};
pub use table::{
    Callback, DEFLATER, DEFLATER_STREAM, INFLATER, INFLATER_STREAM, Identity, PROVIDER, SHUTDOWN,
    ZIP_FILE, ZIP_FILE_RESOURCE, ZIPFS, ZIPFS_8, targets,
};

/// One hook in one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Name and descriptor, `<init>(Z)V`.
    pub method: String,
    /// Where in the method.
    pub at: Where,
    /// What it reports.
    pub callback: Callback,
    /// How many calls were inserted: one for each return.
    pub calls: usize,
}

/// The result for one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrumented {
    /// The class with every hook that could be placed.
    pub bytes: Vec<u8>,
    /// The placed hooks, in the order of the table and of the class.
    pub placed: Vec<Placed>,
    /// The hooks that could not be placed, each with the reason, for people.
    pub missing: Vec<String>,
}

/// Places the hooks of `class_name` in its class file.
///
/// # Errors The class has no hooks, the bytes are malformed or of another class, or the rewritten
/// class would not fit the format. The class must stay unchanged then.
pub fn instrument(
    class_name: &str,
    bytes: &[u8],
    identity: Identity,
) -> Result<Instrumented, Refusal> {
    if !targets().any(|target| target == class_name) {
        return Err(Refusal::new(format!("{class_name} has no hooks")));
    }
    let mut class = ClassFile::parse(bytes)?;
    if class.name() != class_name {
        return Err(Refusal::new(format!(
            "expected the class {class_name}, found {}",
            class.name()
        )));
    }
    let mut placed = Vec::new();
    let mut missing = Vec::new();
    let applies = |hook: &&Hook| {
        hook.class == class_name && hook.identity.is_none_or(|for_| for_ == identity)
    };
    for hook in HOOKS.iter().filter(applies) {
        place(hook, &mut class, &mut placed, &mut missing)?;
    }
    // A hook that found no place may have left entries in the constant pool.
    let bytes = if placed.is_empty() { bytes.to_vec() } else { class.to_bytes()? };
    Ok(Instrumented { bytes, placed, missing })
}

/// A place in a method.
type Spot = (usize, Where);

/// Places one hook of the table wherever it applies; adds failures to `missing`.
fn place(
    hook: &Hook,
    class: &mut ClassFile<'_>,
    placed: &mut Vec<Placed>,
    missing: &mut Vec<String>,
) -> Result<(), Refusal> {
    let class_name = hook.class;
    let spots = match hook.at {
        Selector::Opened(name, descriptor) => opened(class, name, descriptor),
        Selector::Freed(owner) => freed(class, owner, false),
        Selector::MaybeFreed(owner) => freed(class, owner, true),
        Selector::Reset(name, descriptor) => reset(class, name, descriptor),
        _ => methods(hook.at, class, missing),
    };
    let spots = match spots {
        Ok(spots) if spots.is_empty() => return Ok(()),
        Ok(spots) => spots,
        Err(reason) => {
            missing.push(format!("{class_name}{reason}"));
            return Ok(());
        }
    };
    let (code, stack) = match snippet(hook, class) {
        Ok(snippet) => snippet,
        Err(reason) => {
            missing.push(format!("{class_name}.{reason}"));
            return Ok(());
        }
    };
    for (index, at) in spots {
        let Some(method) = class.methods_mut().get_mut(index) else { continue };
        match method.splice(Splice { at, code: code.clone(), stack }) {
            Ok(0) => missing.push(format!("{class_name}.{method}: the method never returns")),
            Ok(calls) => placed.push(Placed {
                method: method.to_string(),
                at,
                callback: hook.callback,
                calls,
            }),
            Err(reason) => missing.push(format!("{class_name}.{reason}")),
        }
    }
    Ok(())
}

const ACONST_NULL: u8 = 1;
const ALOAD_0: u8 = 42;
const ALOAD_1: u8 = 43;
const DUP: u8 = 89;
const DUP2: u8 = 92;
const GETFIELD: u8 = 180;
const INVOKEVIRTUAL: u8 = 182;
const INVOKESTATIC: u8 = 184;

/// The instructions that make the call, and the operand slots they need.
fn snippet(hook: &Hook, class: &mut ClassFile<'_>) -> Result<(Vec<u8>, u16), Refusal> {
    let callback = hook.callback;
    let mut call = |name: &str, descriptor: &str| {
        let index = class.pool_mut().method_ref(HELPER_CLASS, name, descriptor)?;
        let [high, low] = index.to_be_bytes();
        Ok([INVOKESTATIC, high, low])
    };
    Ok(match hook.at {
        Selector::Opened(..) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[DUP2, ALOAD_0], &call[..]].concat(), 3)
        }
        Selector::Freed(_) | Selector::MaybeFreed(_) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[DUP2], &call[..]].concat(), 2)
        }
        Selector::EntryAgain(name, descriptor) => {
            let check = call(helper::check_of(callback), ADDRESS)?;
            let missing = || Refusal::new(format!("{name}{descriptor}: no field zsRef is used"));
            let owner = hook.class.as_bytes();
            let (field, holder) = class.pool().field(owner, b"zsRef").ok_or_else(missing)?;
            let holder = std::str::from_utf8(holder).ok();
            let holder = holder.and_then(|name| name.strip_prefix('L')?.strip_suffix(';'));
            let holder = holder.ok_or_else(missing)?.to_owned();
            let address = class.pool_mut().method_ref(&holder, "address", "()J")?;
            let ([fh, fl], [ah, al]) = (field.to_be_bytes(), address.to_be_bytes());
            let read = [ALOAD_0, GETFIELD, fh, fl, INVOKEVIRTUAL, ah, al];
            ([&read[..], &check[..]].concat(), 2)
        }
        Selector::Constructed | Selector::Entry(..) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[ALOAD_0], &call[..]].concat(), 1)
        }
        Selector::Argument(..) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[ALOAD_1], &call[..]].concat(), 1)
        }
        Selector::Result(..) | Selector::Reset(..) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[DUP], &call[..]].concat(), 1)
        }
        Selector::StaticEntry(..) | Selector::StaticReturn(..) => {
            let call = call(callback.method(), callback.descriptor())?;
            ([&[ACONST_NULL], &call[..]].concat(), 1)
        }
    })
}

/// Behind the one call of this class's static method, if a constructor makes it.
fn opened(class: &ClassFile<'_>, name: &str, descriptor: &str) -> Result<Vec<Spot>, Refusal> {
    let (index, pc) = match calls(class, &class.name(), name, descriptor)?[..] {
        [call] => call,
        ref calls => return Err(not_one(name, descriptor, calls.len())),
    };
    let method = class.methods().get(index).filter(|method| method.name() == "<init>");
    let method = method
        .ok_or_else(|| Refusal::new(format!(".{name}{descriptor}: no constructor calls it")))?;
    holds_this(method).map_err(|reason| Refusal::new(format!(".{method}: {reason}")))?;
    Ok(vec![(index, Where::After(pc))])
}

/// In front of the one call of `end(J)V` of the class `owner`.
fn freed(class: &ClassFile<'_>, owner: &str, may_be_elsewhere: bool) -> Result<Vec<Spot>, Refusal> {
    match calls(class, owner, "end", ADDRESS)?[..] {
        [(index, pc)] => Ok(vec![(index, Where::Before(pc))]),
        [] if may_be_elsewhere => Ok(Vec::new()),
        ref calls => Err(not_one("end", ADDRESS, calls.len())),
    }
}

/// In front of the one call of `Inflater.reset()`, if this method makes it.
fn reset(class: &ClassFile<'_>, name: &str, descriptor: &str) -> Result<Vec<Spot>, Refusal> {
    let (index, pc) = match calls(class, INFLATER, "reset", "()V")?[..] {
        [call] => call,
        ref calls => return Err(not_one("reset", "()V", calls.len())),
    };
    let is_in = |method: &Method<'_>| method.name() == name && method.descriptor() == descriptor;
    match class.methods().get(index).is_some_and(is_in) {
        true => Ok(vec![(index, Where::Before(pc))]),
        false => Err(Refusal::new(format!(".{name}{descriptor}: it does not call reset()V"))),
    }
}

fn not_one(name: &str, descriptor: &str, calls: usize) -> Refusal {
    Refusal::new(format!(": {calls} calls of {name}{descriptor}, not one"))
}

/// Every call of a method in a class: the number of the method that makes it, and its pc.
fn calls(
    class: &ClassFile<'_>,
    owner: &str,
    name: &str,
    descriptor: &str,
) -> Result<Vec<(usize, usize)>, Refusal> {
    let called = MethodRef {
        class: owner.as_bytes(),
        name: name.as_bytes(),
        descriptor: descriptor.as_bytes(),
    };
    let mut found = Vec::new();
    for (index, method) in class.methods().iter().enumerate() {
        let Some(code) = method.code() else { continue };
        let pcs = code.calls(class.pool(), &called);
        let pcs = pcs.map_err(|reason| Refusal::new(format!(".{method}: {reason}")))?;
        found.extend(pcs.into_iter().map(|pc| (index, pc)));
    }
    Ok(found)
}

/// The methods that a hook applies to; those where it cannot be placed go to `missing`.
fn methods(
    selector: Selector,
    class: &ClassFile<'_>,
    missing: &mut Vec<String>,
) -> Result<Vec<Spot>, Refusal> {
    let at = match selector {
        Selector::Constructed | Selector::Result(..) | Selector::StaticReturn(..) => Where::Return,
        _ => Where::Entry,
    };
    let mut chosen = Vec::new();
    let mut candidates = 0;
    for (index, method) in class.methods().iter().enumerate() {
        match choose(selector, class, method) {
            Ok(false) => continue,
            Ok(true) => chosen.push((index, at)),
            Err(reason) => missing.push(format!("{}.{method}: {reason}", class.name())),
        }
        candidates += 1;
    }
    if candidates == 0 {
        return Err(Refusal::new(match selector {
            Selector::Entry(name, descriptor)
            | Selector::Argument(name, descriptor)
            | Selector::EntryAgain(name, descriptor)
            | Selector::Result(name, descriptor)
            | Selector::StaticEntry(name, descriptor)
            | Selector::StaticReturn(name, descriptor) => {
                format!(".{name}{descriptor}: no such method")
            }
            _ => ": no constructor calls super(…)".to_owned(),
        }));
    }
    Ok(chosen)
}

/// Whether a hook applies to this method; an error if it does and cannot be placed, or if that is
/// uncertain.
fn choose(selector: Selector, class: &ClassFile<'_>, method: &Method<'_>) -> Result<bool, Refusal> {
    let is =
        |name: &str, descriptor: &str| method.name() == name && method.descriptor() == descriptor;
    match selector {
        Selector::Constructed => {
            let meant = method.name() == "<init>" && class.delegation(method)? == Delegation::Super;
            if meant { holds_this(method).map(|()| true) } else { Ok(false) }
        }
        Selector::Entry(name, descriptor) | Selector::EntryAgain(name, descriptor) => {
            if is(name, descriptor) { holds_this(method).map(|()| true) } else { Ok(false) }
        }
        Selector::Argument(name, descriptor) => match is(name, descriptor) {
            true if method.is_static() => Err(Refusal::new("the method is static")),
            found => Ok(found),
        },
        Selector::Result(name, descriptor) => Ok(is(name, descriptor)),
        Selector::StaticEntry(name, descriptor) | Selector::StaticReturn(name, descriptor) => {
            match is(name, descriptor) {
                true if !method.is_static() => Err(Refusal::new("the method is not static")),
                found => Ok(found),
            }
        }
        Selector::Opened(..)
        | Selector::Freed(_)
        | Selector::MaybeFreed(_)
        | Selector::Reset(..) => Ok(false),
    }
}

/// Whether local variable 0 is `this` all through the method: the snippets take it from there.
fn holds_this(method: &Method<'_>) -> Result<(), Refusal> {
    if method.is_static() {
        return Err(Refusal::new("the method is static and has no instance to report"));
    }
    let code = method.code().ok_or_else(|| Refusal::new("the method is native or abstract"))?;
    if code.writes_local(0)? {
        return Err(Refusal::new("the method overwrites local variable 0 (`this`)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::table::{GIVES_BACK, INSTANCE, LENDS};
    use super::*;
    use zaudit_classfile::testing::{Assembler, TestCode};

    const RETURN: u8 = 177;
    const ATHROW: u8 = 191;

    /// An Inflater with these constructors (each with the class whose `<init>` it calls, and the
    /// code after that call) and these `end` methods.
    fn inflater(constructors: &[(&str, &str, &[u8])], ends: &[(u16, Option<&[u8]>)]) -> Vec<u8> {
        let mut class = Assembler::class(INFLATER, "java/lang/Object");
        for (descriptor, called, rest) in constructors {
            let call = if called.is_empty() { Vec::new() } else { class.init_of(called).to_vec() };
            let code = [&[42], &call[..], rest].concat();
            class.method(1, "<init>", descriptor, Some(TestCode::of(code)));
        }
        for (access, code) in ends {
            class.method(*access, "end", "()V", code.map(TestCode::of));
        }
        class.bytes()
    }

    fn placed(method: &str, at: Where, callback: Callback, calls: usize) -> Placed {
        Placed { method: method.to_owned(), at, callback, calls }
    }

    #[test]
    fn hooks_go_where_the_table_says() {
        let bytes = inflater(
            &[
                ("(Z)V", "java/lang/Object", &[153, 0, 4, RETURN, RETURN]),
                ("()V", INFLATER, &[RETURN]),
            ],
            &[(1, Some(&[RETURN]))],
        );
        let out = instrument(INFLATER, &bytes, Identity::Tag).unwrap();
        assert_eq!(out.missing, [""; 0]);
        assert_eq!(
            out.placed,
            [
                placed("<init>(Z)V", Where::Return, Callback::Created, 2),
                placed("end()V", Where::Entry, Callback::Ended, 1)
            ]
        );
        let class = ClassFile::parse(&out.bytes).unwrap();
        let code: Vec<_> =
            class.methods().iter().map(|method| method.code().unwrap().bytes()).collect();
        assert_eq!(code[0].len(), 4 + 3 + 2 * (1 + 4), "a call in front of both returns");
        assert_eq!(code[1].len(), 4 + 1, "the constructor that delegates is as it was");
        let [42, 184, high, low, RETURN] = code[2] else { panic!("{:?}", code[2]) };
        let called = class.pool().method(u16::from_be_bytes([*high, *low])).unwrap();
        assert_eq!((called.class, called.name), (HELPER_CLASS.as_bytes(), b"ended".as_slice()));
        assert_eq!(called.descriptor, INSTANCE.as_bytes());
    }

    #[test]
    fn a_hook_without_a_place_is_named_and_the_others_are_placed() {
        let object = "java/lang/Object";
        let good_end: &[(u16, Option<&[u8]>)] = &[(1, Some(&[RETURN]))];
        let good_init: &[(&str, &str, &[u8])] = &[("()V", object, &[RETURN])];
        for (constructors, ends, expected, others) in [
            (good_init, &[][..], "end()V: no such method", 1),
            (good_init, &[(0x101, None)], "end()V: the method is native or abstract", 1),
            (
                good_init,
                &[(9, Some(&[RETURN][..]))],
                "end()V: the method is static and has no instance to report",
                1,
            ),
            (
                good_init,
                &[(1, Some(&[1, 75, RETURN][..]))],
                "end()V: the method overwrites local variable 0 (`this`)",
                1,
            ),
            (good_init, &[(1, Some(&[255][..]))], "end()V: opcode 255 at pc 0 is unknown", 1),
            (&[], good_end, "no constructor calls super(…)", 1),
            (&[("()V", INFLATER, &[RETURN])], good_end, "no constructor calls super(…)", 1),
            (&[("()V", "", &[1, ATHROW])], good_end, "no constructor calls super(…)", 1),
            (
                &[("()V", object, &[1, 75, RETURN])],
                good_end,
                "<init>()V: the method overwrites local variable 0 (`this`)",
                1,
            ),
            (&[("()V", object, &[1, ATHROW])], good_end, "<init>()V: the method never returns", 1),
            (
                &[("()V", "x/Y", &[RETURN])],
                good_end,
                "cannot tell which `<init>` call of the constructor initialises `this`",
                1,
            ),
            (
                &[("()V", object, &[RETURN]), ("(I)V", object, &[1, 75, RETURN])],
                good_end,
                "<init>(I)V: the method overwrites local variable 0 (`this`)",
                2,
            ),
        ] {
            let out = instrument(INFLATER, &inflater(constructors, ends), Identity::Tag).unwrap();
            assert_eq!(out.missing.len(), 1, "{:?}", out.missing);
            let missing = &out.missing[0];
            assert!(missing.starts_with(INFLATER) && missing.ends_with(expected), "{missing}");
            assert_eq!(out.placed.len(), others, "{missing}");
        }
    }

    #[test]
    fn other_classes_are_refused() {
        let bytes = inflater(&[], &[]);
        for (name, bytes, reason) in [
            ("java/lang/String", &bytes[..], "java/lang/String has no hooks"),
            (
                DEFLATER,
                &bytes,
                "expected the class java/util/zip/Deflater, found java/util/zip/Inflater",
            ),
            (INFLATER, &bytes[1..], "not a class file"),
        ] {
            assert_eq!(instrument(name, bytes, Identity::Tag).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn targets_are_named_once() {
        assert_eq!(
            targets().collect::<Vec<_>>(),
            [
                INFLATER,
                INFLATER_STREAM,
                DEFLATER,
                DEFLATER_STREAM,
                ZIP_FILE,
                ZIP_FILE_RESOURCE,
                ZIPFS,
                ZIPFS_8,
                PROVIDER,
                SHUTDOWN
            ]
        );
    }

    /// A class whose constructor has this number of calls of `init`, and whose `end()` reads
    /// `zsRef` and has this number of calls of `end(J)`.
    fn by_address(inits: usize, ends: usize) -> Vec<u8> {
        let mut class = Assembler::class(INFLATER, "java/lang/Object");
        let [init, end] = [("init", "(Z)J"), ("end", "(J)V")]
            .map(|(name, descriptor)| class.method_ref(INFLATER, name, descriptor).to_be_bytes());
        let field = class.field_ref(INFLATER, "zsRef", "Ljava/util/zip/ZStreamRef;").to_be_bytes();
        let mut code = [&[42][..], &class.init_of("java/lang/Object")].concat();
        (0..inits).for_each(|_| code.extend([3, 184, init[0], init[1], 88]));
        code.push(RETURN);
        class.method(1, "<init>", "(Z)V", Some(TestCode::of(code)));
        let mut code = vec![42, 180, field[0], field[1], 87];
        (0..ends).for_each(|_| code.extend([9, 184, end[0], end[1]]));
        code.push(RETURN);
        class.method(1, "end", "()V", Some(TestCode::of(code)));
        class.bytes()
    }

    #[test]
    fn hooks_by_address_are_beside_the_native_calls() {
        let out = instrument(INFLATER, &by_address(1, 1), Identity::Address).unwrap();
        assert_eq!(out.missing, [""; 0]);
        let placed: Vec<_> =
            out.placed.iter().map(|hook| (hook.method.as_str(), hook.at, hook.callback)).collect();
        assert_eq!(
            placed,
            [
                ("<init>(Z)V", Where::After(5), Callback::InflaterCreated),
                ("end()V", Where::Before(6), Callback::InflaterEnded),
                ("end()V", Where::Entry, Callback::InflaterEndedAgain),
            ]
        );
        let class = ClassFile::parse(&out.bytes).unwrap();
        let code: Vec<_> =
            class.methods().iter().map(|method| method.code().unwrap().bytes()).collect();
        let [42, 183, _, _, 3, 184, _, _, 92, 42, 184, _, _, 88, RETURN] = code[0] else {
            panic!("{:?}", code[0]);
        };
        let [
            42,
            180,
            _,
            _,
            182,
            _,
            _,
            184,
            _,
            _, // the check
            42,
            180,
            _,
            _,
            87,
            9,
            92,
            184,
            _,
            _,
            184,
            _,
            _,
            RETURN,
        ] = code[1]
        else {
            panic!("{:?}", code[1]);
        };
    }

    /// A ZipFile whose methods `getInflater` and `release` have this number of returns and of calls
    /// of `reset()`.
    fn zip_file(release: &str, returns: usize, resets: usize) -> Vec<u8> {
        zip_file_of(ZIP_FILE, release, returns, resets)
    }

    fn zip_file_of(name: &str, release: &str, returns: usize, resets: usize) -> Vec<u8> {
        const ARETURN: u8 = 176;
        let mut class = Assembler::class(name, "java/lang/Object");
        let [high, low] = class.method_ref(INFLATER, "reset", "()V").to_be_bytes();
        let lends = [1, 153, 0, 4, ARETURN].repeat(returns);
        let lends = [&lends[..], &[1, ATHROW]].concat();
        class.method(2, "getInflater", LENDS, Some(TestCode::of(lends)));
        let code = [[43, 182, high, low].repeat(resets), vec![RETURN]].concat();
        class.method(2, release, GIVES_BACK, Some(TestCode::of(code)));
        class.bytes()
    }

    #[test]
    fn hooks_see_what_a_zip_file_lends() {
        let bytes = zip_file("releaseInflater", 1, 1);
        for identity in [Identity::Address, Identity::Tag] {
            let out = instrument(ZIP_FILE, &bytes, identity).unwrap();
            assert_eq!(out.missing, [""; 0]);
            let placed: Vec<_> = out.placed.iter().map(|hook| (hook.at, hook.callback)).collect();
            assert_eq!(
                placed,
                [(Where::Return, Callback::Lent), (Where::Before(1), Callback::GivenBack)]
            );
            let class = ClassFile::parse(&out.bytes).unwrap();
            let code = class.methods()[1].code().unwrap().bytes();
            let [43, 89, 184, _, _, 182, _, _, RETURN] = code else { panic!("{code:?}") };
        }
        let file_system = zip_file_of(ZIPFS, "releaseInflater", 1, 0);
        let out = instrument(ZIPFS, &file_system, Identity::Address).unwrap();
        assert_eq!(out.missing, [""; 0]);
        let class = ClassFile::parse(&out.bytes).unwrap();
        let code = class.methods()[1].code().unwrap().bytes();
        let [43, 184, _, _, RETURN] = code else { panic!("{code:?}") };
        for (release, returns, resets, reason) in [
            (
                "releaseInflater",
                0,
                1,
                ".getInflater()Ljava/util/zip/Inflater;: the method never returns",
            ),
            ("releaseInflater", 1, 2, ": 2 calls of reset()V, not one"),
            (
                "release",
                1,
                1,
                ".releaseInflater(Ljava/util/zip/Inflater;)V: it does not call reset()V",
            ),
        ] {
            let bytes = zip_file(release, returns, resets);
            let out = instrument(ZIP_FILE, &bytes, Identity::Address).unwrap();
            assert_eq!((out.missing, out.placed.len()), (vec![format!("{ZIP_FILE}{reason}")], 1));
        }
        let bytes = zip_file("releaseInflater", 0, 2);
        let out = instrument(ZIP_FILE, &bytes, Identity::Address).unwrap();
        assert_eq!((out.missing.len(), out.placed.len(), out.bytes), (2, 0, bytes));
    }

    #[test]
    fn other_shapes_have_no_hooks_by_address() {
        for (inits, ends, reason) in [
            (0, 1, "java/util/zip/Inflater: 0 calls of init(Z)J, not one"),
            (2, 1, "java/util/zip/Inflater: 2 calls of init(Z)J, not one"),
            (1, 2, "java/util/zip/Inflater: 2 calls of end(J)V, not one"),
        ] {
            let bytes = by_address(inits, ends);
            let out = instrument(INFLATER, &bytes, Identity::Address).unwrap();
            assert_eq!((out.missing, out.placed.len()), (vec![reason.to_owned()], 2));
        }
        let out = instrument(INFLATER, &by_address(1, 0), Identity::Address).unwrap();
        assert!(out.missing.is_empty() && out.placed.len() == 2, "another class calls it");
    }
}
