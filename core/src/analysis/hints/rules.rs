//! The table of hints: which shape of a finding gives which hint.
//!
//! Invariant: the first hint that applies is given, so specific shapes precede general ones.

use super::HintInput;
use crate::analysis::history::Direction;
use crate::analysis::source_names;
use crate::analysis::transparent::is_transparent;
use crate::model::{Frame, Kind};
use crate::wording::hint;

/// One row of the table.
pub(super) struct Hint {
    /// What reports call it (`hint_id` in JSON); never changes.
    pub(super) id: &'static str,
    /// Whether the shape of a finding is the one that the hint is about.
    pub(super) applies: fn(&HintInput<'_>) -> bool,
    /// The sentence.
    pub(super) message: fn(&HintInput<'_>) -> String,
}

/// The release from which on Inflater and Deflater are `AutoCloseable`.
const CLOSEABLE: u32 = 25;

/// Certain leaks first, specific shapes before general ones; then suspects.
pub(super) static HINTS: &[Hint] = &[
    // A stream of an entry of a `ZipFile` was not closed, and probably will not be.
    Hint {
        id: "entry-stream-not-closed",
        applies: |input| {
            let may_be_pool = input.goes(&[Direction::Flat, Direction::FlatAbout]);
            input.stats.kind == Kind::ZipEntry
                && !input.blame_frame.jdk
                && (input.leaks() || !may_be_pool)
        },
        message: |input| {
            let giver = input
                .giver()
                .map_or_else(|| "ZipFile.getInputStream()".into(), source_names::method);
            hint::entry_stream_not_closed(&input.site(), &giver, input.some_are_ended())
        },
    },
    // An archive or a stream of an entry was not closed: the archive pools its Inflaters.
    Hint {
        id: "zip-file-not-closed",
        applies: |input| input.leaks() && input.makers.iter().any(|frame| pools(frame).is_some()),
        message: |input| {
            let archive = input.makers.iter().find_map(|frame| pools(frame));
            hint::zip_file_not_closed(archive.unwrap_or_default())
        },
    },
    // The finalizer or Cleaner of the object around it called `end()`: from JDK 12 on, Inflaters
    // and Deflaters have no finalizer that does.
    Hint {
        id: "owner-left-to-finalizer",
        applies: |input| input.leaks() && input.release_is(12..) && input.mostly_late(),
        message: |input| hint::owner_left_to_finalizer(input.kind(), &input.site()),
    },
    // One instance is ended twice, another one never.
    Hint {
        id: "wrong-instance-ended",
        applies: |input| {
            input.leaks()
                && input.nothing_ends_them()
                && input.stream().is_none()
                && input.ends_again().is_some()
        },
        message: |input| {
            let line = input.ends_again().map(|double_end| source_names::method(&double_end.frame));
            let line = line.unwrap_or_default();
            hint::wrong_instance_ended(&line, input.kind(), &input.site())
        },
    },
    // It came from a pool, and was lost by the caller that the pool gave it to.
    Hint {
        id: "pool-not-given-back",
        applies: |input| input.leaks() && input.pool.is_some(),
        message: |input| {
            let taken = input.pool.map(|pool| source_names::method(pool.taken)).unwrap_or_default();
            hint::pool_not_given_back(&input.site(), input.kind(), &taken)
        },
    },
    // The value of a ThreadLocal, which goes with its thread.
    Hint {
        id: "thread-local-not-ended",
        applies: |input| input.leaks() && input.is_thread_local && input.stream().is_none(),
        message: |input| hint::thread_local_not_ended(&input.site(), input.kind()),
    },
    // A class of the JDK that never ends what it creates.
    Hint {
        id: "jdk-never-ends",
        applies: |input| input.leaks() && input.defect().is_some(),
        message: |input| {
            let (class, instead) =
                input.defect().map_or(("", ""), |defect| (defect.class, defect.instead));
            hint::jdk_never_ends(class, input.kind(), instead)
        },
    },
    // The frames that would tell were not kept.
    Hint {
        id: "stack-truncated",
        applies: |input| input.leaks() && input.blame_frame.jdk && input.is_truncated,
        message: |_| hint::stack_truncated(),
    },
    // No frame of the application is on the stack.
    Hint {
        id: "jdk-only",
        applies: |input| input.leaks() && input.blame_frame.jdk,
        message: |input| hint::jdk_only(&input.site()),
    },
    // One of several callers of a line loses what it gets; it may be an object around it.
    Hint {
        id: "caller-does-not-close",
        applies: |input| input.leaks() && input.others_end_theirs && input.got().is_some(),
        message: |input| {
            let Some(from) = input.got() else { return String::new() };
            let thing = input.stream().unwrap_or(input.kind());
            match from.method.as_str() {
                "<init>" => hint::caller_does_not_close(&input.site(), &source_names::class(from)),
                _ => hint::caller_does_not_end(&input.site(), thing, &source_names::method(from)),
            }
        },
    },
    // A `GZIPInputStream` whose constructor may throw (JDK-8210471).
    Hint {
        id: "gzip-constructor-throws",
        applies: |input| {
            input.leaks() && input.stream() == Some("GZIPInputStream") && input.constructor_loses()
        },
        message: |input| hint::gzip_constructor_throws(&input.site(), input.some_are_ended()),
    },
    // A stream of the JDK that compresses or decompresses what is written to it.
    Hint {
        id: "output-stream-not-closed",
        applies: |input| {
            input.leaks() && input.stream().is_some_and(|name| name.ends_with("OutputStream"))
        },
        message: |input| {
            let stream = input.stream().unwrap_or_default();
            let some_are_ended = input.some_are_ended();
            hint::output_stream_not_closed(stream, input.kind(), &input.site(), some_are_ended)
        },
    },
    // A stream of the JDK that is read from.
    Hint {
        id: "input-stream-not-closed",
        applies: |input| input.leaks() && input.stream().is_some(),
        message: |input| {
            let stream = input.stream().unwrap_or_default();
            let some_are_ended = input.some_are_ended();
            hint::input_stream_not_closed(stream, input.kind(), &input.site(), some_are_ended)
        },
    },
    // A subclass of Inflater or Deflater, which may hide `end()`.
    Hint {
        id: "subclass-not-ended",
        applies: |input| input.leaks() && input.class.is_some() && input.nothing_ends_them(),
        message: |input| {
            let is_closeable = input.release_is(CLOSEABLE..);
            hint::subclass_not_ended(&input.subclass(), input.kind(), is_closeable)
        },
    },
    // The runtime of another language is on the stack, and nothing that it has compiled or that
    // called it.
    Hint {
        id: "script-creates-it",
        applies: |input| {
            input.leaks() && !input.blame_frame.jdk && is_transparent(input.blame_frame)
        },
        message: |input| hint::script_creates_it(&input.site(), input.kind()),
    },
    // Created by a class of the JDK that is not a stream of `java.util.zip`.
    Hint {
        id: "jdk-object-not-closed",
        applies: |input| input.leaks() && input.maker().is_some_and(|frame| frame.jdk),
        message: |input| {
            let class = input.maker().map(|frame| frame.class.as_str()).unwrap_or_default();
            hint::jdk_object_not_closed(&input.site(), class, input.kind())
        },
    },
    // Created in a constructor; none was ended, so the class has probably no `close()`.
    Hint {
        id: "owner-without-close",
        applies: |input| input.leaks() && input.is_in_constructor() && input.nothing_ends_them(),
        message: |input| hint::owner_without_close(&input.owner(), input.kind()),
    },
    // Created in a constructor; some were ended.
    Hint {
        id: "owner-not-always-closed",
        applies: |input| input.leaks() && input.is_in_constructor(),
        message: |input| hint::owner_not_always_closed(&input.owner(), input.kind()),
    },
    // Created by a method that probably returns it or keeps it, alone or in a stream.
    Hint {
        id: "outlives-its-creator",
        applies: |input| input.leaks() && input.outlives_creator(),
        message: |input| {
            let some_are_ended = input.some_are_ended();
            hint::outlives_its_creator(input.kind(), &input.site(), some_are_ended)
        },
    },
    // Created by the application itself, where Inflater and Deflater are `AutoCloseable` (JDK 25).
    Hint {
        id: "use-try-with-resources",
        applies: |input| input.leaks() && input.release_is(CLOSEABLE..) && input.is_java(),
        message: |input| {
            let some_are_ended = input.some_are_ended();
            hint::use_try_with_resources(input.kind(), &input.site(), some_are_ended)
        },
    },
    // Created by the application itself.
    Hint {
        id: "end-not-called",
        applies: |input| input.leaks(),
        message: |input| hint::call_end(input.kind(), &input.site(), input.some_are_ended()),
    },
    // The number of live instances is flat.
    Hint {
        id: "possible-pool",
        applies: |input| input.goes(&[Direction::Flat, Direction::FlatAbout]),
        message: |input| {
            let class = input.pool.map_or(input.blame_frame, |pool| pool.taken).class.as_str();
            hint::possible_pool(class, input.stats.tally.live)
        },
    },
    // The number of live instances grows.
    Hint {
        id: "growing",
        applies: |input| input.goes(&[Direction::Grew, Direction::GrewLately]),
        message: |input| hint::growing(input.kind(), &input.site()),
    },
];

/// A class of the JDK that never ends the instances that it creates.
pub(super) struct Defect {
    pub(super) class: &'static str,
    /// What the application can do instead; empty if nothing is known.
    pub(super) instead: &'static str,
}

/// Those that the suite `known_leaks` has found in all releases from 8 to 28 that have the class.
/// Each names what has been seen to leak nothing.
pub(super) const DEFECTS: [Defect; 3] = [
    Defect {
        class: "com.sun.imageio.plugins.tiff.TIFFDeflater",
        instead: "the compression types LZW and PackBits do not use it",
    },
    Defect { class: "com.sun.imageio.plugins.tiff.TIFFDeflateDecompressor", instead: "" },
    Defect { class: "sun.awt.image.PNGImageDecoder", instead: "ImageIO.read() does not use it" },
];

/// What takes its Inflaters from a pool there, if that is an archive of the JDK.
fn pools(frame: &Frame) -> Option<&'static str> {
    let (package, class) = frame.class.rsplit_once('.')?;
    match package {
        _ if frame.method != "getInflater" => None,
        "java.util.zip" => class.starts_with("ZipFile").then_some("ZipFile"),
        "jdk.nio.zipfs" | "com.sun.nio.zipfs" => Some("zip FileSystem"),
        _ => None,
    }
}
