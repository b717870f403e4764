//! What the command reads of other processes: `/proc`, performance data, command lines and the
//! answers of the attach protocol.
//!
//! The first byte of the input says which parser gets the rest.
//!
//! Properties, of any bytes:
//! - a result is part of the input, and no longer than it;
//! - data of a JVM that is starting has no contents yet;
//! - the last of two flags wins, whatever is before it;
//! - an error is one line that a terminal may show.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::ffi::OsStr;
use std::path::Path;
use zaudit_cli::testing;
use zaudit_core::escape;

/// A byte that is no UTF-8 becomes a character of three.
const LONGEST: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 6 {
        0 => performance_data(bytes),
        1 => {
            let name = OsStr::new("libjvm.so");
            let (found, is_hotspot) = testing::mapped_file(bytes, name);
            assert!(!is_hotspot || found.is_some());
            if let Some(path) = found {
                assert!(path.is_absolute() && path.file_name() == Some(name), "{path:?}");
                assert!(path.as_os_str().len() <= bytes.len(), "{path:?}");
            }
        }
        2 => {
            let text = String::from_utf8_lossy(bytes);
            if let Some((caught, is_stopped_and_ended)) = testing::process_status(&text) {
                assert!(caught.iter().all(|signal| (1..=64).contains(signal)), "{caught:?}");
                assert!(!is_stopped_and_ended);
            }
        }
        3 => {
            let mut parts = bytes.split(|byte| *byte == b'\n');
            let [cmdline, environ] = [(); 2].map(|()| parts.next().unwrap_or_default());
            let file = String::from_utf8_lossy(parts.next().unwrap_or_default());
            // Only the first variable of a name counts.
            let environ = [b"_JAVA_OPTIONS=-XX:-X -XX:+X\0", environ].concat();
            let last = testing::switch(cmdline, &environ, &file, "X");
            assert_eq!(last, Some(true));
            testing::switch(cmdline, &environ, &file, "DisableAttachMechanism");
        }
        4 => {
            let text = String::from_utf8_lossy(bytes);
            assert!(!testing::listens(&text, "s") || text.contains("/s"), "{text:?}");
        }
        _ => match testing::answer(bytes, Path::new("/lib/libzaudit.so")) {
            Ok(Some(code)) => {
                let text = String::from_utf8_lossy(bytes);
                let digits = code.unsigned_abs().to_string();
                assert!(text.contains(&digits) && code != -1, "{code}: {text:?}");
            }
            Ok(None) => {}
            Err(message) => {
                assert!(
                    !message.is_empty() && !message.contains(escape::is_hostile),
                    "{message:?}"
                );
            }
        },
    }
});

fn performance_data(bytes: &[u8]) {
    let Some((texts, _)) = testing::performance_data(bytes) else { return };
    assert!(!testing::is_starting(bytes));
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= LONGEST * bytes.len(), "{text:?}");
    }
}
