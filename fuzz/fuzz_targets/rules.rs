//! Files of rules, and what they do to a report.
//!
//! The input is a file of rules; what is behind the first zero describes a session.
//!
//! Properties, of any text:
//! - rules and complaints are limited, and a complaint is one line that a terminal may show;
//! - a rule in words of its own is the same rule;
//! - of each site no more is covered than was found, no count changes, and no maximum is exceeded.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use zaudit_core::analysis::rules::{MAX_RULES, Rule};
use zaudit_core::escape;
use zaudit_fuzz::recordings;

fuzz_target!(|bytes: &[u8]| {
    let (text, session) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    let text = String::from_utf8_lossy(text);
    let (rules, complaints) = Rule::read_file("x\n.rules", &text);
    assert!(rules.len() <= MAX_RULES && rules.len() + complaints.len() <= text.lines().count() + 1);
    assert!(complaints.len() < 50);
    for complaint in complaints {
        assert!(complaint.chars().count() < 2_500, "{complaint:?}");
        assert!(!complaint.contains(escape::is_hostile), "{complaint:?}");
    }
    for rule in &rules {
        let own = rule.to_string();
        let mut again = Rule::parse(&own, false).unwrap_or_else(|why| panic!("{own:?}: {why}"));
        (again.text, again.source) = (rule.text.clone(), rule.source.clone());
        assert_eq!(&again, rule, "{own:?}");
    }
    let [with, without] =
        [rules, Vec::new()].map(|rules| recordings::report(&mut Unstructured::new(session), rules));
    let sum = |report: &zaudit_core::report::Report| {
        let stats = report.classification.all_stats();
        stats.fold([0; 3], |[created, lost, expected], stats| {
            let counts = &stats.tally.counts;
            let own = counts.late + counts.collected + stats.tally.live;
            assert!(stats.expected <= own, "{stats:?}");
            assert!(stats.leaked <= counts.late + counts.collected, "{stats:?}");
            assert!(stats.suspects <= stats.tally.live, "{stats:?}");
            [created + counts.created, lost + own, expected + stats.expected]
        })
    };
    let ([created, lost, _], [created_without, lost_without, none]) = (sum(&with), sum(&without));
    assert_eq!((created, lost, none), (created_without, lost_without, 0));
    for (rule, covered) in with.rules.iter().zip(&with.classification.covered) {
        assert!(rule.max.is_none_or(|max| *covered <= max), "{rule} covers {covered}");
    }
});
