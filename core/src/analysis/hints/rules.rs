//! The table of hints: which shape says what.
//!
//! Leaves to others what is a shape. Invariant: the first rule that fits speaks, so what is telling stands before what is common.

use super::{HintInput, called};
use crate::analysis::history::Direction;
use crate::analysis::rules::in_jdk;
use crate::model::Frame;

/// One row.
pub(super) struct Hint {
    pub(super) applies: fn(&HintInput<'_>) -> bool,
    pub(super) message: fn(&HintInput<'_>) -> String,
}

/// Certain leaks first, the most telling shapes before the common ones; then what is still open.
pub(super) static HINTS: &[Hint] = &[
    Hint {
        // Pooled by ZipFile.
        applies: |input| input.leaks() && input.makers.iter().any(|frame| pools(frame)),
        message: |_| {
            "a ZipFile or an entry stream was not closed; ZipFile pools its Inflaters, so another caller may have lost it"
                .into()
        },
    },
    Hint {
        // An owner's finalizer or Cleaner: from JDK 12 on the streams themselves have none that calls end().
        applies: |input| input.leaks() && input.release_is(12..) && input.mostly_late(),
        message: |input| {
            format!(
                "whatever {} keeps it in was left to its own finalizer or Cleaner: close that object",
                input.blame_frame()
            )
        },
    },
    Hint {
        // One is ended twice where another is forgotten.
        applies: |input| {
            input.leaks()
                && input.nothing_ends_them()
                && input.stream().is_none()
                && input.ends_again().is_some()
        },
        message: |input| {
            let line = input.ends_again().map(|double_end| called(&double_end.frame)).unwrap_or_default();
            format!(
                "{line} calls end() on what is ended already: probably on the wrong one, and forgets the {} that {} makes",
                input.kind(),
                input.blame_frame()
            )
        },
    },
    Hint {
        // A GZIPInputStream whose constructor may throw.
        applies: |input| input.leaks() && input.stream() == Some("GZIPInputStream") && input.release_is(..21),
        message: |input| {
            let somewhere = input.somewhere();
            format!(
                "close the GZIPInputStream that {} makes{somewhere}; where its constructor throws (data that is not gzip) its \
                 Inflater is lost before JDK 21 (JDK-8210471)",
                input.blame_frame()
            )
        },
    },
    Hint {
        // An output stream.
        applies: |input| input.leaks() && input.stream().is_some_and(|name| name.ends_with("OutputStream")),
        message: |input| {
            let (stream, somewhere) = (input.stream().unwrap_or_default(), input.somewhere());
            format!(
                "close the {stream} that {} makes{somewhere}: finish() and flush() do not end its {}, close() does",
                input.blame_frame(),
                input.kind()
            )
        },
    },
    Hint {
        // An input stream.
        applies: |input| input.leaks() && input.stream().is_some(),
        message: |input| {
            let (stream, somewhere) = (input.stream().unwrap_or_default(), input.somewhere());
            format!(
                "close the {stream} that {} makes{somewhere}: to read it to its end does not end its {}",
                input.blame_frame(),
                input.kind()
            )
        },
    },
    Hint {
        // A subclass.
        applies: |input| input.leaks() && input.class.is_some() && input.nothing_ends_them(),
        message: |input| {
            let class = input.class.unwrap_or_default();
            format!("call end(); and if {class} overrides end(), that has to call super.end()")
        },
    },
    Hint {
        // No frame of the program's.
        applies: |input| input.leaks() && in_jdk(&input.blame_frame.class) && input.stream().is_none(),
        message: |input| {
            format!(
                "{} is the JDK's own, and so is all that calls it: probably a defect of the JDK, which less use of that class \
                 avoids",
                input.blame_frame()
            )
        },
    },
    Hint {
        // Made inside the JDK.
        applies: |input| input.leaks() && input.maker().is_some_and(|frame| in_jdk(&frame.class)),
        message: |input| {
            let class = input.maker().map(|frame| frame.class.as_str()).unwrap_or_default();
            format!(
                "close what {} got from the JDK, whose {class} makes it; if all of that is closed it is probably a defect of the \
                 JDK",
                input.blame_frame()
            )
        },
    },
    Hint {
        // Kept by an object from its constructor on.
        applies: |input| input.leaks() && input.blame_frame.method == "<init>",
        message: |input| {
            let class = input.class_of_blame_frame();
            if input.nothing_ends_them() {
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
    Hint {
        // Made directly, with try-with-resources.
        applies: |input| input.leaks() && input.release_is(25..),
        message: |input| {
            let kind = input.kind();
            format!(
                "try ({kind} z = new {kind}(…)) in {} ends it on every path; a stream that was given it does not end it when it \
                 is closed",
                input.blame_frame()
            )
        },
    },
    Hint {
        // Made directly.
        applies: |input| input.leaks(),
        message: |input| {
            format!(
                "call end() in a finally block{} in {}; a stream that was given it does not end it when it is closed",
                input.somewhere(),
                input.blame_frame()
            )
        },
    },
    Hint {
        // A pool.
        applies: |input| input.goes(&[Direction::Flat, Direction::FlatAbout]),
        message: |input| {
            let live = input.stats.tally.live;
            format!(
                "if it is a pool, a rule says so: live:{}.* max={live} in a file of suppressions",
                input.blame_frame.class
            )
        },
    },
    Hint {
        // A climb.
        applies: |input| input.goes(&[Direction::Grew, Direction::GrewLately]),
        message: |input| {
            format!(
                "find what keeps them after {} has made them (gc_roots=3 shows it), and end them there",
                input.blame_frame()
            )
        },
    },
];

/// Where `ZipFile` takes its Inflaters from.
fn pools(frame: &Frame) -> bool {
    frame.class.starts_with("java.util.zip.ZipFile") && frame.method == "getInflater"
}
