//! Class files: bytes in, bytes out (JVMS chapter 4).
//!
//! Owns: reading a class file, splicing calls into its methods, and writing it again with every pc
//! in it moved. Leaves to others: which classes and which calls (`instrument`). Knows no zlib and
//! no JVM. Invariant: unchanged parts are copied byte for byte, and a class that cannot be
//! rewritten correctly is refused with a reason; there is no other outcome.
//!
//! ```text
//! ClassFile ── Pool            pool.rs          entries are only ever appended
//!    └─ Method ─ Code          code.rs          snippets wait here until the class is written
//!          ├─ Instruction      instructions.rs  where each one ends, and where it carries pcs
//!          ├─ PcMap            layout.rs        old pc -> new pc; branches and switches re-encoded
//!          ├─ tables           tables.rs        exceptions, lines, variables, annotations
//!          ├─ frames           frames.rs        StackMapTable
//!          └─ Delegation       constructor.rs   this(…) or super(…)
//! ```

pub mod bytes;
mod code;
mod constructor;
mod frames;
mod instructions;
mod layout;
mod pool;
#[cfg(test)]
mod properties;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::borrow::Cow;
use std::fmt;

use bytes::{Put, Reader, length_u4};
pub use code::{Code, Splice, Where};
pub use constructor::Delegation;
pub use pool::{MethodRef, Pool};

/// Why a class or a method stays unchanged: one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Cow<'static, str>,
}

impl Refusal {
    /// A refusal for this reason: one line, without a full stop.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }

    /// The same refusal, with the name of what it is about.
    fn of(self, who: &str) -> Self {
        Self::new(format!("{who}: {}", self.reason))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

/// Access flag of methods that have no `this` (JVMS §4.6).
const ACC_STATIC: u16 = 0x0008;

/// A parsed class file (JVMS §4.1). Borrows the bytes it came from.
#[derive(Debug, Clone)]
pub struct ClassFile<'a> {
    /// Magic and version.
    head: &'a [u8],
    pool: Pool<'a>,
    /// From the access flags to the last field.
    middle: &'a [u8],
    this_class: u16,
    super_class: u16,
    methods: Vec<Method<'a>>,
    /// The class's own attributes.
    tail: &'a [u8],
}

impl<'a> ClassFile<'a> {
    /// Parses a whole class file. Checks only what the rewriter must understand; the JVM checks the
    /// rest.
    ///
    /// # Errors
    /// The bytes are not a class file, are truncated, have trailing bytes, or contain unknown
    /// items. Instructions and the tables that contain pcs are parsed, and refused, only in methods
    /// that are spliced.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::new(bytes, "the class file");
        let start = reader.clone();
        if reader.u4()? != 0xCAFE_BABE {
            return Err(Refusal::new("not a class file"));
        }
        reader.u4()?;
        let head = reader.since(&start);
        let pool = Pool::parse(&mut reader)?;

        let start = reader.clone();
        reader.u2()?;
        let (this_class, super_class) = (reader.u2()?, reader.u2()?);
        let interfaces = reader.u2()?;
        reader.take(usize::from(interfaces) * 2)?;
        for _ in 0..reader.u2()? {
            reader.take(6)?;
            skip_attributes(&mut reader)?;
        }
        let middle = reader.since(&start);

        let mut methods = Vec::new();
        for _ in 0..reader.u2()? {
            methods.push(Method::parse(&mut reader, &pool)?);
        }
        let start = reader.clone();
        skip_attributes(&mut reader)?;
        let tail = reader.since(&start);
        reader.finish()?;
        if pool.class_name(this_class).is_none() {
            return Err(Refusal::new("the class has no name"));
        }
        Ok(Self { head, pool, middle, this_class, super_class, methods, tail })
    }

    /// Internal name, `java/util/zip/Inflater`.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.pool.class_name(self.this_class).unwrap_or_default())
    }

    /// The constant pool.
    pub fn pool(&self) -> &Pool<'a> {
        &self.pool
    }

    /// The constant pool, to add to it.
    pub fn pool_mut(&mut self) -> &mut Pool<'a> {
        &mut self.pool
    }

    /// All methods, constructors and the class initialiser among them, in the order of the file.
    pub fn methods(&self) -> &[Method<'a>] {
        &self.methods
    }

    /// All methods, to splice into them.
    pub fn methods_mut(&mut self) -> &mut [Method<'a>] {
        &mut self.methods
    }

    /// Whether a constructor of this class begins with `this(…)` or `super(…)`.
    ///
    /// # Errors The method has no code, its code is malformed, or the result is not certain.
    pub fn delegation(&self, constructor: &Method<'a>) -> Result<Delegation, Refusal> {
        let code = constructor.code().ok_or_else(|| Refusal::new("the constructor has no code"))?;
        let class = self.pool.class_name(self.this_class).unwrap_or_default();
        constructor::delegation(code, &self.pool, class, self.pool.class_name(self.super_class))
    }

    /// Writes the class with all snippets in place.
    ///
    /// # Errors
    /// A spliced method is malformed or no longer fits the format: code past 65,535 bytes, a 16-bit
    /// branch or the operand stack out of range, a pc in a table at which no instruction starts.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        out.put(self.head);
        self.pool.write(&mut out)?;
        out.put(self.middle);
        out.put_u2(u16::try_from(self.methods.len()).unwrap_or(u16::MAX));
        for method in &self.methods {
            method.write(&mut out)?;
        }
        out.put(self.tail);
        Ok(out)
    }
}

/// One method (JVMS §4.6).
#[derive(Debug, Clone)]
pub struct Method<'a> {
    access: u16,
    name: String,
    descriptor: String,
    /// The whole method as it was read.
    bytes: &'a [u8],
    /// The bytes before the Code attribute's length, and after its body.
    around: (&'a [u8], &'a [u8]),
    code: Option<Code<'a>>,
}

impl<'a> Method<'a> {
    fn parse(reader: &mut Reader<'a>, pool: &Pool<'a>) -> Result<Self, Refusal> {
        let start = reader.clone();
        let access = reader.u2()?;
        let name = text(pool, reader.u2()?)?;
        let descriptor = text(pool, reader.u2()?)?;
        let mut code = None;
        let mut before: &[u8] = &[];
        let mut after = reader.clone();
        for _ in 0..reader.u2()? {
            let attribute = pool.utf8(reader.u2()?);
            let until_length = reader.since(&start);
            let length = reader.u4()?;
            let body = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            if attribute != Some(b"Code") {
                continue;
            }
            if code.is_some() {
                return Err(Refusal::new("a method has two Code attributes")
                    .of(&format!("{name}{descriptor}")));
            }
            code = Some(
                Code::parse(body, pool)
                    .map_err(|refusal| refusal.of(&format!("{name}{descriptor}")))?,
            );
            before = until_length;
            after = reader.clone();
        }
        let around = (before, reader.since(&after));
        Ok(Self { access, name, descriptor, bytes: reader.since(&start), around, code })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(code) = self.code.as_ref().filter(|code| code.is_spliced()) else {
            out.put(self.bytes);
            return Ok(());
        };
        let body = code.write().map_err(|refusal| refusal.of(&self.to_string()))?;
        out.put(self.around.0);
        out.put_u4(length_u4(body.len())?);
        out.put(&body);
        out.put(self.around.1);
        Ok(())
    }

    /// Simple name, `<init>` for constructors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Descriptor, `(IZ)V`.
    pub fn descriptor(&self) -> &str {
        &self.descriptor
    }

    /// Whether there is no `this`.
    pub fn is_static(&self) -> bool {
        self.access & ACC_STATIC != 0
    }

    /// The code, which native and abstract methods do not have.
    pub fn code(&self) -> Option<&Code<'a>> {
        self.code.as_ref()
    }

    /// Adds a snippet, and returns in how many places it will be inserted; see [`Code::splice`].
    ///
    /// # Errors
    /// As [`Code::splice`], and for a method without code.
    pub fn splice(&mut self, splice: Splice) -> Result<usize, Refusal> {
        let who = self.to_string();
        let Some(code) = &mut self.code else {
            return Err(Refusal::new("the method has no code").of(&who));
        };
        code.splice(splice).map_err(|refusal| refusal.of(&who))
    }
}

/// Name and descriptor, `end()V`.
impl fmt::Display for Method<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.name, self.descriptor)
    }
}

fn text(pool: &Pool<'_>, index: u16) -> Result<String, Refusal> {
    let text =
        pool.utf8(index).ok_or_else(|| Refusal::new("a method has no name or no descriptor"))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn skip_attributes(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    for _ in 0..reader.u2()? {
        reader.u2()?;
        let length = reader.u4()?;
        reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::testing::{Assembler, TestCode, class_of};
    use super::*;

    #[test]
    fn methods_are_what_the_file_says() {
        let mut class = Assembler::class("a/T", "java/lang/Object");
        class.method(0x0008, "s", "(I)V", Some(TestCode::of([177])));
        class.method(0x0100, "n", "()I", None);
        let bytes = class.bytes();
        let mut class = ClassFile::parse(&bytes).unwrap();
        assert_eq!(class.name(), "a/T");
        let [s, n] = class.methods_mut() else { panic!("two methods") };
        assert_eq!(
            (s.name(), s.descriptor(), s.is_static(), s.code().is_some()),
            ("s", "(I)V", true, true)
        );
        assert_eq!(
            (n.name(), n.descriptor(), n.is_static(), n.code().is_some()),
            ("n", "()I", false, false)
        );
        let refused = n.splice(Splice { at: Where::Entry, code: vec![], stack: 0 }).unwrap_err();
        assert_eq!(refused.to_string(), "n()I: the method has no code");
        assert_eq!(class.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn a_method_that_is_not_spliced_may_hold_what_could_not_be() {
        let mut class = Assembler::class("T", "java/lang/Object");
        class.method(0, "odd", "()V", Some(TestCode::of([255])));
        class.method(0, "even", "()V", Some(TestCode::of([177])));
        let bytes = class.bytes();
        let mut class = ClassFile::parse(&bytes).unwrap();
        let nop = Splice { at: Where::Entry, code: vec![0], stack: 0 };
        assert!(class.methods_mut()[0].splice(nop.clone()).is_err());
        assert_eq!(class.methods_mut()[1].splice(nop), Ok(1));
        let out = class.to_bytes().unwrap();
        assert_eq!(out.len(), bytes.len() + 1);
        assert_eq!(ClassFile::parse(&out).unwrap().methods()[0].code().unwrap().bytes(), [255]);
    }

    #[test]
    fn what_is_no_class_is_refused() {
        let good = class_of(TestCode::of([177]));
        let refusal = |bytes: &[u8]| ClassFile::parse(bytes).unwrap_err().to_string();
        assert_eq!(refusal(b""), "the class file is truncated");
        assert_eq!(refusal(b"PK\x03\x04"), "not a class file");
        assert_eq!(refusal(&[&good[..], &[0]].concat()), "the class file has 1 trailing bytes");
        assert_eq!(refusal(&good[..good.len() - 1]), "the class file is truncated");
        let mut twice = good.clone();
        let name_before =
            |body: &[u8]| good.windows(body.len()).position(|w| w == body).unwrap() - 6;
        let code =
            [&2u16.to_be_bytes()[..], &8u16.to_be_bytes(), &1u32.to_be_bytes(), &[177]].concat();
        let (code, marker) = (name_before(&code), name_before(b"after"));
        twice.copy_within(code..code + 2, marker);
        assert_eq!(refusal(&twice), "m()V: a method has two Code attributes");
        let mut bad = good.clone();
        bad[10] = 99;
        assert_eq!(refusal(&bad), "constant pool tag 99 is unknown");
    }
}
