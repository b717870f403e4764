//! How the JVM is made to report what the collector freed.
//!
//! Invariant: nothing that is called here waits inside the JVM for its service thread.
//!
//! Since JDK 16 ObjectFree comes from the JVM's service thread some time after a collection, so that a report has to ask
//! for what is pending. Setting the mode of the event does that, too, but in JDK 20 to 26 and in updates of 17
//! (JDK-8256811) it is deadly: `JvmtiTagMap::flush_object_free_events` has whoever comes second wait, in a state
//! that no safepoint may begin in, for the one who calls ObjectFree just then; and that one waits for the safepoint
//! that somebody has asked for meanwhile. All of the JVM stands still for ever. A walk over the heap posts what is dead,
//! too, and waits for nobody.

use super::jvmti::{Jvmti, Result, jclass};
use jvmti_bindings::sys::jvmti::JVMTI_EVENT_OBJECT_FREE;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The last release in which asking for pending frees may be deadly.
const LAST_DEADLY: u32 = 26;

/// How long the service thread may take to call ObjectFree for what it has found.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far apart it is looked at, twice: it may have waited for a lock within its work.
const APART: Duration = Duration::from_micros(100);

/// Makes the JVM tell what the collector has freed and nobody was told of.
/// `any` is some class.
pub(crate) fn deliver_pending(jvmti: Jvmti, any: jclass) -> std::result::Result<(), String> {
    // Before JDK 16 the collector tells while it works.
    if jvmti.release() < 16 {
        return Ok(());
    }
    jvmti.tell_of_dead(any).map_err(|error| error.to_string())?;
    if service_thread_rests() { Ok(()) } else { Err("the JVM's service thread has not done yet".into()) }
}

/// Whether the JVM must not be asked for pending frees while its service thread may be telling of others: not by setting
/// the event's mode, nor by giving its environment back, nor by its own end.
fn flushing_is_deadly(jvmti: Jvmti) -> bool {
    (16..=LAST_DEADLY).contains(&jvmti.release())
}

/// Frees are told no more from here on, so that the JVM has nothing to ask for when it ends: it would do so with all
/// threads of the program still at work. Called right after [`deliver_pending`], while the service thread rests.
pub(crate) fn silence(jvmti: Jvmti) -> Result<()> {
    if flushing_is_deadly(jvmti) {
        jvmti.notify(JVMTI_EVENT_OBJECT_FREE, false)?;
    }
    Ok(())
}

/// Leaves nothing for the service thread to tell of, before an environment is given back: to do that asks for what is
/// pending, too. It costs a walk over the heap; whoever waits inside the JVM for a thread that tells of frees costs more.
pub(crate) fn leave_nothing_to_tell(jvmti: Jvmti) -> Result<()> {
    // Longer than what it has begun to tell of can take, with all that it needs to get back into the JVM.
    const TAIL: Duration = Duration::from_millis(20);
    if flushing_is_deadly(jvmti) {
        jvmti.untag_all()?;
        std::thread::sleep(TAIL);
        service_thread_rests();
    }
    Ok(())
}

/// Whether the service thread has told all that it has taken out of the table of tags: it sleeps, then. While it tells
/// it runs, or would: our ObjectFree waits for nothing.
fn service_thread_rests() -> bool {
    static STAT: OnceLock<Option<PathBuf>> = OnceLock::new();
    // A system that shows no threads leaves us no choice.
    let Some(stat) = STAT.get_or_init(|| stat_of_thread("Service Thread")) else { return true };
    let deadline = Instant::now() + PATIENCE;
    let mut rests = 0;
    while rests < 2 && Instant::now() < deadline {
        match fs::read_to_string(stat).ok().and_then(|stat| sleeps(&stat)) {
            Some(true) => rests += 1,
            Some(false) => rests = 0,
            None => return true,
        }
        std::thread::sleep(APART);
    }
    rests == 2
}

/// Where the system tells of the thread of this name.
fn stat_of_thread(name: &str) -> Option<PathBuf> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten().map(|entry| entry.path());
    let named =
        |thread: &PathBuf| fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    threads.into_iter().find(named).map(|thread| thread.join("stat"))
}

/// From a line of `/proc/PID/task/TID/stat`: the state stands behind the name.
fn sleeps(stat: &str) -> Option<bool> {
    Some(stat.rsplit_once(") ")?.1.starts_with('S'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_threads() {
        for (stat, asleep) in [
            ("71 (Service Thread) S 1 70", Some(true)),
            ("71 (a) R (b)) R 1 70", Some(false)),
            ("71 (x) D 1", Some(false)),
            ("", None),
        ] {
            assert_eq!(sleeps(stat), asleep, "{stat}");
        }
    }
}
