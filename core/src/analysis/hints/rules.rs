//! The table of hints: which shape says what.
//!
//! Leaves to others what is a shape. Invariant: the first rule that fits speaks, so what is telling stands before what is common.

use super::{Case, called};
use crate::analysis::history::Way;
use crate::analysis::rules::in_jdk;
use crate::model::Frame;

/// One row.
pub(super) struct Rule {
    pub(super) fits: fn(&Case<'_>) -> bool,
    pub(super) says: fn(&Case<'_>) -> String,
}

/// Certain leaks first, the most telling shapes before the common ones; then what is still open.
pub(super) static RULES: &[Rule] = &[
    Rule {
        // Pooled by ZipFile.
        fits: |case| case.leaks() && case.makers.iter().any(|frame| pools(frame)),
        says: |_| {
            "a ZipFile or an entry stream was not closed; ZipFile pools its Inflaters, so another caller may have lost it"
                .into()
        },
    },
    Rule {
        // An owner's finalizer or Cleaner: from JDK 12 on the streams themselves have none that calls end().
        fits: |case| case.leaks() && case.release_is(12..) && case.mostly_late(),
        says: |case| {
            format!(
                "whatever {} keeps it in was left to its own finalizer or Cleaner: close that object",
                case.culprit()
            )
        },
    },
    Rule {
        // One is ended twice where another is forgotten.
        fits: |case| {
            case.leaks() && case.nothing_ends_them() && case.stream().is_none() && case.ends_again().is_some()
        },
        says: |case| {
            let line = case.ends_again().map(|ender| called(&ender.frame)).unwrap_or_default();
            format!(
                "{line} calls end() on what is ended already: probably on the wrong one, and forgets the {} that {} makes",
                case.kind(),
                case.culprit()
            )
        },
    },
    Rule {
        // A GZIPInputStream whose constructor may throw.
        fits: |case| case.leaks() && case.stream() == Some("GZIPInputStream") && case.release_is(..21),
        says: |case| {
            let somewhere = case.somewhere();
            format!(
                "close the GZIPInputStream that {} makes{somewhere}; where its constructor throws (data that is not gzip) its \
                 Inflater is lost before JDK 21 (JDK-8210471)",
                case.culprit()
            )
        },
    },
    Rule {
        // An output stream.
        fits: |case| case.leaks() && case.stream().is_some_and(|name| name.ends_with("OutputStream")),
        says: |case| {
            let (stream, somewhere) = (case.stream().unwrap_or_default(), case.somewhere());
            format!(
                "close the {stream} that {} makes{somewhere}: finish() and flush() do not end its {}, close() does",
                case.culprit(),
                case.kind()
            )
        },
    },
    Rule {
        // An input stream.
        fits: |case| case.leaks() && case.stream().is_some(),
        says: |case| {
            let (stream, somewhere) = (case.stream().unwrap_or_default(), case.somewhere());
            format!(
                "close the {stream} that {} makes{somewhere}: to read it to its end does not end its {}",
                case.culprit(),
                case.kind()
            )
        },
    },
    Rule {
        // A subclass.
        fits: |case| case.leaks() && case.class.is_some() && case.nothing_ends_them(),
        says: |case| {
            let class = case.class.unwrap_or_default();
            format!("call end(); and if {class} overrides end(), that has to call super.end()")
        },
    },
    Rule {
        // No frame of the program's.
        fits: |case| case.leaks() && in_jdk(&case.culprit.class) && case.stream().is_none(),
        says: |case| {
            format!(
                "{} is the JDK's own, and so is all that calls it: probably a defect of the JDK, which less use of that class \
                 avoids",
                case.culprit()
            )
        },
    },
    Rule {
        // Made inside the JDK.
        fits: |case| case.leaks() && case.maker().is_some_and(|frame| in_jdk(&frame.class)),
        says: |case| {
            let class = case.maker().map(|frame| frame.class.as_str()).unwrap_or_default();
            format!(
                "close what {} got from the JDK, whose {class} makes it; if all of that is closed it is probably a defect of the \
                 JDK",
                case.culprit()
            )
        },
    },
    Rule {
        // Kept by an object from its constructor on.
        fits: |case| case.leaks() && case.culprit.method == "<init>",
        says: |case| {
            let class = case.class_of_culprit();
            if case.nothing_ends_them() {
                format!(
                    "{class} makes it while it is constructed: probably it needs a close() that calls end(), and callers who call it"
                )
            } else {
                format!(
                    "{class} makes it while it is constructed, and some are ended: probably not every {class} is closed, or a constructor threw"
                )
            }
        },
    },
    Rule {
        // Made directly, with try-with-resources.
        fits: |case| case.leaks() && case.release_is(25..),
        says: |case| {
            let kind = case.kind();
            format!(
                "try ({kind} z = new {kind}(…)) in {} ends it on every path; a stream that was given it does not end it when it \
                 is closed",
                case.culprit()
            )
        },
    },
    Rule {
        // Made directly.
        fits: |case| case.leaks(),
        says: |case| {
            format!(
                "call end() in a finally block{} in {}; a stream that was given it does not end it when it is closed",
                case.somewhere(),
                case.culprit()
            )
        },
    },
    Rule {
        // A pool.
        fits: |case| case.goes(&[Way::Flat, Way::FlatAbout]),
        says: |case| {
            let live = case.verdict.tally.live;
            format!(
                "if it is a pool, a rule says so: live:{}.* max={live} in a file of suppressions",
                case.culprit.class
            )
        },
    },
    Rule {
        // A climb.
        fits: |case| case.goes(&[Way::Grew, Way::GrewLately]),
        says: |case| {
            format!(
                "find what keeps them after {} has made them (retain=3 shows it), and end them there",
                case.culprit()
            )
        },
    },
];

/// Where `ZipFile` takes its Inflaters from.
fn pools(frame: &Frame) -> bool {
    frame.class.starts_with("java.util.zip.ZipFile") && frame.method == "getInflater"
}
