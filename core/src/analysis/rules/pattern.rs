//! Frames that must be on a stack, from the inside outwards.
//!
//! Invariant: matching takes time in proportion to patterns × frames, whatever the patterns are.

use crate::model::Frame;

/// A frame that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// `class.method`, in which `*` stands for any run of characters.
    pub(super) text: String,
    /// Whether only frames of the JDK may stand between this frame and the one before.
    pub(super) near: bool,
}

/// Whether the patterns are found one after the other, innermost frame first. All frames at which a
/// pattern may end are carried to the next one: backtracking would take years for `* < * < * < *`.
pub(super) fn fits<'a>(
    patterns: &[Pattern],
    frames: impl Iterator<Item = &'a Frame> + Clone,
) -> bool {
    // For each frame: whether the patterns so far fit, the last of them here. Before the first
    // there is no frame.
    let mut ends: Option<Vec<bool>> = None;
    for pattern in patterns {
        let mut open = ends.is_none();
        let before = ends.unwrap_or_default().into_iter().chain(std::iter::repeat(false));
        let here: Vec<bool> = frames
            .clone()
            .zip(before)
            .map(|(frame, ended)| {
                let fits = open && glob(&pattern.text, &frame.class, &frame.method);
                open = ended || (open && (!pattern.near || frame.jdk));
                fits
            })
            .collect();
        if !here.contains(&true) {
            return false;
        }
        ends = Some(here);
    }
    true
}

/// Whether `class.method` fits a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, class: &str, method: &str) -> bool {
    if !pattern.contains('*') {
        let method_of = |rest: &str| rest.strip_prefix('.') == Some(method);
        return pattern.strip_prefix(class).is_some_and(method_of);
    }
    // Most frames are other ones from their first letters on.
    let begin = pattern.bytes().take_while(|byte| *byte != b'*');
    if begin.zip(class.bytes()).any(|(wanted, is)| wanted != is) {
        return false;
    }
    let text: Vec<u8> = class.bytes().chain([b'.']).chain(method.bytes()).collect();
    let mut rest = text.as_slice();
    let mut parts = pattern.split('*').map(str::as_bytes);
    // The part before the first star is a beginning, the one behind the last an end, those between
    // are found from left to right, each as early as can be.
    let Some(after) = parts.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = after;
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) =
            (0..=rest.len()).find(|at| rest.get(*at..).is_some_and(|r| r.starts_with(part)))
        else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, class, method, fits) in [
            ("a.B.c", "a.B", "c", true),
            ("a.B.c", "a.B", "cd", false),
            ("a.B.c", "a.B.c", "", false),
            ("a.B.<init>", "a.B", "<init>", true),
            ("a.B.*", "a.B", "<init>", true),
            ("*.c", "a.B", "c", true),
            ("*.c", "a.B", "xc", false),
            ("a.*B*.get*", "a.x.B$1", "getInflater", true),
            ("*", "a.B", "c", true),
            ("a*a", "a", "a", true),
            ("a.a*a.a", "a", "a", false),
            ("*bc*bc", "a", "bcbc", true),
            ("*bc*bc", "a", "bc", false),
            ("a*x", "a*b", "x", true),
            ("ab.c*", "ab", "cd", true),
            ("ab.x*", "ab", "cd", false),
        ] {
            assert_eq!(glob(pattern, class, method), fits, "{pattern} {class}.{method}");
        }
    }
}
