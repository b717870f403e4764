//! Places the hooks in the class that lends Inflaters to the streams of zip file systems.
//!
//! That class is not there when an audit begins with the JVM: the platform loader loads it when a
//! program opens an archive as a file system. Its provider is created before that. Then the agent
//! has the class loaded, and places the hooks. Invariant: nothing is lent before the hooks are in
//! place, except while the agent was not auditing.

use crate::observe::stack::capture;
use crate::observe::{events, guard};
use crate::state::agent::Agent;
use crate::state::audit::Audit;
use crate::state::classes::Classes;
use crate::state::context::Context;
use crate::sys::interposer;
use crate::sys::jni::Jni;
use crate::sys::jvmti::{Result, jclass, jobject, jvmtiError};
use crate::sys::posix::say;
use jvmti_bindings::sys::jni::JNIEnv;
use jvmti_bindings::sys::jvmti::JVMTI_EVENT_CLASS_FILE_LOAD_HOOK;
use std::ffi::CStr;
use zaudit_instrument as instrument;

/// The signature of the provider, the name of the class that lends, and its target in the table of
/// hooks.
type Names = (&'static str, &'static CStr, &'static str);

/// Each JDK has one of these.
const ZIPFS: [Names; 2] = [
    ("Ljdk/nio/zipfs/ZipFileSystemProvider;", c"jdk.nio.zipfs.ZipFileSystem", instrument::ZIPFS),
    (
        "Lcom/sun/nio/zipfs/ZipFileSystemProvider;",
        c"com.sun.nio.zipfs.ZipFileSystem",
        instrument::ZIPFS_8,
    ),
];

/// How many local references a look at the installed providers needs at most: a program has a
/// handful of them.
const LOCAL_REFS: usize = 256;

/// `zaudit.Hooks.providerCreated(Object)`: a provider of file systems was created.
///
/// Not a hook as the others are: on JDK 8 the loader reads the class from an archive, and the
/// streams for that count as any other.
pub(crate) extern "system" fn provider_created(
    env: *mut JNIEnv,
    _class: jclass,
    provider: jobject,
) {
    guard::entry(|| {
        // SAFETY: the JVM passes its own environment of this thread to a native method.
        let jni = unsafe { Jni::new(env) };
        let Some(agent) = Agent::get() else { return };
        let (Some(audit), Some(classes)) = (agent.hold_audit(), agent.classes.get()) else {
            return;
        };
        if classes.zipfs().is_some() {
            return;
        }
        jni.check_exceptions();
        let class = jni.class_of(provider);
        let context = Context { agent, audit: &audit, jni };
        let found = find_from(context, classes, class);
        jni.delete_local(class);
        match found {
            Ok(Some(lender)) => place(context, classes, lender),
            Ok(None) => {}
            Err(error) => unreadable(&audit, error),
        }
    });
}

/// Looks for the class when an audit begins, if the program has used file systems before.
pub(crate) fn find(context @ Context { audit, jni, .. }: Context<'_>, classes: &Classes) {
    if classes.zipfs().is_some() {
        return;
    }
    let find = || {
        for provider in classes.installed_providers(jni).ok_or(jvmtiError::OUT_OF_MEMORY)? {
            if let Some(lender) = find_from(context, classes, jni.class_of(provider))? {
                place(context, classes, lender);
            }
        }
        Ok(())
    };
    let found = jni.with_locals(LOCAL_REFS, find).unwrap_or(Err(jvmtiError::OUT_OF_MEMORY));
    if let Err(error) = found {
        unreadable(audit, error);
    }
}

/// Whether a subclass of InflaterInputStream is that of an entry stream in a zip file system.
pub(crate) fn is_stream(Context { agent, jni, .. }: Context<'_>, class: jclass) -> Result<bool> {
    let signature = agent.jvmti.class_signature(class)?;
    let nested = |(_, lender, _): &Names| {
        let name = signature.strip_prefix('L')?.replace('/', ".");
        Some(name.strip_prefix(lender.to_str().ok()?)?.starts_with('$'))
    };
    let is_named = ZIPFS.iter().any(|names| nested(names).unwrap_or(false));
    Ok(is_named && capture::is_of_jdk(agent.jvmti, jni, class)?)
}

/// The class that lends for this provider's file systems, if that is the JDK's for zip files.
fn find_from(
    Context { agent, jni, .. }: Context<'_>,
    classes: &Classes,
    provider: jclass,
) -> Result<Option<jclass>> {
    let signature = agent.jvmti.class_signature(provider)?;
    let Some((_, name, target)) = ZIPFS.iter().find(|(provider, ..)| *provider == signature) else {
        return Ok(None);
    };
    if !capture::is_of_jdk(agent.jvmti, jni, provider)? {
        return Ok(None);
    }
    let loader = agent.jvmti.class_loader(provider)?;
    let class = jni.class(provider, name, loader);
    jni.delete_local(loader);
    let lender = class.map(|class| {
        interposer::link(agent.jvmti, jni, class);
        classes.enter_zipfs(jni, target, class)
    });
    class.into_iter().for_each(|class| jni.delete_local(class));
    lender.flatten().map(Some).ok_or(jvmtiError::NOT_FOUND)
}

/// Places the hooks in an audit that is under way.
fn place(context @ Context { agent, audit, .. }: Context<'_>, classes: &Classes, lender: jclass) {
    let rests = audit.at_rest().is_some();
    let class_files = |on| audit.jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, on);
    let retransform = || interposer::retransform(audit.jvmti, &[lender]);
    let mut placed = class_files(true).and_then(|()| retransform());
    // A command may have ended the audit meanwhile, and have restored only what was hooked before.
    if !agent.hold_audit().is_some_and(|current| std::ptr::eq(&*current, audit)) {
        let _ = class_files(false).and_then(|()| retransform());
        return;
    }
    if rests && placed.is_ok() {
        placed = events::rest_again(context, classes);
    }
    if let Err(error) = placed
        && !agent.is_shut_down()
    {
        unreadable(audit, error);
    }
}

/// Entry streams of zip file systems are not followed: only the Inflaters that they borrow are.
fn unreadable(audit: &Audit, error: jvmtiError) {
    audit.session.record_unreadable("entry streams of zip file systems are not followed");
    say(&format!("cannot follow entry streams of zip file systems: JVMTI: {error}"));
}
