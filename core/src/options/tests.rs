//! What the options understand, and how they say what they do not.

use super::*;

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    parsed.read(text, &|path| match path {
        "good" => Ok("# comment\nformat=json, gc\n\n  depth=7\n".into()),
        _ => Err("No such file or directory".into()),
    });
    parsed
}

#[test]
fn good_ones() {
    let json = Options { format: Some(Format::Json), ..Options::default() };
    for (text, expected) in [
        ("", Options::default()),
        (",, ,", Options::default()),
        ("format=json", json.clone()),
        ("format=text,format=json", json.clone()),
        ("gc", Options { gc: true, ..Options::default() }),
        ("gc,gc=false", Options::default()),
        ("depth=1k", Options::default()),
        ("depth=64", Options { depth: 64, ..Options::default() }),
        (
            "gc_timeout=250ms",
            Options { gc_timeout: Duration::from_millis(250), ..Options::default() },
        ),
        ("memory=8m", Options { memory: 8 << 20, ..Options::default() }),
        ("gc_timeout=2m", Options { gc_timeout: Duration::from_secs(120), ..Options::default() }),
        (
            r"file=a\,b.txt",
            Options { files: vec![Pattern::parse("a,b.txt").unwrap()], ..Options::default() },
        ),
        (
            r"file=a\b.txt",
            Options { files: vec![Pattern::parse(r"a\b.txt").unwrap()], ..Options::default() },
        ),
        ("@good", Options { depth: 7, gc: true, ..json }),
        ("quiet", Options { quiet: Choice { value: true, explicit: true }, ..Options::default() }),
        (
            "arm=false,delay=30s",
            Options { arm: Arm::Later, delay: Some(Duration::from_secs(30)), ..Options::default() },
        ),
        ("duration=10m,duration=none", Options::default()),
        (
            "interval=100ms,max_snapshots=3",
            Options {
                interval: Some(Duration::from_millis(100)),
                max_snapshots: 3,
                ..Options::default()
            },
        ),
        ("exit_code=23", Options { exit_code: Some(23), ..Options::default() }),
        ("exitcode=23", Options { exit_code: Some(23), ..Options::default() }),
        (
            "duration=1.5s",
            Options { duration: Some(Duration::from_millis(1_500)), ..Options::default() },
        ),
        (
            "fail_on=live:7,bytes:64m",
            Options {
                fail_on: FailOn { live: Some(7), bytes: Some(64 << 20) },
                ..Options::default()
            },
        ),
        (
            "suppressions=a,suppressions=b",
            Options { suppressions: vec!["a".into(), "b".into()], ..Options::default() },
        ),
        (
            "default_suppressions=false,baseline=old.json",
            Options {
                default_suppressions: false,
                baseline: Some("old.json".into()),
                ..Options::default()
            },
        ),
        ("baseline=old.json,baseline=none", Options::default()),
        (
            "min_age=1m,adopt=off,reply_file=/a",
            Options {
                min_age: Duration::from_secs(60),
                adopt: false,
                reply_file: Some("/a".into()),
                ..Options::default()
            },
        ),
        (
            "signal=none",
            Options { signal: Choice { value: None, explicit: true }, ..Options::default() },
        ),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.complaints, [""; 0], "{text}");
        let given = parsed.options.given.clone();
        assert_eq!(parsed.options, Options { given, ..expected }, "{text}");
        let again = parse(&parsed.options.as_given()).options;
        assert_eq!(
            Options { reply_file: parsed.options.reply_file.clone(), ..again },
            parsed.options,
            "{text}"
        );
    }
    assert_eq!(parse("signal=SIGWINCH").options.signal.value.map(|s| s.number), Some(28));
}

#[test]
fn bad_ones_are_one_line_each_and_change_nothing() {
    for (text, says) in [
        ("fromat=json", "did you mean \"format\""),
        ("keep=3", "lists all"),
        ("duration=0.4ms", "shorter than 1ms"),
        ("sig=USR1", "did you mean \"signal\""),
        ("xyzzy", "lists all"),
        ("format", "it needs a value: format=auto|text"),
        ("format=", "it needs a value"),
        ("format=xml", "must be one of auto, text, html"),
        ("depth=0", "from 1 to 2048"),
        ("depth=9999", "from 1 to 2048"),
        ("depth=-1", "whole number"),
        ("depth=5q", "unknown unit \"q\""),
        ("depth=99999999999999999999", "whole number"),
        ("depth=99999999999999999g", "too large"),
        ("gc=maybe", "must be true or false"),
        ("=64", "the name before the = is missing"),
        ("gc_timeout=10ms", "at least 100ms"),
        ("memory=1000k", "at least 1m"),
        ("memory=many", "unknown unit"),
        ("memory=0", "at least 1m"),
        ("gc_timeout=5", "has no unit"),
        ("gc_timeout=s", "such as 5s"),
        ("gc_timeout=1e3s", "such as 5s"),
        ("gc_timeout=1..5s", "such as 5s"),
        ("gc_timeout=-1s", "such as 5s"),
        ("gc_timeout=5d", "unknown unit \"d\""),
        ("gc_timeout=99999999999999999h", "too long"),
        ("signal=QUIT", "is used by the JVM"),
        ("signal=SIGUSR2", "is used by the JVM"),
        ("signal=kill", "cannot be caught"),
        ("signal=FOO", "must be one of USR1"),
        ("exit_code=0", "from 1 to 255"),
        ("exit_code=256", "from 1 to 255"),
        ("interval=1ms", "at least 100ms"),
        ("max_snapshots=0", "from 1 to 100000"),
        ("fail_on=live", "must be live:N"),
        ("fail_on=live:x", "unknown unit"),
        ("live:7", "lists all"),
        ("statsu", "did you mean \"status\""),
        ("file=r%x", "unknown %x"),
        ("@nowhere", "cannot read options from nowhere: No such file"),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.complaints.len(), 1, "{text}: {:?}", parsed.complaints);
        assert!(parsed.complaints[0].contains(says), "{text}: {}", parsed.complaints[0]);
        assert!(!parsed.complaints[0].contains('\n'));
        assert_eq!(parsed.options, Options::default(), "{text}");
    }
}

#[test]
fn a_command_comes_first_or_it_is_arm() {
    for (text, command, gc, complaints) in [
        ("", Command::Arm, false, 0),
        ("gc", Command::Arm, true, 0),
        ("arm,gc", Command::Arm, true, 0),
        ("dump", Command::Dump, false, 0),
        (" dump , gc", Command::Dump, true, 0),
        ("status,bogus", Command::Status, false, 1),
        ("gc,dump", Command::Arm, true, 1),
        ("help", Command::Help, false, 0),
    ] {
        let mut parsed = Parsed::default();
        let found = parsed.read_command(text, &|_| Err("none".into()));
        assert_eq!(
            (found, parsed.options.gc, parsed.complaints.len()),
            (command, gc, complaints),
            "{text}"
        );
    }
}

#[test]
fn files_add_up_and_take_the_place_of_those_before() {
    let mut parsed = Parsed::default();
    for (text, files) in [
        ("file=a.txt,file=b.json", &["a.txt", "b.json"][..]),
        ("gc", &["a.txt", "b.json"]),
        ("file=c.html", &["c.html"]),
    ] {
        parsed.read(text, &|_| Err("none".into()));
        let expected: Vec<_> = files.iter().map(|name| Pattern::parse(name).unwrap()).collect();
        assert_eq!(parsed.options.files, expected, "{text}");
    }
    assert_eq!(parsed.options.as_given(), "gc,file=c.html");
}

#[test]
fn what_is_good_beside_what_is_bad_holds() {
    let parsed = parse("format=json,bogus,gc");
    assert_eq!(parsed.complaints.len(), 1);
    assert!(parsed.options.gc && parsed.options.format == Some(Format::Json));
}

#[test]
fn distances() {
    for (a, b, slips) in [
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("fromat", "format", 2),
        ("kitten", "sitting", 3),
        ("gc", "", 2),
    ] {
        assert_eq!(distance(a, b), slips, "{a} {b}");
    }
}

#[test]
fn the_default_column_is_the_default() {
    for row in TABLE.iter().filter(|row| {
        !row.value.is_empty() && !["file", "reply_file", "suppressions"].contains(&row.name)
    }) {
        let mut options = Options::default();
        (row.set)(&mut options, row.default).unwrap();
        options.signal.explicit = false;
        assert_eq!(options, Options::default(), "{}", row.name);
    }
}

#[test]
fn help_fits_a_terminal() {
    for line in help().lines() {
        assert!(line.chars().count() <= 105, "{line}");
    }
}

#[test]
fn names_and_texts_are_sound() {
    for row in TABLE {
        assert_eq!(
            TABLE.iter().filter(|other| [other.name, other.alias].contains(&row.name)).count(),
            1
        );
        assert!(
            !row.short.ends_with('.') && (row.long.is_empty() || row.long.ends_with('.')),
            "{}",
            row.name
        );
        assert!(row.short.starts_with(char::is_lowercase), "{}", row.name);
    }
    assert_eq!(
        TABLE.iter().filter(|row| row.in_readme).count(),
        10,
        "as many as a reader takes in"
    );
}
