//! A small assembler for the unit tests: class files from parts, so that each test shows the bytes
//! that it is about.
//!
//! Owns: building well-formed class files. Leaves to the tests: everything else. Invariant: it
//! shares no code with the parser except the `put_*` writers and the pool's appending, so that a
//! mistake there shows.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests call it, with what they made up themselves"
)]

use super::bytes::Put;
use super::{ClassFile, Refusal, Splice, Where};

/// A class under construction.
pub struct Assembler {
    entries: Vec<Vec<u8>>,
    this_class: u16,
    super_class: u16,
    methods: Vec<Vec<u8>>,
}

impl Assembler {
    pub fn class(name: &str, superclass: &str) -> Self {
        let mut class =
            Self { entries: Vec::new(), this_class: 0, super_class: 0, methods: Vec::new() };
        class.this_class = class.class_ref(name);
        class.super_class = class.class_ref(superclass);
        class
    }

    fn entry(&mut self, bytes: Vec<u8>) -> u16 {
        if let Some(at) = self.entries.iter().position(|entry| *entry == bytes) {
            return at as u16 + 1;
        }
        self.entries.push(bytes);
        self.entries.len() as u16
    }

    fn pair(&mut self, tag: u8, first: u16, second: u16) -> u16 {
        let mut bytes = vec![tag];
        bytes.put_u2(first);
        bytes.put_u2(second);
        self.entry(bytes)
    }

    pub fn utf8(&mut self, text: &str) -> u16 {
        let mut bytes = vec![1];
        bytes.put_u2(text.len() as u16);
        bytes.put(text.as_bytes());
        self.entry(bytes)
    }

    pub fn class_ref(&mut self, name: &str) -> u16 {
        let name = self.utf8(name);
        let mut bytes = vec![7];
        bytes.put_u2(name);
        self.entry(bytes)
    }

    pub fn field_ref(&mut self, class: &str, name: &str, descriptor: &str) -> u16 {
        let class = self.class_ref(class);
        let (name, descriptor) = (self.utf8(name), self.utf8(descriptor));
        let member = self.pair(12, name, descriptor);
        self.pair(9, class, member)
    }

    pub fn method_ref(&mut self, class: &str, name: &str, descriptor: &str) -> u16 {
        let class = self.class_ref(class);
        let (name, descriptor) = (self.utf8(name), self.utf8(descriptor));
        let member = self.pair(12, name, descriptor);
        self.pair(10, class, member)
    }

    /// `invokespecial` of a constructor `()V`.
    pub fn init_of(&mut self, class: &str) -> [u8; 3] {
        let [high, low] = self.method_ref(class, "<init>", "()V").to_be_bytes();
        [183, high, low]
    }

    /// `new` of a class.
    pub fn new_of(&mut self, class: &str) -> [u8; 3] {
        let [high, low] = self.class_ref(class).to_be_bytes();
        [187, high, low]
    }

    /// Adds a method; without code when `code` is `None`.
    pub fn method(&mut self, access: u16, name: &str, descriptor: &str, code: Option<TestCode>) {
        let mut method = Vec::new();
        method.put_u2(access);
        let (name, descriptor) = (self.utf8(name), self.utf8(descriptor));
        method.put_u2(name);
        method.put_u2(descriptor);
        let Some(code) = code else {
            method.put_u2(0);
            self.methods.push(method);
            return;
        };
        let mut body = Vec::new();
        body.put_u2(code.max_stack);
        body.put_u2(8);
        body.put_u4(code.bytes.len() as u32);
        body.put(&code.bytes);
        body.put_u2(code.exceptions.len() as u16);
        for value in code.exceptions.iter().flatten() {
            body.put_u2(*value);
        }
        body.put_u2(code.attributes.len() as u16);
        for (name, attribute) in &code.attributes {
            let name = self.utf8(name);
            body.put_u2(name);
            body.put_u4(attribute.len() as u32);
            body.put(attribute);
        }
        // Code is between two attributes that must not change.
        let (code_name, marker) = (self.utf8("Code"), self.utf8("Marker"));
        method.put_u2(3);
        for (name, body) in [(marker, b"before".as_slice()), (code_name, &body), (marker, b"after")]
        {
            method.put_u2(name);
            method.put_u4(body.len() as u32);
            method.put(body);
        }
        self.methods.push(method);
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u4(0xCAFE_BABE);
        out.put_u4(52);
        out.put_u2(self.entries.len() as u16 + 1);
        self.entries.iter().for_each(|entry| out.put(entry));
        out.put_u2(0x21);
        out.put_u2(self.this_class);
        out.put_u2(self.super_class);
        out.put_u2(0);
        out.put_u2(0);
        out.put_u2(self.methods.len() as u16);
        self.methods.iter().for_each(|method| out.put(method));
        out.put_u2(0);
        out
    }
}

/// The parts of a Code attribute.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TestCode {
    pub max_stack: u16,
    pub bytes: Vec<u8>,
    /// Start, end, handler, type.
    pub exceptions: Vec<[u16; 4]>,
    pub attributes: Vec<(&'static str, Vec<u8>)>,
}

impl TestCode {
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self { max_stack: 2, bytes: bytes.into(), ..Self::default() }
    }

    pub fn with(mut self, name: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.attributes.push((name, body.into()));
        self
    }
}

/// The bytes of 16-bit items.
pub fn u2s(items: &[u16]) -> Vec<u8> {
    items.iter().flat_map(|item| item.to_be_bytes()).collect()
}

/// `nop`s, which no test code contains: a snippet that is easy to find.
pub const NOP: u8 = 0;

/// A class with the one method `m()V`.
pub fn class_of(code: TestCode) -> Vec<u8> {
    let mut class = Assembler::class("T", "java/lang/Object");
    class.method(8, "m", "()V", Some(code));
    class.bytes()
}

/// Splices `entry` and `before_return` nops into the code and reads the result back.
pub fn rewrite(code: TestCode, entry: usize, before_return: usize) -> Result<TestCode, Refusal> {
    rewrite_at(code, &[(Where::Entry, entry), (Where::Return, before_return)])
}

/// Splices these numbers of nops into the code and reads the result back.
pub fn rewrite_at(code: TestCode, nops: &[(Where, usize)]) -> Result<TestCode, Refusal> {
    let before = class_of(code);
    let mut class = ClassFile::parse(&before)?;
    for (at, nops) in nops.iter().copied() {
        class.methods_mut()[0].splice(Splice { at, code: vec![NOP; nops], stack: 0 })?;
    }
    let after = class.to_bytes()?;
    read_back(&after)
}

/// Takes the code of `m()V` apart again, with slices and offsets only.
fn read_back(bytes: &[u8]) -> Result<TestCode, Refusal> {
    let class = ClassFile::parse(bytes)?;
    let names = ["StackMapTable", "LineNumberTable", "LocalVariableTable", "CharacterRangeTable"];
    let names =
        names.iter().chain(&["LocalVariableTypeTable", "RuntimeVisibleTypeAnnotations", "Unknown"]);
    let marker = bytes.windows(6).position(|window| window == b"before").unwrap();
    let u2 = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u4 = |at: usize| {
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
    };
    let code = marker + 6 + 6;
    let len = u4(code + 4);
    let mut at = code + 8 + len;
    let exceptions =
        (0..usize::from(u2(at))).map(|i| [0, 2, 4, 6].map(|o| u2(at + 2 + 8 * i + o))).collect();
    at += 2 + 8 * usize::from(u2(at));
    let mut attributes = Vec::new();
    let count = u2(at);
    at += 2;
    for _ in 0..count {
        let name = class.pool().utf8(u2(at)).unwrap();
        let name = names.clone().find(|known| known.as_bytes() == name).unwrap();
        attributes.push((*name, bytes[at + 6..at + 6 + u4(at + 2)].to_vec()));
        at += 6 + u4(at + 2);
    }
    assert_eq!(&bytes[at + 6..at + 11], b"after");
    Ok(TestCode {
        max_stack: u2(code),
        bytes: bytes[code + 8..code + 8 + len].to_vec(),
        exceptions,
        attributes,
    })
}
