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
    use crate::sys::jvm_flags::Start;

    /// `java` with these arguments; variables are `NAME=…`, files are `@NAME=…` with `|` for
    /// newline.
    fn found(launcher: bool, arguments: &[&str], environment: &[&str]) -> Option<String> {
        let named = |name: &str| {
            let found =
                environment.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            found.map(|value| value.replace('|', "\n"))
        };
        let start = Start {
            is_launcher: launcher,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variable: &named,
            file: &|path| named(&format!("@{path}")),
        };
        recording_flag(&start.flags())
    }

    const RECORD: &str = "-XX:AOTMode=record";
    const OUTPUT: &str = "-XX:AOTCacheOutput=a.aot";

    #[test]
    fn starts_that_record() {
        for (arguments, environment, flag) in [
            (&[RECORD, "-XX:AOTConfiguration=a", "Main"][..], &[][..], RECORD),
            (&["-cp", "a.jar", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTCacheOutput:=a.aot", "Main"], &[], "-XX:AOTCacheOutput:=a.aot"),
            (&["--enable-final-field-mutation", "m", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTMode=auto", OUTPUT, "Main"], &[], OUTPUT),
            (&["-XX:AOTMode=off", RECORD, "Main"], &[], RECORD),
            (&["--add-modules", "a.b", OUTPUT, "-jar", "a.jar"], &[], OUTPUT),
            (
                &["@args", "Main"],
                &["@args=-cp \"C:\\\\x y\"  # a comment|'-XX:AOTMode=record'|"],
                RECORD,
            ),
            (
                &["-cp", "x", "@args"],
                &["@args=-XX:AOTCacheOutput=a.aot Main -XX:AOTMode=off"],
                OUTPUT,
            ),
            (&["Main"], &["JDK_JAVA_OPTIONS=-Dx='a b' -XX:AOTMode=record"], RECORD),
            (&["Main"], &["JDK_JAVA_OPTIONS=@args", "@args=-XX:AOTMode=record"], RECORD),
            (&["-jar", "a.jar"], &["JAVA_TOOL_OPTIONS=-Xmx1g -XX:AOTCacheOutput=a.aot"], OUTPUT),
            (&["-XX:AOTMode=off", "Main"], &["_JAVA_OPTIONS=-XX:AOTMode=record"], RECORD),
            (&["-XX:VMOptionsFile=f", "Main"], &["@f=-Xmx1g|-XX:AOTMode=record"], RECORD),
            (&["-XX:Flags=f", "Main"], &["@f=# mine|AOTMode=record"], RECORD),
        ] {
            assert_eq!(found(true, arguments, environment).as_deref(), Some(flag), "{arguments:?}");
        }
        assert_eq!(
            found(false, &["-cp", "x", "-J-XX:AOTMode=record"], &[]).as_deref(),
            Some(RECORD)
        );
        assert!(found(false, &["A.java"], &["JAVA_TOOL_OPTIONS=-XX:AOTMode=record"]).is_some());
    }

    #[test]
    fn starts_that_do_not() {
        for (arguments, environment) in [
            (&["-XX:AOTCache=a.aot", "Main"][..], &[][..]),
            (&["-XX:AOTMode=auto", "-XX:AOTCache=a.aot", "Main"], &[]),
            (&["-XX:AOTMode=create", "-XX:AOTConfiguration=c", OUTPUT], &[]),
            (&[RECORD, "-XX:AOTMode=off", "Main"], &[]),
            (&["Main", RECORD], &[]),
            (&["-jar", RECORD], &[]),
            (&["-cp", RECORD, "Main"], &[]),
            (&["-m", "a/b.Main", OUTPUT], &[]),
            (&["--class-path", "x", "@none", "Main", "@args"], &["@args=-XX:AOTMode=record"]),
            (&["--disable-@files", "@args", "Main"], &["@args=-XX:AOTMode=record"]),
            (&["@@args", "Main"], &["@args=-XX:AOTMode=record"]),
            (&["--module=m/Main", RECORD], &[]),
            (
                &["-Dflag=-XX:AOTMode=record", "Main"],
                &["JAVA_TOOL_OPTIONS='-Da= -XX:AOTMode=record'"],
            ),
            (&["Main"], &["_JAVA_OPTIONS=-XX:AOTMode=off", "JAVA_TOOL_OPTIONS=-XX:AOTMode=record"]),
            (&["Main"], &["JDK_AOT_VM_OPTIONS=-XX:AOTMode=record"]),
            (&["-XX:Flags=f", "-XX:AOTMode=on", "Main"], &["@f=AOTMode=record"]),
        ] {
            assert_eq!(found(true, arguments, environment), None, "{arguments:?}");
        }
        assert_eq!(found(false, &[RECORD], &["JDK_JAVA_OPTIONS=-XX:AOTMode=record"]), None);
    }
}
