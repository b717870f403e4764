//! The bytes of the class by which Java code reaches the agent.

use crate::helper::{Constants, NATIVE, PUBLIC_FINAL_SUPER_SYNTHETIC, PUBLIC_STATIC};
use zaudit_classfile::bytes::Put;

/// The class, in the boot loader, so that code of every class loader finds the same one. The API
/// (`java/agent`) looks its methods up by name.
pub const QUERIES_CLASS: &str = "zaudit/Queries";

/// A native method of that class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Whether an audit is under way.
    IsArmed,
    /// Takes a mark.
    Mark,
    /// Gives a mark back.
    Release,
    /// What was made since a mark and is not ended.
    OpenSince,
    /// Everything else, by name, with an argument.
    Answer,
}

impl Query {
    /// All of them; the class has a native method for each.
    pub const ALL: [Self; 5] =
        [Self::IsArmed, Self::Mark, Self::Release, Self::OpenSince, Self::Answer];

    /// Name of the native method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::IsArmed => "isArmed",
            Self::Mark => "mark",
            Self::Release => "release",
            Self::OpenSince => "openSince",
            Self::Answer => "answer",
        }
    }

    /// Descriptor of the native method.
    pub const fn descriptor(self) -> &'static str {
        match self {
            Self::IsArmed => "()Z",
            Self::Mark => "()J",
            Self::Release => "(J)V",
            Self::OpenSince => "(J)Ljava/lang/String;",
            Self::Answer => "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;",
        }
    }
}

/// The bytes of `public final synthetic class zaudit/Queries`: a `public static native` method for
/// each [`Query`].
pub fn queries_class() -> Vec<u8> {
    let mut constants = Constants::default();
    let this = constants.class(QUERIES_CLASS);
    let object = constants.class("java/lang/Object");
    let mut methods = Vec::new();
    for query in Query::ALL {
        methods.put_u2(PUBLIC_STATIC | NATIVE);
        methods.put_u2(constants.text(query.method()));
        methods.put_u2(constants.text(query.descriptor()));
        methods.put_u2(0);
    }
    constants.class_file(PUBLIC_FINAL_SUPER_SYNTHETIC, [this, object], (Query::ALL.len(), &methods))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zaudit_classfile::ClassFile;

    #[test]
    fn it_has_every_query() {
        let bytes = queries_class();
        let class = ClassFile::parse(&bytes).unwrap();
        assert_eq!(class.name(), QUERIES_CLASS);
        for (method, query) in class.methods().iter().zip(Query::ALL) {
            let expected = (query.method(), query.descriptor());
            assert_eq!((method.name(), method.descriptor()), expected);
            assert!(method.is_static() && method.code().is_none());
        }
        assert_eq!(class.methods().len(), Query::ALL.len());
    }
}
