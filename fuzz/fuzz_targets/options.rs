//! Options and commands, from the command line, an environment variable or a file.
//!
//! The input is text; what is behind the first zero is the content of every `@FILE`.
//!
//! Properties, of any text:
//! - every complaint is one line;
//! - the options that were accepted, written as they were given, are read as the same options
//!   without a complaint;
//! - a pattern for a file makes a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::{Duration, UNIX_EPOCH};
use zaudit_core::files::Naming;
use zaudit_core::options::{Options, Parsed};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (text, file) = text.split_once('\0').unwrap_or((&text, ""));
    let mut parsed = Parsed::default();
    // As the environment is read before the options of the command.
    let (environment, text) = text.split_once('\n').unwrap_or(("", text));
    let read = |path: &str| match path {
        "missing" => Err("no such file".to_owned()),
        _ => Ok(file.to_owned()),
    };
    parsed.read(environment, &read);
    let command = parsed.read_command(text, &read);
    for complaint in &parsed.complaints {
        assert!(!complaint.is_empty() && !complaint.contains(['\n', '\r']), "{complaint:?}");
    }
    let given = parsed.options.as_given();
    let mut again = Parsed::default();
    again.read(&given, &|path| panic!("{path} is read again"));
    assert_eq!(again.complaints, [""; 0], "{given:?} {command:?}");
    let reply_file = parsed.options.reply_file.clone();
    assert_eq!(Options { reply_file, ..again.options }, parsed.options);
    for pattern in &parsed.options.files {
        let time = UNIX_EPOCH + Duration::from_secs(1 << 31);
        let path = pattern.path(&Naming { pid: u32::MAX, time, number: Some(u32::MAX) });
        assert!(!path.as_os_str().is_empty());
    }
});
