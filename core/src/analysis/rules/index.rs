//! An index of rules, for many rules and many stacks.
//!
//! Most rules name their outermost frame in full: these are found by the frames of a stack, so that
//! thousands of rules cost little more than a few. Invariant: the rule that is found is the first
//! one that matches.

use super::Rule;
use crate::model::Frame;
use std::collections::HashMap;

/// Rules, by a frame that must be on the stack.
pub struct RuleIndex<'a> {
    rules: &'a [Rule],
    by_name: HashMap<&'a str, Vec<usize>>,
    /// Rules whose outermost frame has a `*`.
    others: Vec<usize>,
}

impl<'a> RuleIndex<'a> {
    /// Indexes rules in their order.
    pub fn new(rules: &'a [Rule]) -> RuleIndex<'a> {
        let mut index = RuleIndex { rules, by_name: HashMap::new(), others: Vec::new() };
        for (at, rule) in rules.iter().enumerate() {
            let outermost = rule.patterns.last().map(|pattern| pattern.text.as_str());
            match outermost.filter(|name| !name.contains('*')) {
                Some(name) => index.by_name.entry(name).or_default().push(at),
                None => index.others.push(at),
            }
        }
        index
    }

    /// The first rule that fits a stack and of which `speaks` is true.
    pub fn first<'f>(
        &self,
        frames: impl Iterator<Item = &'f Frame> + Clone,
        speaks: impl Fn(&Rule) -> bool,
    ) -> Option<usize> {
        let mut found = self.others.clone();
        if !self.by_name.is_empty() {
            let mut name = String::new();
            for frame in frames.clone() {
                name.clear();
                name.extend([&frame.class, ".", &frame.method]);
                found.extend(self.by_name.get(name.as_str()).into_iter().flatten());
            }
            found.sort_unstable();
            found.dedup();
        }
        let fits = |rule: &Rule| speaks(rule) && rule.fits(frames.clone());
        found.into_iter().find(|at| self.rules.get(*at).is_some_and(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::rules::tests::frames;

    #[test]
    fn the_first_of_all_is_found() {
        const NAMES: [&str; 6] = ["a.B.c", "a.B.<init>", "java.util.X.y", "d.E.f", "*", "a.*"];
        // All rules of one and two patterns, in a few orders.
        let mut texts: Vec<String> = NAMES.iter().map(|name| format!("leak:{name}")).collect();
        for (outer, inner) in
            NAMES.iter().flat_map(|outer| NAMES.iter().map(move |inner| (outer, inner)))
        {
            texts.extend([
                format!("live:{inner} < {outer}"),
                format!("leak,live:{inner} << {outer}"),
            ]);
        }
        for turn in 0..texts.len() {
            texts.rotate_left(turn);
            let rules: Vec<Rule> =
                texts.iter().map(|text| Rule::parse(text, false).unwrap()).collect();
            let index = RuleIndex::new(&rules);
            for stack in [
                &[][..],
                &["a.B.c"],
                &["a.B.<init>", "java.util.X.y", "a.B.c"],
                &["d.E.f", "d.E.f", "x.Y.z"],
                &["x.Y.z"],
            ] {
                let stack = frames(stack);
                for speaks in [|rule: &Rule| rule.leak, |rule: &Rule| rule.live] {
                    let first =
                        rules.iter().position(|rule| speaks(rule) && rule.fits(stack.iter()));
                    assert_eq!(index.first(stack.iter(), speaks), first, "{stack:?}");
                }
            }
        }
    }
}
