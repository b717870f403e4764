//! How the agent makes the JVM report what the GC has freed.
//!
//! Invariant: no function here waits inside the JVM for its service thread.
//!
//! Since JDK 16 the JVM's service thread posts ObjectFree some time after a GC, so a report must
//! request the pending events. Setting the mode of the event does so, too, but in JDK 20 to 26 and
//! in updates of 17 (JDK-8256811) that may deadlock in `JvmtiTagMap::flush_object_free_events`: a
//! second caller blocks in a VM state in which no safepoint can begin, until the thread that posts
//! ObjectFree has finished; and that thread is itself blocked on a pending safepoint. All of the
//! JVM hangs for ever. A heap walk posts pending events, too, and waits for no other thread.

use super::jvmti::{Jvmti, Result, jclass};
use jvmti_bindings::sys::jvmti::JVMTI_EVENT_OBJECT_FREE;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The last release in which a flush of pending events may deadlock.
const LAST_DEADLOCKING: u32 = 26;

/// How long the service thread may take to post ObjectFree for the objects that it has found.
const SERVICE_THREAD_TIMEOUT: Duration = Duration::from_secs(2);

/// The time between two polls of the service thread. Two are needed, because it may wait for a lock
/// during its work.
const POLL_INTERVAL: Duration = Duration::from_micros(100);

/// Makes the JVM post the pending ObjectFree events. `any` is any class.
pub(crate) fn deliver_pending(jvmti: Jvmti, any: jclass) -> std::result::Result<(), String> {
    // Before JDK 16 the events are posted during a GC.
    if jvmti.release() < 16 {
        return Ok(());
    }
    jvmti
        .flush_dead_tags(any)
        .map_err(|error| format!("JVMTI FollowReferences failed: {error}"))?;
    match wait_for_service_thread() {
        true => Ok(()),
        false => Err(format!(
            "the JVM's service thread did not finish within {SERVICE_THREAD_TIMEOUT:?}"
        )),
    }
}

/// Whether the JVM may deadlock if pending events are flushed while its service thread may be
/// posting others. Setting the event's mode, disposing the environment and the JVM's exit flush
/// them.
fn flush_may_deadlock(jvmti: Jvmti) -> bool {
    (16..=LAST_DEADLOCKING).contains(&jvmti.release())
}

/// Disables ObjectFree, so that the JVM has nothing to flush when it exits: it would do so while
/// the program's threads still run. Called right after [`deliver_pending`], while the service
/// thread sleeps.
pub(crate) fn disable(jvmti: Jvmti) -> Result<()> {
    if flush_may_deadlock(jvmti) {
        jvmti.notify(JVMTI_EVENT_OBJECT_FREE, false)?;
    }
    Ok(())
}

/// Leaves no event for the service thread before an environment is disposed, which flushes pending
/// events, too. The price is a heap walk, less than a thread that waits inside the JVM for the
/// posting thread.
pub(crate) fn untag_before_dispose(jvmti: Jvmti) -> Result<()> {
    // Longer than the service thread needs for the events that it has begun to post, including its
    // transitions back into the JVM.
    const TAIL: Duration = Duration::from_millis(20);
    if flush_may_deadlock(jvmti) {
        jvmti.untag(|_| true)?;
        std::thread::sleep(TAIL);
        wait_for_service_thread();
    }
    Ok(())
}

/// Waits until the service thread has posted all events that it has taken out of the tag table:
/// then it sleeps. While it posts it runs, or is runnable: our ObjectFree waits for nothing.
/// Returns false if the time ran out.
fn wait_for_service_thread() -> bool {
    static STAT: OnceLock<Option<PathBuf>> = OnceLock::new();
    // Without a view of the threads there is nothing to wait for.
    let Some(stat) = STAT.get_or_init(|| stat_of_thread("Service Thread")) else { return true };
    let deadline = Instant::now() + SERVICE_THREAD_TIMEOUT;
    let mut asleep = 0;
    while asleep < 2 && Instant::now() < deadline {
        match fs::read_to_string(stat).ok().and_then(|stat| sleeps(&stat)) {
            Some(true) => asleep += 1,
            Some(false) => asleep = 0,
            None => return true,
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    asleep == 2
}

/// The `stat` file of the thread with this name.
fn stat_of_thread(name: &str) -> Option<PathBuf> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten().map(|entry| entry.path());
    let named = |thread: &PathBuf| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    threads.into_iter().find(named).map(|thread| thread.join("stat"))
}

/// Whether a line of `/proc/PID/task/TID/stat` shows a sleeping thread: the state follows the name.
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
