//! The one table of hooks (which methods get which call), and the class that the calls go to.
//!
//! Owns: `HOOKS`, placing them in the classes that they name, and the helper class's bytes.
//! Leaves to others: rewriting (`classfile/`), loading the helper class and handling its calls
//! (`agent/`). Invariant: a hook is placed as the table says or reported missing with the reason;
//! it is never guessed, and a missing hook does not prevent the others.

use zaudit_classfile::bytes::Put;
use zaudit_classfile::{ClassFile, Delegation, Method, Refusal, Splice, Where};

/// The class whose static native methods the hooks call. It has a package of its own, because
/// natives registered in `java.util.zip` make JDK 17 and later print a warning on stdout.
pub const HELPER_CLASS: &str = "zaudit/Hooks";

/// Descriptor of every callback, which receives the instance.
pub const CALLBACK_DESCRIPTOR: &str = "(Ljava/lang/Object;)V";

/// What a hook reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callback {
    /// An instance was created, and its constructor returns.
    Created,
    /// `end()` was called, for the first time or again.
    Ended,
    /// The JVM is about to exit, and its GC still works.
    Ending,
}

impl Callback {
    /// All callbacks; the helper class has a method for each.
    pub const ALL: [Self; 3] = [Self::Created, Self::Ended, Self::Ending];

    /// Name of the static native method in [`HELPER_CLASS`].
    pub const fn method(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Ended => "ended",
            Self::Ending => "ending",
        }
    }
}

/// The methods of a class that a hook applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selector {
    /// Constructors that call `super(…)`. One that calls `this(…)` would report its object a second
    /// time.
    MakingConstructors,
    /// The instance method of this name and descriptor.
    Named(&'static str, &'static str),
    /// The static method of this name and descriptor; its callback gets null.
    Static(&'static str, &'static str),
}

#[derive(Debug, Clone, Copy)]
struct Hook {
    class: &'static str,
    selector: Selector,
    at: Where,
    callback: Callback,
}

/// `java.util.zip.Inflater`.
pub const INFLATER: &str = "java/util/zip/Inflater";
/// `java.util.zip.Deflater`.
pub const DEFLATER: &str = "java/util/zip/Deflater";
/// Every exit of the JVM calls it: `halt` for `System.exit`, `Runtime.halt` and signals, `shutdown`
/// for the end of the last thread. VMDeath is too late: by then the GC has been stopped
/// (`before_exit`), ZGC and Shenandoah would never return from a forced one, and JDK 26 and later
/// report no more frees (JDK-8355631).
pub const SHUTDOWN: &str = "java/lang/Shutdown";

/// A constructor is hooked at its return: one that throws, as `new Deflater(42)` does, created no
/// instance. `close()`, new in JDK 25, calls `end()` and needs no hook.
#[rustfmt::skip]
static HOOKS: [Hook; 6] = [
    Hook { class: INFLATER, selector: Selector::MakingConstructors,   at: Where::Return, callback: Callback::Created },
    Hook { class: INFLATER, selector: Selector::Named("end", "()V"),  at: Where::Entry,  callback: Callback::Ended },
    Hook { class: DEFLATER, selector: Selector::MakingConstructors,   at: Where::Return, callback: Callback::Created },
    Hook { class: DEFLATER, selector: Selector::Named("end", "()V"),  at: Where::Entry,  callback: Callback::Ended },
    Hook { class: SHUTDOWN, selector: Selector::Static("halt", "(I)V"),     at: Where::Entry,  callback: Callback::Ending },
    Hook { class: SHUTDOWN, selector: Selector::Static("shutdown", "()V"),  at: Where::Return, callback: Callback::Ending },
];

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

/// Internal names of the classes that have hooks, each once.
pub fn targets() -> impl Iterator<Item = &'static str> {
    let first = |at: usize, class| !HOOKS.iter().take(at).any(|hook| hook.class == class);
    HOOKS
        .iter()
        .enumerate()
        .filter(move |(at, hook)| first(*at, hook.class))
        .map(|(_, hook)| hook.class)
}

/// Places the hooks of `class_name` in its class file.
///
/// # Errors The class has no hooks, the bytes are malformed or of another class, or the rewritten
/// class would not fit the format. The class must stay unchanged then.
pub fn instrument(class_name: &str, bytes: &[u8]) -> Result<Instrumented, Refusal> {
    let hooks = || HOOKS.iter().filter(|hook| hook.class == class_name);
    if hooks().next().is_none() {
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
    for hook in hooks() {
        place(hook, &mut class, &mut placed, &mut missing)?;
    }
    Ok(Instrumented { bytes: class.to_bytes()?, placed, missing })
}

/// Places one hook of the table in every method that it applies to; adds failures to `missing`.
fn place(
    hook: &Hook,
    class: &mut ClassFile<'_>,
    placed: &mut Vec<Placed>,
    missing: &mut Vec<String>,
) -> Result<(), Refusal> {
    let mut chosen = Vec::new();
    let mut candidates = 0;
    for (index, method) in class.methods().iter().enumerate() {
        match choose(hook.selector, class, method) {
            Ok(false) => continue,
            Ok(true) => chosen.push(index),
            Err(reason) => missing.push(format!("{}.{method}: {reason}", hook.class)),
        }
        candidates += 1;
    }
    if candidates == 0 {
        missing.push(match hook.selector {
            Selector::MakingConstructors => {
                format!("{}: no constructor calls super(…)", hook.class)
            }
            Selector::Named(name, descriptor) | Selector::Static(name, descriptor) => {
                format!("{}.{name}{descriptor}: no such method", hook.class)
            }
        });
    }
    if chosen.is_empty() {
        return Ok(());
    }
    let call =
        class.pool_mut().method_ref(HELPER_CLASS, hook.callback.method(), CALLBACK_DESCRIPTOR)?;
    let [high, low] = call.to_be_bytes();
    const ACONST_NULL: u8 = 1;
    const ALOAD_0: u8 = 42;
    const INVOKESTATIC: u8 = 184;
    let argument =
        if matches!(hook.selector, Selector::Static(..)) { ACONST_NULL } else { ALOAD_0 };
    let splice = Splice { at: hook.at, code: vec![argument, INVOKESTATIC, high, low], stack: 1 };
    for index in chosen {
        let Some(method) = class.methods_mut().get_mut(index) else { continue };
        match method.splice(splice.clone()) {
            Ok(0) => missing.push(format!("{}.{method}: the method never returns", hook.class)),
            Ok(calls) => placed.push(Placed {
                method: method.to_string(),
                at: hook.at,
                callback: hook.callback,
                calls,
            }),
            Err(reason) => missing.push(format!("{}.{reason}", hook.class)),
        }
    }
    Ok(())
}

/// Whether a hook applies to this method; an error if it does and cannot be placed, or if that is
/// uncertain.
fn choose(selector: Selector, class: &ClassFile<'_>, method: &Method<'_>) -> Result<bool, Refusal> {
    let meant = match selector {
        Selector::MakingConstructors => {
            method.name() == "<init>" && class.delegation(method)? == Delegation::Super
        }
        Selector::Named(name, descriptor) | Selector::Static(name, descriptor) => {
            method.name() == name && method.descriptor() == descriptor
        }
    };
    if !meant {
        return Ok(false);
    }
    match (matches!(selector, Selector::Static(..)), method.is_static()) {
        (false, true) => {
            return Err(Refusal::new("the method is static and has no instance to report"));
        }
        (true, false) => return Err(Refusal::new("the method is not static")),
        (true, true) => return Ok(true),
        (false, false) => {}
    }
    let code = method.code().ok_or_else(|| Refusal::new("the method is native or abstract"))?;
    // The call takes local 0 for the instance.
    if code.writes_local(0)? {
        return Err(Refusal::new("the method overwrites local variable 0 (`this`)"));
    }
    Ok(true)
}

/// The bytes of the helper class: `public final synthetic class zaudit/Hooks` with one `public
/// static native` method for each [`Callback`], and nothing else. Version 52, which every JVM since
/// 8 loads.
pub fn helper_class() -> Vec<u8> {
    const PUBLIC_FINAL_SUPER_SYNTHETIC: u16 = 0x0001 | 0x0010 | 0x0020 | 0x1000;
    const PUBLIC_STATIC_NATIVE: u16 = 0x0001 | 0x0008 | 0x0100;
    const NAMES: [&str; 6] = [
        HELPER_CLASS,
        "java/lang/Object",
        CALLBACK_DESCRIPTOR,
        Callback::Created.method(),
        Callback::Ended.method(),
        Callback::Ending.method(),
    ];
    let mut out = Vec::new();
    out.put_u4(0xCAFE_BABE);
    out.put_u4(52);
    // Constants 1 to 6 are the names, 7 and 8 the classes of the first two.
    out.put_u2(9);
    for name in NAMES {
        out.put_u1(1);
        // The cast loses nothing: each name is a few bytes long.
        out.put_u2(name.len() as u16);
        out.put(name.as_bytes());
    }
    for name in [1, 2] {
        out.put_u1(7);
        out.put_u2(name);
    }
    out.put_u2(PUBLIC_FINAL_SUPER_SYNTHETIC);
    out.put_u2(7);
    out.put_u2(8);
    // No interfaces, no fields.
    out.put_u2(0);
    out.put_u2(0);
    out.put_u2(3);
    for name in [4, 5, 6] {
        out.put_u2(PUBLIC_STATIC_NATIVE);
        out.put_u2(name);
        out.put_u2(3);
        out.put_u2(0);
    }
    out.put_u2(0);
    out
}

#[cfg(test)]
mod tests {
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
        let out = instrument(INFLATER, &bytes).unwrap();
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
        assert_eq!(called.descriptor, CALLBACK_DESCRIPTOR.as_bytes());
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
            let out = instrument(INFLATER, &inflater(constructors, ends)).unwrap();
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
            assert_eq!(instrument(name, bytes).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn targets_are_named_once() {
        assert_eq!(targets().collect::<Vec<_>>(), [INFLATER, DEFLATER, SHUTDOWN]);
    }

    #[test]
    fn the_helper_class_has_every_callback() {
        let bytes = helper_class();
        let class = ClassFile::parse(&bytes).unwrap();
        assert_eq!(class.name(), HELPER_CLASS);
        let names: Vec<_> = class.methods().iter().map(|method| method.name()).collect();
        assert_eq!(names, Callback::ALL.map(Callback::method));
        for method in class.methods() {
            assert_eq!(method.descriptor(), CALLBACK_DESCRIPTOR);
            assert!(method.is_static() && method.code().is_none());
        }
    }
}
