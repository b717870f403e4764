//! The constant pool (JVMS §4.4).
//!
//! Owns: the kind of each entry, look-up, and adding the few entries that a spliced call needs.
//! Leaves to others: whether an entry fits its use. Invariant: the original bytes are never changed
//! and no index ever moves; new entries are appended, so every `ldc` and every attribute stays
//! valid.

use std::borrow::Cow;

use super::Refusal;
use super::bytes::{Put, Reader};

const UTF8: u8 = 1;
const CLASS: u8 = 7;
const FIELD_REF: u8 = 9;
const METHOD_REF: u8 = 10;
const INTERFACE_METHOD_REF: u8 = 11;
const NAME_AND_TYPE: u8 = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry<'a> {
    /// Index 0, and the second half of a `long` or `double`: no valid reference names it.
    Gap,
    Utf8(Cow<'a, [u8]>),
    Class(u16),
    NameAndType(u16, u16),
    FieldRef(u16, u16),
    MethodRef(u16, u16),
    InterfaceMethodRef(u16, u16),
    /// A kind that the rewriter never needs to examine.
    Other,
}

/// A method as an `invoke…` instruction names it, in the class file's own (modified) UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodRef<'p> {
    /// Internal name of the class, `java/lang/Object`.
    pub class: &'p [u8],
    /// Simple name, `<init>` for constructors.
    pub name: &'p [u8],
    /// Descriptor, `()V`.
    pub descriptor: &'p [u8],
}

/// The constant pool of one class: read once, only ever appended to.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    original: &'a [u8],
    added: Vec<u8>,
    entries: Vec<Entry<'a>>,
}

impl<'a> Pool<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, Refusal> {
        let count = reader.u2()?;
        if count == 0 {
            return Err(Refusal::new("the constant pool has no entry 0"));
        }
        let start = reader.clone();
        let mut entries = vec![Entry::Gap];
        while entries.len() < usize::from(count) {
            let tag = reader.u1()?;
            let entry = match tag {
                UTF8 => {
                    let len = reader.u2()?;
                    Entry::Utf8(Cow::Borrowed(reader.take(len.into())?))
                }
                CLASS => Entry::Class(reader.u2()?),
                FIELD_REF => Entry::FieldRef(reader.u2()?, reader.u2()?),
                NAME_AND_TYPE => Entry::NameAndType(reader.u2()?, reader.u2()?),
                METHOD_REF => Entry::MethodRef(reader.u2()?, reader.u2()?),
                INTERFACE_METHOD_REF => Entry::InterfaceMethodRef(reader.u2()?, reader.u2()?),
                // Integer, Float, Dynamic, InvokeDynamic.
                3 | 4 | 17 | 18 => reader.take(4).map(|_| Entry::Other)?,
                // Long and Double take two indexes (JVMS §4.4.5).
                5 | 6 => {
                    reader.take(8)?;
                    entries.push(Entry::Other);
                    Entry::Gap
                }
                // String, MethodType, Module, Package.
                8 | 16 | 19 | 20 => reader.take(2).map(|_| Entry::Other)?,
                // MethodHandle.
                15 => reader.take(3).map(|_| Entry::Other)?,
                _ => return Err(Refusal::new(format!("constant pool tag {tag} is unknown"))),
            };
            entries.push(entry);
        }
        if entries.len() > usize::from(count) {
            return Err(Refusal::new("the last constant pool entry needs two indexes but has one"));
        }
        Ok(Self { original: reader.since(&start), added: Vec::new(), entries })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        out.put_u2(u16::try_from(self.entries.len()).map_err(|_| full())?);
        out.put(self.original);
        out.put(&self.added);
        Ok(())
    }

    /// The text of a `CONSTANT_Utf8`, in the class file's own encoding.
    pub fn utf8(&self, index: u16) -> Option<&[u8]> {
        match self.entries.get(usize::from(index))? {
            Entry::Utf8(text) => Some(text),
            _ => None,
        }
    }

    /// The internal name of a `CONSTANT_Class`.
    pub fn class_name(&self, index: u16) -> Option<&[u8]> {
        match self.entries.get(usize::from(index))? {
            Entry::Class(name) => self.utf8(*name),
            _ => None,
        }
    }

    /// The first `CONSTANT_Fieldref` to a field of this name of the class `class`: its index, and
    /// the field's descriptor.
    pub fn field(&self, class: &[u8], name: &[u8]) -> Option<(u16, &[u8])> {
        self.entries.iter().enumerate().find_map(|(index, entry)| {
            let Entry::FieldRef(owner, member) = entry else { return None };
            let Entry::NameAndType(field, descriptor) = self.entries.get(usize::from(*member))?
            else {
                return None;
            };
            let meant = self.class_name(*owner)? == class && self.utf8(*field)? == name;
            Some((u16::try_from(index).ok()?, self.utf8(*descriptor)?)).filter(|_| meant)
        })
    }

    /// What a `CONSTANT_Methodref` or `CONSTANT_InterfaceMethodref` names.
    pub fn method(&self, index: u16) -> Option<MethodRef<'_>> {
        let (Entry::MethodRef(class, member) | Entry::InterfaceMethodRef(class, member)) =
            self.entries.get(usize::from(index))?
        else {
            return None;
        };
        let Entry::NameAndType(name, descriptor) = self.entries.get(usize::from(*member))? else {
            return None;
        };
        Some(MethodRef {
            class: self.class_name(*class)?,
            name: self.utf8(*name)?,
            descriptor: self.utf8(*descriptor)?,
        })
    }

    /// The index of a `CONSTANT_Methodref`, found or added with all that it needs.
    ///
    /// # Errors
    /// The pool has no index left (of 65,535), or a text is longer than 65,535 bytes or not plain
    /// ASCII, as all of our own names are.
    pub fn method_ref(
        &mut self,
        class: &str,
        name: &str,
        descriptor: &str,
    ) -> Result<u16, Refusal> {
        let class = self.text(class)?;
        let class = self.index_of(Entry::Class(class))?;
        let name = self.text(name)?;
        let descriptor = self.text(descriptor)?;
        let member = self.index_of(Entry::NameAndType(name, descriptor))?;
        self.index_of(Entry::MethodRef(class, member))
    }

    fn text(&mut self, text: &str) -> Result<u16, Refusal> {
        // Modified UTF-8 (JVMS §4.4.7) differs from UTF-8 in NUL and past the BMP; ASCII has
        // neither.
        if !text.bytes().all(|byte| byte.is_ascii() && byte != 0) {
            return Err(Refusal::new(format!("the name {text:?} is not plain ASCII")));
        }
        self.index_of(Entry::Utf8(Cow::Owned(text.as_bytes().to_vec())))
    }

    fn index_of(&mut self, wanted: Entry<'a>) -> Result<u16, Refusal> {
        if let Some(index) = self.entries.iter().position(|entry| *entry == wanted) {
            return u16::try_from(index).map_err(|_| full());
        }
        let index = u16::try_from(self.entries.len()).map_err(|_| full())?;
        if index == u16::MAX {
            return Err(full());
        }
        match &wanted {
            Entry::Utf8(text) => {
                let len = u16::try_from(text.len())
                    .map_err(|_| Refusal::new("a name is longer than 65,535 bytes"))?;
                self.added.put_u1(UTF8);
                self.added.put_u2(len);
                self.added.put(text);
            }
            Entry::Class(name) => {
                self.added.put_u1(CLASS);
                self.added.put_u2(*name);
            }
            Entry::NameAndType(name, descriptor) => {
                self.added.put_u1(NAME_AND_TYPE);
                self.added.put_u2(*name);
                self.added.put_u2(*descriptor);
            }
            Entry::MethodRef(class, member) => {
                self.added.put_u1(METHOD_REF);
                self.added.put_u2(*class);
                self.added.put_u2(*member);
            }
            Entry::FieldRef(..) | Entry::InterfaceMethodRef(..) | Entry::Other | Entry::Gap => {
                return Err(Refusal::new("this kind of constant is never added"));
            }
        }
        self.entries.push(wanted);
        Ok(index)
    }
}

fn full() -> Refusal {
    Refusal::new("the constant pool has no room for another entry")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassFile;
    use crate::testing::Assembler;

    #[test]
    fn finds_before_it_adds() {
        let mut class = Assembler::class("T", "java/lang/Object");
        let there = class.method_ref("a/B", "c", "()V");
        let bytes = class.bytes();
        let mut class = ClassFile::parse(&bytes).unwrap();
        assert_eq!(class.pool_mut().method_ref("a/B", "c", "()V"), Ok(there));
        assert_eq!(class.to_bytes().unwrap(), bytes, "nothing was added");

        let added = class.pool_mut().method_ref("a/B", "d", "()V").unwrap();
        assert_eq!(class.pool_mut().method_ref("a/B", "d", "()V"), Ok(added));
        let out = class.to_bytes().unwrap();
        // A name, a NameAndType and a Methodref; class and descriptor existed.
        assert_eq!(out.len(), bytes.len() + (3 + 1) + 5 + 5);
        let class = ClassFile::parse(&out).unwrap();
        let expected = MethodRef { class: b"a/B", name: b"d", descriptor: b"()V" };
        assert_eq!(class.pool().method(added), Some(expected));
        assert_eq!(class.pool().method(there).unwrap().name, b"c");
    }

    #[test]
    fn fields_are_found_by_class_and_name() {
        let mut bytes = Vec::new();
        bytes.put_u2(8);
        for name in ["a/B", "c", "J"] {
            bytes.put(&[UTF8, 0, name.len() as u8]);
            bytes.put(name.as_bytes());
        }
        bytes.put(&[CLASS, 0, 1, NAME_AND_TYPE, 0, 2, 0, 3, FIELD_REF, 0, 4, 0, 5]);
        bytes.put(&[METHOD_REF, 0, 4, 0, 5]);
        let pool = Pool::parse(&mut Reader::new(&bytes, "the pool")).unwrap();
        assert_eq!(pool.field(b"a/B", b"c"), Some((6, &b"J"[..])));
        assert_eq!((pool.field(b"a/B", b"d"), pool.field(b"c", b"c")), (None, None));
    }

    /// A pool of one `long`, which has two indexes, and enough empty texts to fill it up to
    /// `count`.
    fn pool_bytes(count: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u2(count);
        bytes.put(&[5, 0, 0, 0, 0, 0, 0, 0, 1]);
        (3..count).for_each(|_| bytes.put(&[UTF8, 0, 0]));
        bytes
    }

    #[test]
    fn is_full_at_65535() {
        // A new method of a new class takes six entries: three texts, a class, a NameAndType, a
        // Methodref.
        for (count, fits) in [(65_535 - 6, true), (65_535 - 5, false), (65_535, false)] {
            let bytes = pool_bytes(count);
            let mut pool = Pool::parse(&mut Reader::new(&bytes, "the pool")).unwrap();
            let added = pool.method_ref("a", "b", "()V");
            assert_eq!(added.is_ok(), fits, "{count}: {added:?}");
            let mut out = Vec::new();
            pool.write(&mut out).unwrap();
            let mut reader = Reader::new(&out, "the pool");
            let read = Pool::parse(&mut reader).unwrap();
            assert_eq!(reader.finish(), Ok(()));
            assert_eq!(added.ok().and_then(|index| read.method(index)).is_some(), fits);
        }
    }

    #[test]
    fn takes_two_indexes_for_a_long() {
        let bytes = pool_bytes(4);
        let pool = Pool::parse(&mut Reader::new(&bytes, "the pool")).unwrap();
        assert_eq!([0, 1, 2, 4].map(|index| pool.utf8(index)), [None; 4]);
        assert_eq!(pool.utf8(3), Some(b"".as_slice()));
        let mut cut = pool_bytes(3);
        cut[1] = 2;
        assert_eq!(
            Pool::parse(&mut Reader::new(&cut, "the pool")).unwrap_err().to_string(),
            "the last constant pool entry needs two indexes but has one"
        );
    }

    #[test]
    fn refuses_names_that_need_modified_utf8() {
        let bytes = pool_bytes(3);
        let mut pool = Pool::parse(&mut Reader::new(&bytes, "the pool")).unwrap();
        for name in ["a\0", "ä", "😀"] {
            assert!(pool.method_ref("a", name, "()V").is_err(), "{name:?}");
        }
        assert!(pool.method_ref("a", &"x".repeat(65_536), "()V").is_err());
    }
}
