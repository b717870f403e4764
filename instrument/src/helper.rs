//! The bytes of the helper class.

use super::INVOKESTATIC;
use super::table::{ADDRESS, Callback};
use zaudit_classfile::bytes::Put;

/// The class whose static methods the hooks call. It has a package of its own, because natives
/// registered in `java.util.zip` make JDK 17 and later print a warning on stdout.
pub const HELPER_CLASS: &str = "zaudit/Hooks";

/// The methods that are not native: each calls the callback if its argument is 0.
const CHECKS: [(&str, Callback); 2] = [
    ("inflaterEnds", Callback::InflaterEndedAgain),
    ("deflaterEnds", Callback::DeflaterEndedAgain),
];

/// The method that calls this callback if its argument is 0.
pub(super) fn check_of(callback: Callback) -> &'static str {
    let check = CHECKS.iter().find(|(_, called)| *called == callback);
    check.map_or("", |(name, _)| name)
}

pub(crate) const PUBLIC_FINAL_SUPER_SYNTHETIC: u16 = 0x0001 | 0x0010 | 0x0020 | 0x1000;
pub(crate) const PUBLIC_STATIC: u16 = 0x0001 | 0x0008;
pub(crate) const NATIVE: u16 = 0x0100;

/// The constants of a class file under construction.
#[derive(Default)]
pub(crate) struct Constants {
    bytes: Vec<u8>,
    count: u16,
}

impl Constants {
    fn add(&mut self, tag: u8, body: &[u8]) -> u16 {
        self.bytes.put_u1(tag);
        self.bytes.put(body);
        self.count += 1;
        self.count
    }

    pub(crate) fn text(&mut self, text: &str) -> u16 {
        // The cast loses nothing: each name is a few bytes long.
        let length = (text.len() as u16).to_be_bytes();
        self.add(1, &[&length[..], text.as_bytes()].concat())
    }

    fn pair(&mut self, tag: u8, first: u16, second: u16) -> u16 {
        self.add(tag, &[first.to_be_bytes(), second.to_be_bytes()].concat())
    }

    pub(crate) fn class(&mut self, name: &str) -> u16 {
        let name = self.text(name);
        self.add(7, &name.to_be_bytes())
    }

    /// A class file with these constants. Version 52, which every JVM since 8 loads.
    pub(crate) fn class_file(
        &self,
        access: u16,
        [this, superclass]: [u16; 2],
        (count, methods): (usize, &[u8]),
    ) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u4(0xCAFE_BABE);
        out.put_u4(52);
        out.put_u2(self.count + 1);
        out.put(&self.bytes);
        out.put_u2(access);
        out.put_u2(this);
        out.put_u2(superclass);
        // No interfaces, no fields.
        out.put_u2(0);
        out.put_u2(0);
        // The cast loses nothing: there are a few methods.
        out.put_u2(count as u16);
        out.put(methods);
        out.put_u2(0);
        out
    }
}

/// The bytes of `public final synthetic class zaudit/Hooks`: a `public static native` method for
/// each [`Callback`], and the two that check whether an instance was ended before.
pub fn helper_class() -> Vec<u8> {
    let mut constants = Constants::default();
    let this = constants.class(HELPER_CLASS);
    let object = constants.class("java/lang/Object");
    let code = constants.text("Code");
    let frames = constants.text("StackMapTable");
    let mut methods = Vec::new();
    for callback in Callback::ALL {
        methods.put_u2(PUBLIC_STATIC | NATIVE);
        methods.put_u2(constants.text(callback.method()));
        methods.put_u2(constants.text(callback.descriptor()));
        methods.put_u2(0);
    }
    for (name, callback) in CHECKS {
        let (called, descriptor) =
            (constants.text(callback.method()), constants.text(callback.descriptor()));
        let member = constants.pair(12, called, descriptor);
        let called = constants.pair(10, this, member);
        methods.put_u2(PUBLIC_STATIC);
        methods.put_u2(constants.text(name));
        methods.put_u2(constants.text(ADDRESS));
        methods.put_u2(1);
        methods.put_u2(code);
        methods.put(&check(called, frames));
    }
    let count = Callback::ALL.len() + CHECKS.len();
    constants.class_file(PUBLIC_FINAL_SUPER_SYNTHETIC, [this, object], (count, &methods))
}

/// The Code attribute, with its length, of a method that calls `called` if its argument is 0.
fn check(called: u16, frames: u16) -> Vec<u8> {
    const LLOAD_0: u8 = 30;
    const LCONST_0: u8 = 9;
    const LCMP: u8 = 148;
    const IFNE: u8 = 154;
    const RETURN: u8 = 177;
    let [high, low] = called.to_be_bytes();
    let code = [LLOAD_0, LCONST_0, LCMP, IFNE, 0, 6, INVOKESTATIC, high, low, RETURN];
    let mut body = Vec::new();
    // Four operand slots, two local ones.
    body.put_u2(4);
    body.put_u2(2);
    body.put_u4(code.len() as u32);
    body.put(&code);
    // No handlers; one attribute.
    body.put_u2(0);
    body.put_u2(1);
    // One frame, `same`, at pc 9: the return.
    body.put_u2(frames);
    body.put_u4(3);
    body.put_u2(1);
    body.put_u1(9);
    let mut out = Vec::new();
    out.put_u4(body.len() as u32);
    out.put(&body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use zaudit_classfile::ClassFile;

    #[test]
    fn it_has_every_callback_and_both_checks() {
        let bytes = helper_class();
        let class = ClassFile::parse(&bytes).unwrap();
        assert_eq!(class.name(), HELPER_CLASS);
        let (native, checks) = class.methods().split_at(Callback::ALL.len());
        for (method, callback) in native.iter().zip(Callback::ALL) {
            let expected = (callback.method(), callback.descriptor());
            assert_eq!((method.name(), method.descriptor()), expected);
            assert!(method.is_static() && method.code().is_none());
        }
        let names: Vec<_> = checks.iter().map(|method| method.name()).collect();
        assert_eq!(names, ["inflaterEnds", "deflaterEnds"]);
        assert_eq!(check_of(Callback::DeflaterEndedAgain), "deflaterEnds");
        assert!(checks.iter().all(|check| check.is_static() && check.code().is_some()));
    }
}
