//! Which frame of a stack to look at first.
//!
//! Pure functions of one stack. Invariant: two stacks that differ in transparent frames only have
//! the same blame frame.

use crate::analysis::transparent::is_transparent;
use crate::model::Frame;
use crate::stacks::{Frames, Site};

/// Index of the blame frame of a stack, from the innermost one: the application's first frame with
/// a line of source that is not transparent. Where there is none, as near to that as there is:
/// without a line, transparent, the JDK's own outside `java.util.zip`.
pub fn blame_frame(site: &Site) -> usize {
    let first = |pick: fn(&Frame) -> bool| site.frames().position(pick);
    first(|frame| is_own(frame) && frame.line.is_some())
        .or_else(|| first(is_own))
        .or_else(|| first(|frame| !frame.jdk))
        .or_else(|| first(|frame| !frame.class.starts_with("java.util.zip.")))
        .unwrap_or(0)
}

/// Whether a frame is the application's, and may have created something of its own accord.
fn is_own(frame: &Frame) -> bool {
    !frame.jdk && !is_transparent(frame)
}

/// A pool from which a stack has taken an instance that the pool created for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool<'a> {
    /// The method of the pool that was called to take one.
    pub taken: &'a Frame,
    /// Index of the frame that called it.
    pub borrower: usize,
}

/// The pool that is on a stack. All of the application's frames between the constructor and the
/// borrower are the pool's, but for one, in which the pool's owner may create what it is to hold: a
/// pool of something else that has an instance is not meant.
pub fn pool(site: &Site) -> Option<Pool<'_>> {
    let mut own = site.frames().enumerate().filter(|(_, frame)| is_own(frame)).peekable();
    own.next_if(|(_, frame)| !is_pool(frame) && frame.method != "<init>");
    let (mut taken, mut borrower) = (None, None);
    while let Some((at, frame)) = own.next_if(|(_, frame)| is_pool(frame)) {
        if takes(frame) {
            (taken, borrower) = (Some(frame), None);
        } else if taken.is_some() && frame.line.is_some() {
            // A class may be named by the pool that it uses.
            borrower.get_or_insert(at);
        }
    }
    let next = || own.find(|(_, frame)| frame.line.is_some()).map(|(at, _)| at);
    Some(Pool { taken: taken?, borrower: borrower.or_else(next)? })
}

/// Index of the frame that has taken an instance from a pool, which is to blame if the instance is
/// lost; that of the blame frame if there is no pool.
pub fn borrower(site: &Site) -> usize {
    pool(site).map_or_else(|| blame_frame(site), |pool| pool.borrower)
}

/// Whether a frame's class is a pool by its name, and not one of something that is no instance.
fn is_pool(frame: &Frame) -> bool {
    const OTHERS: [&str; 7] =
        ["Thread", "ForkJoin", "Worker", "Executor", "Connection", "Constant", "String"];
    let of = simple(frame).split_once("Pool").map(|(of, _)| of);
    of.is_some_and(|of| !OTHERS.iter().any(|other| of.ends_with(other)))
}

/// Whether a method of a pool gives what it has to its caller, by its name.
fn takes(frame: &Frame) -> bool {
    const WORDS: [&str; 10] = [
        "acquire", "borrow", "take", "get", "obtain", "lease", "poll", "claim", "checkout",
        "checkOut",
    ];
    begins_with(frame, &WORDS)
}

/// Whether the first word of a method's name is one of these.
pub fn begins_with(frame: &Frame, words: &[&str]) -> bool {
    let rest = |word: &&str| frame.method.strip_prefix(*word);
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_lowercase());
    words.iter().filter_map(rest).any(ends)
}

/// The class's name without its package.
pub fn simple(frame: &Frame) -> &str {
    frame.class.rsplit('.').next().unwrap_or_default()
}

/// How many frames of two stacks are the same from the inside outwards, transparent ones apart: up
/// to the last one that both have, at most `most` of the first stack.
pub fn alike(one: Frames<'_>, other: Frames<'_>, most: usize) -> (usize, usize) {
    let (mut one, mut other) = (one.take(most).peekable(), other.peekable());
    let (mut seen, mut same) = ((0, 0), (0, 0));
    loop {
        match (one.peek(), other.peek()) {
            (Some(a), Some(b)) if a == b => {
                one.next();
                other.next();
                seen = (seen.0 + 1, seen.1 + 1);
                same = seen;
            }
            (Some(a), _) if is_transparent(a) => {
                one.next();
                seen.0 += 1;
            }
            (Some(_), Some(b)) if is_transparent(b) => {
                other.next();
                seen.1 += 1;
            }
            _ => return same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::tests::{MADE, stack};
    use crate::model::{Kind, Nanos, Stack, ThreadId};
    use crate::testing::Recording;
    use std::sync::Arc;
    use std::time::Duration;

    fn sites<const N: usize>(stacks: [Stack; N]) -> [Arc<Site>; N] {
        let session = Recording::default();
        let sites = stacks.map(|stack| session.learn(Kind::Inflater, stack).unwrap());
        for site in sites {
            session.record_created(session.id(), site, ThreadId(1), Nanos(0)).unwrap();
        }
        let snapshot = session.snapshot(Nanos(0), Duration::ZERO).unwrap();
        sites.map(|site| Arc::clone(&snapshot.sites[site.0 as usize].site))
    }

    /// A stack; a name that ends with `?` has no line.
    fn lined(names: &[&str]) -> Stack {
        let plain: Vec<&str> = names.iter().map(|name| name.trim_end_matches('?')).collect();
        let mut stack = stack(&plain);
        for (frame, name) in stack.frames.iter_mut().zip(names) {
            frame.line = frame.line.filter(|_| !name.ends_with('?'));
        }
        stack
    }

    #[test]
    fn the_blame_frame_is_the_applications_first_with_a_line() {
        for (frames, expected) in [
            (
                &[MADE, "java.util.zip.GZIPInputStream.<init>", "org.acme.A.b", "org.acme.C.d"][..],
                "b",
            ),
            (&[MADE, "java.util.zip.ZipFile.x", "java.util.jar.JarFile.y"], "y"),
            (&[MADE], "<init>"),
            // Reflection, a reference to a constructor, a script's runtime.
            (&[MADE, "java.lang.reflect.Constructor.newInstance", "a.Main.m"], "m"),
            (&[MADE, "a.Main$$Lambda.get?", "a.Main.m", "a.Main.n"], "m"),
            (&[MADE, "org.jruby.javasupport.JavaConstructor.x", "tmp.leak.pack"], "pack"),
            // Code that was compiled without lines, or was generated.
            (&[MADE, "a.Stripped.x?", "a.Main.m"], "m"),
            (&[MADE, "clojure.lang.Reflector.x", "a.Stripped.y?"], "y"),
            (&[MADE, "java.lang.reflect.Method.x", "org.jruby.Main.y"], "y"),
        ] {
            let [site] = sites([lined(frames)]);
            let blamed = site.frames().nth(blame_frame(&site)).unwrap();
            assert_eq!(blamed.method, expected, "{frames:?}");
        }
    }

    #[test]
    fn a_library_in_a_package_of_the_jdk_is_blamed() {
        let mut stack = stack(&[MADE, "com.sun.jersey.Codec.pack", "a.Main.m"]);
        stack.frames[1].jdk = false;
        let [site] = sites([stack]);
        assert_eq!(blame_frame(&site), 1);
    }

    #[test]
    fn a_pool_is_known_by_the_method_that_takes() {
        for (frames, found) in [
            (
                &[MADE, "j.InflaterPool.newPooled", "j.CompressionPool.acquire", "j.Gzip.<init>"][..],
                Some(("acquire", 3)),
            ),
            // The owner of the pool creates what the pool holds.
            (
                &[MADE, "a.Factory.make", "b.ObjectPool.borrowObject", "a.Main.m"],
                Some(("borrowObject", 3)),
            ),
            (
                &[MADE, "a.Main.lambda$0", "a.Main$$Lambda.get?", "b.Pool.take", "a.Main.m"],
                Some(("take", 4)),
            ),
            (
                &[MADE, "b.Pool.get", "java.util.Optional.map", "a.X.y?", "a.Main.m"],
                Some(("get", 4)),
            ),
            // A class that is named by the pool that it uses.
            (&[MADE, "b.Pool.make", "b.Pool.get", "a.PoolUser.x", "a.Main.m"], Some(("get", 3))),
            // No borrower, nothing that takes, or a pool of something else.
            (&[MADE, "b.Pool.get"], None),
            (&[MADE, "b.Pool.fill", "a.Main.m"], None),
            (&[MADE, "b.Pool.getter", "a.Main.m"], None),
            (&[MADE, "b.ThreadPool.take", "a.Main.m"], None),
            (&[MADE, "b.ConnectionPool.get", "a.Main.m"], None),
            (&[MADE, "a.Codec.<init>", "b.Pool.get", "a.Main.m"], None),
            (&[MADE, "a.Codec.x", "a.Codec.y", "b.Pool.get", "a.Main.m"], None),
            (&[MADE, "a.Main.m", "a.Main.n"], None),
        ] {
            let [site] = sites([lined(frames)]);
            let pool = pool(&site).map(|pool| (pool.taken.method.as_str(), pool.borrower));
            assert_eq!(pool, found, "{frames:?}");
        }
    }

    #[test]
    fn transparent_frames_make_no_difference() {
        const NATIVE: &str = "sun.reflect.NativeConstructorAccessorImpl.newInstance0";
        const GENERATED: &str = "sun.reflect.GeneratedConstructorAccessor.newInstance";
        for (one, other, most, same) in [
            (&[MADE, "a.A.b", "a.C.d"][..], &[MADE, "a.A.b", "a.E.f"][..], 9, (2, 2)),
            (&[MADE, NATIVE, NATIVE, "a.A.b"], &[MADE, GENERATED, "a.A.b"], 9, (4, 3)),
            (&[MADE, NATIVE, NATIVE, "a.A.b"], &[MADE, GENERATED, "a.A.b"], 3, (1, 1)),
            (&[MADE, NATIVE, "a.A.b"], &[MADE, GENERATED, "a.C.d"], 9, (1, 1)),
            (&[MADE], &[MADE, NATIVE], 9, (1, 1)),
            (&[MADE, GENERATED], &[MADE, GENERATED], 9, (2, 2)),
        ] {
            // The lines of these stacks differ with the depth.
            let without = |names| {
                let mut stack = stack(names);
                stack.frames.iter_mut().for_each(|frame| frame.line = None);
                stack
            };
            let [a, b] = sites([without(one), without(other)]);
            assert_eq!(alike(a.frames(), b.frames(), most), same, "{one:?} {other:?}");
        }
    }
}
