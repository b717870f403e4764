//! GetStackTrace: raw frames and their key, and their names when a key is new.
//!
//! Invariant: a key stands for one stack; names are read while the stack is still on the thread, so
//! that its classes cannot be unloaded.

use super::walk::WalkKey;
use crate::state::context::Context;
use crate::state::frame_names::FrameName;
use crate::sys::allocator;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Jvmti, Line, Result, jclass, jvmtiError, jvmtiFrameInfo};
use std::mem::MaybeUninit;
use zaudit_core::model::{Frame, FrameId, OutOfMemory, Stack};
use zaudit_core::options::MAX_DEPTH;

/// Fits the deepest stack that `depth` allows, a frame of ours, and one more frame, which shows
/// that a stack was cut.
pub(crate) type Buffer = [MaybeUninit<jvmtiFrameInfo>; MAX_DEPTH + 2];

/// A raw stack.
pub(crate) struct Raw<'a> {
    pub(crate) key: WalkKey,
    /// The frames that are kept.
    frames: &'a [jvmtiFrameInfo],
    truncated: bool,
    /// All frames that were read.
    all: &'a [jvmtiFrameInfo],
    /// Whether there may be more.
    cut: bool,
}

impl Raw<'_> {
    /// The frames that were read, and whether there may be more.
    pub(crate) fn all(&self) -> (&[jvmtiFrameInfo], bool) {
        (self.all, self.cut)
    }
}

/// The current thread's stack without the first frames, which are ours: the callback's own, and
/// `above` more. `depth` frames are kept, or only those before `end`. `all` reads also frames that
/// are not kept. `salt` is what else the key depends on.
#[inline]
pub(crate) fn capture<'a>(
    jvmti: Jvmti,
    above: usize,
    (depth, end): (usize, Option<usize>),
    all: bool,
    salt: u64,
    buffer: &'a mut Buffer,
) -> Result<Raw<'a>> {
    let room = if all { buffer.len() } else { above + depth + 1 };
    let (room, _) = buffer.split_at_mut_checked(room).ok_or(jvmtiError::INTERNAL)?;
    let length = room.len();
    let frames = jvmti.frames(std::ptr::null_mut(), 1, room)?;
    let (_, theirs) = frames.split_at_checked(above).unwrap_or((frames, &[]));
    let theirs = end.and_then(|end| theirs.get(..end)).unwrap_or(theirs);
    let (kept, cut) = theirs.split_at_checked(depth).unwrap_or((theirs, &[]));
    let key = key(kept, !cut.is_empty(), salt);
    let truncated = !cut.is_empty();
    Ok(Raw { key, frames: kept, truncated, all: frames, cut: frames.len() == length })
}

/// Hashes methods and positions, whose names stay the same (see `state::frame_names`).
fn key(frames: &[jvmtiFrameInfo], truncated: bool, salt: u64) -> WalkKey {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product >> 64) as u64 ^ product as u64
    };
    // Odd factors: two salts never begin alike.
    let begin = salt.wrapping_mul(2).wrapping_add(u64::from(truncated));
    let mut key = 0x9e37_79b9_7f4a_7c15 ^ begin.wrapping_mul(0xd6e8_feb8_6659_fd93);
    for frame in frames {
        let location = frame.location.cast_unsigned();
        key = fold(key ^ frame.method as u64, 0xa076_1d64_78bd_642f ^ location.rotate_left(32));
        key ^= location;
    }
    WalkKey(key)
}

/// The frames of a raw stack by their names. A name that cannot be read is `?` and is counted in
/// `health`. `version` was read before the stack (see `state::redefinitions`).
#[cold]
pub(crate) fn resolve(
    Context { agent, audit, jni }: Context<'_>,
    raw: &Raw<'_>,
    version: u64,
    subclass: Option<String>,
) -> std::result::Result<Stack<FrameId>, OutOfMemory> {
    let mut names = Vec::new();
    names.try_reserve_exact(raw.frames.len())?;
    let ids = raw.frames.iter().map(|frame| (frame.method as usize, frame.location));
    audit.frame_names.find(version, ids, |name| names.push(name));
    let mut frames = Vec::new();
    frames.try_reserve_exact(raw.frames.len())?;
    for (frame, name) in raw.frames.iter().zip(names) {
        let name = match name {
            Some(name) => name,
            None if allocator::is_pressed() => return Err(OutOfMemory),
            None => match resolve_frame(agent.jvmti, jni, frame) {
                Ok(named) => {
                    let name = match named {
                        Some(named) => FrameName::Frame(audit.session.frame(named)?),
                        None => FrameName::Hidden,
                    };
                    let id = (frame.method as usize, frame.location);
                    audit.frame_names.enter(version, id, name);
                    name
                }
                // There may be memory for its name the next time.
                Err(jvmtiError::OUT_OF_MEMORY) => return Err(OutOfMemory),
                Err(_) => {
                    audit.session.record_unreadable("a frame's method could not be read");
                    FrameName::Frame(audit.session.frame(Frame::named("?", "?"))?)
                }
            },
        };
        if let FrameName::Frame(id) = name {
            frames.push(id);
        }
    }
    Ok(Stack { frames, truncated: raw.truncated, subclass })
}

/// None for a frame that Java's own stack traces hide as well.
fn resolve_frame(jvmti: Jvmti, jni: Jni, frame: &jvmtiFrameInfo) -> Result<Option<Frame>> {
    let class = jvmti.declaring_class(frame.method)?;
    let named = class_name(jvmti, class)
        .and_then(|name| Ok((name, jvmti.source_file(class)?, is_of_jdk(jvmti, jni, class)?)));
    jni.delete_local(class);
    let (class, file, jdk) = named?;
    if class.starts_with("java.lang.invoke.LambdaForm") {
        return Ok(None);
    }
    let method = jvmti.method_name(frame.method)?;
    let line = jvmti.lines(frame.method)?.and_then(|lines| line_at(&lines, frame.location));
    Ok(Some(Frame { class, method, file, line, jdk }))
}

/// Whether a class is the JDK's own. This calls no Java code: a loader is recognised by its class,
/// which must come from the boot loader.
pub(crate) fn is_of_jdk(jvmti: Jvmti, jni: Jni, class: jclass) -> Result<bool> {
    /// The platform loader, until JDK 8 that of extensions, and those of the accessors that
    /// reflection generates.
    const LOADERS: [&str; 4] = [
        "Ljdk/internal/loader/ClassLoaders$PlatformClassLoader;",
        "Lsun/misc/Launcher$ExtClassLoader;",
        "Ljdk/internal/reflect/DelegatingClassLoader;",
        "Lsun/reflect/DelegatingClassLoader;",
    ];
    let loader = jvmti.class_loader(class)?;
    if loader.is_null() {
        return Ok(true);
    }
    let class_of_loader = jni.class_of(loader);
    let found = jvmti.class_signature(class_of_loader).and_then(|name| {
        if !LOADERS.contains(&name.as_str()) {
            return Ok(false);
        }
        let outer = jvmti.class_loader(class_of_loader)?;
        jni.delete_local(outer);
        Ok(outer.is_null())
    });
    jni.delete_local(class_of_loader);
    jni.delete_local(loader);
    found
}

/// The name of a class as it is in reports.
pub(crate) fn class_name(jvmti: Jvmti, class: jclass) -> Result<String> {
    Ok(stable_name(&jvmti.class_signature(class)?))
}

/// `Lorg/acme/Codec$1;` → `org.acme.Codec$1`, without the numbers that differ from run to run: the
/// address of a hidden class (`Main$$Lambda.0x00007f…`; up to JDK 14, its hash code after a slash),
/// the counter of a lambda, of a generated accessor or of a proxy.
fn stable_name(signature: &str) -> String {
    let name =
        signature.strip_prefix('L').and_then(|name| name.strip_suffix(';')).unwrap_or(signature);
    // In a signature slashes separate packages; the address of a hidden class follows a dot.
    let name = name.split('.').next().unwrap_or(name);
    let is_hash = |last: &str| last.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('/') {
        Some((host, last)) if is_hash(last) => host,
        _ => name,
    };
    let name = name.replace('/', ".");
    if let Some(end) = name.find("$$Lambda") {
        return format!("{}$$Lambda", name.get(..end).unwrap_or(&name));
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.starts_with("sun.reflect.Generated")
        || stem.starts_with("jdk.internal.reflect.Generated")
        || stem.ends_with("$Proxy")
    {
        return stem.to_owned();
    }
    name
}

/// The line of the last entry at or before a position; native methods have the position -1.
fn line_at(lines: &[Line], location: i64) -> Option<u32> {
    lines
        .iter()
        .filter(|line| line.start <= location)
        .max_by_key(|line| line.start)
        .map(|line| line.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_the_same_in_every_run() {
        for (signature, name) in [
            ("Lorg/acme/Codec$1;", "org.acme.Codec$1"),
            ("LMain;", "Main"),
            ("LMain$$Lambda$14.0x0000000800c03000;", "Main$$Lambda"),
            ("LMain$$Lambda.0x0000000800c03000;", "Main$$Lambda"),
            ("LMain$$Lambda$1;", "Main$$Lambda"),
            ("LMain$$Lambda$1/12345;", "Main$$Lambda"),
            ("Lorg/acme/Hidden.0x000001;", "org.acme.Hidden"),
            ("Lorg/acme/Hidden/53853524;", "org.acme.Hidden"),
            (
                "Lsun/reflect/GeneratedConstructorAccessor7;",
                "sun.reflect.GeneratedConstructorAccessor",
            ),
            ("Ljdk/proxy2/$Proxy12;", "jdk.proxy2.$Proxy"),
            ("Lorg/acme/Sha256;", "org.acme.Sha256"),
        ] {
            assert_eq!(stable_name(signature), name);
        }
    }

    #[test]
    fn lines_are_found_in_unsorted_tables() {
        let lines: Vec<_> =
            [(0, 10), (8, 12), (4, 11)].map(|(start, number)| Line { start, number }).into();
        for (location, line) in
            [(-1, None), (0, Some(10)), (3, Some(10)), (5, Some(11)), (99, Some(12))]
        {
            assert_eq!(line_at(&lines, location), line);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn keys_differ_in_every_frame_and_in_their_order() {
        let frame = |method: usize, location| jvmtiFrameInfo { method: method as *mut _, location };
        let mut seen = HashSet::new();
        for a in 1..40 {
            for b in 1..40 {
                for location in 0..4 {
                    for (cut, version) in [(false, 0), (true, 0), (false, 1), (true, 1), (false, 2)]
                    {
                        let frames = [frame(a * 8, location), frame(b * 8, 7)];
                        assert!(seen.insert(key(&frames, cut, version)));
                    }
                }
            }
        }
        assert!(seen.insert(key(&[], false, 0)) && seen.insert(key(&[frame(8, 0)], false, 0)));
    }
}
