//! JVMs that record an AOT cache of the program's classes: the agent does nothing in them.
//!
//! Such a JVM (`-XX:AOTMode=record`, `-XX:AOTCacheOutput`) runs the program with agents. It leaves
//! our helper class and the classes with hooks out of the cache, and prints a warning for each on
//! the program's standard output (JDK 25; JDK-8368182: updates before 25.0.3 then fail to create
//! the cache).
//!
//! No other JVM of this kind reaches this code. When HotSpot writes a CDS archive (`-Xshare:dump`,
//! `-XX:ArchiveClassesAtExit`, `-XX:+RecordDynamicDumpInfo`, `-XX:+AutoCreateSharedArchive` while
//! its file does not exist), it refuses every native agent before it loads the library:
//! `Agent_OnLoad` does not run, so we cannot print anything. When it creates the cache from what
//! was recorded (`-XX:AOTMode=create`), it ignores agents.

use crate::sys::jvm_flags;

/// The first release that records.
const FIRST_RECORDING_RELEASE: u32 = 24;

/// The flag that makes this JVM record for an AOT cache, if there is one.
pub(crate) fn recording(release: u32) -> Option<String> {
    if release < FIRST_RECORDING_RELEASE { None } else { recording_flag(&jvm_flags::of_this_jvm()) }
}

/// The flag among `flags` that makes a JVM record. The last value of a flag applies.
fn recording_flag<'a>(flags: &'a [String]) -> Option<String> {
    // HotSpot accepts `:=` in place of `=`.
    let value = |flag: &'a String, name: &str| {
        flag.strip_prefix(name)?.trim_start_matches(':').strip_prefix('=')
    };
    let last = |name: &str| flags.iter().rev().find_map(|flag| Some((flag, value(flag, name)?)));
    match last("-XX:AOTMode") {
        Some((flag, "record")) => Some(flag.clone()),
        None | Some((_, "auto")) => last("-XX:AOTCacheOutput").map(|(flag, _)| flag.clone()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "-XX:AOTMode=record";
    const OUTPUT: &str = "-XX:AOTCacheOutput=a.aot";

    #[test]
    fn flags_that_record() {
        for (flags, expected) in [
            (&[RECORD, "-XX:AOTConfiguration=a"][..], Some(RECORD)),
            (&["-Xmx1g", OUTPUT], Some(OUTPUT)),
            (&["-XX:AOTCacheOutput:=a.aot"], Some("-XX:AOTCacheOutput:=a.aot")),
            (&["-XX:AOTMode=auto", OUTPUT], Some(OUTPUT)),
            (&["-XX:AOTMode=off", RECORD], Some(RECORD)),
            (&[RECORD, "-XX:AOTMode=off"], None),
            (&["-XX:AOTCache=a.aot"], None),
            (&["-XX:AOTMode=auto", "-XX:AOTCache=a.aot"], None),
            (&["-XX:AOTMode=create", "-XX:AOTConfiguration=c", OUTPUT], None),
            (&["-Dflag=-XX:AOTMode=record"], None),
        ] {
            let given: Vec<String> = flags.iter().map(ToString::to_string).collect();
            assert_eq!(recording_flag(&given).as_deref(), expected, "{flags:?}");
        }
    }
}
