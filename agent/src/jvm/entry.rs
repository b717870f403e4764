//! Loading and arming: `Agent_OnLoad`, the events, the helper class, the rewriting of the two classes.
//!
//! Invariant: whatever goes wrong here is one line on standard error and a program that runs as without the agent
//! (`strict` apart).

use super::agent::Agent;
use super::classes::Classes;
use super::env::{Jni, Jvmti, jclass, jint, jlong, jobject};
use super::os::{Bell, say, take_signal, write_stderr};
use super::worker::{self, DATA_DUMP_BYTE};
use super::{guard, hooks, publish, thread};
use crate::dump;
use crate::event::InstanceId;
use crate::instrument::{self, Callback};
use crate::options::{self, Parsed};
use jvmti_bindings::sys::jni::{JNI_ERR, JNI_OK, JNIEnv, JNINativeMethod, JavaVM};
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, JVMTI_EVENT_DATA_DUMP_REQUEST, JVMTI_EVENT_OBJECT_FREE,
    JVMTI_EVENT_VM_DEATH, JVMTI_EVENT_VM_INIT, jvmtiCapabilities, jvmtiEnv, jvmtiEventCallbacks,
};
use std::ffi::{CStr, CString, c_char, c_uchar, c_void};
use std::time::SystemTime;

/// Called by the JVM for `-agentpath` (JVMTI, "Agent Start-Up (OnLoad phase)").
#[unsafe(no_mangle)]
extern "system" fn Agent_OnLoad(vm: *mut JavaVM, options: *const c_char, _reserved: *mut c_void) -> jint {
    guard::speak_on_panic();
    guard::entry(|| load(vm, options)).unwrap_or(JNI_OK)
}

fn load(vm: *mut JavaVM, options: *const c_char) -> jint {
    if Agent::get().is_some() {
        say("loaded already; this second -agentpath does nothing");
        return JNI_OK;
    }
    let parsed = parse(options);
    for complaint in &parsed.complaints {
        say(complaint);
    }
    if parsed.options.help {
        write_stderr(options::help().as_bytes());
    }
    if parsed.options.strict && !parsed.complaints.is_empty() {
        say("the JVM does not start: strict is on");
        return JNI_ERR;
    }
    if let Some(pattern) = &parsed.options.file {
        let naming = dump::Naming { pid: std::process::id(), time: SystemTime::now(), number: None };
        let path = pattern.path(&naming);
        if let Err(error) = dump::check(&path) {
            let line =
                format!("the report cannot be written to {}: {}", path.display(), dump::reason(&error));
            if parsed.options.strict {
                say(&format!("{line}; the JVM does not start: strict is on"));
                return JNI_ERR;
            }
            say(&format!("{line}; unless that changes it will come on standard error"));
        }
    }
    // SAFETY: the JVM hands its own invocation table.
    let begun = unsafe { Jvmti::of(vm) }
        .map_err(|code| format!("this JVM has no JVMTI for agents (JNI code {code})"))
        .and_then(|jvmti| begin(jvmti, parsed.options));
    if let Err(why) = begun {
        say(&format!("nothing is audited: {why}"));
    }
    JNI_OK
}

/// The environment's options first, then those of the command line.
fn parse(options: *const c_char) -> Parsed {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| dump::reason(&error));
    let mut parsed = Parsed::default();
    if let Some(text) = std::env::var_os("ZAUDIT_OPTIONS") {
        read_options(&mut parsed, text.as_encoded_bytes(), &read);
    }
    if !options.is_null() {
        // SAFETY: the JVM hands a NUL-terminated string.
        read_options(&mut parsed, unsafe { CStr::from_ptr(options) }.to_bytes(), &read);
    }
    parsed
}

fn read_options(parsed: &mut Parsed, text: &[u8], read: &dyn Fn(&str) -> Result<String, String>) {
    match str::from_utf8(text) {
        Ok(text) => parsed.read(text, read),
        Err(_) => parsed
            .complaints
            .push(format!("the options are not UTF-8 and are ignored: {:?}", String::from_utf8_lossy(text))),
    }
}

fn begin(jvmti: Jvmti, options: options::Options) -> Result<(), String> {
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_tag_objects(true);
    wanted.set_can_generate_object_free_events(true);
    wanted.set_can_retransform_classes(true);
    wanted.set_can_generate_all_class_hook_events(true);
    wanted.set_can_get_source_file_name(true);
    wanted.set_can_get_line_numbers(true);
    let error = |what: &'static str| move |error| format!("{what}: {error}");
    jvmti.add_capabilities(&wanted).map_err(error("the JVM refuses what is needed"))?;
    jvmti.set_callbacks(&callbacks()).map_err(error("no callbacks"))?;
    let bell = Bell::new().map_err(|error| format!("no pipe: {error}"))?;
    if !Agent::new(jvmti, options, bell).install() {
        return Err("loaded twice at once".into());
    }
    for event in [JVMTI_EVENT_VM_INIT, JVMTI_EVENT_VM_DEATH] {
        jvmti.notify(event, true).map_err(error("no events"))?;
    }
    Ok(())
}

fn callbacks() -> jvmtiEventCallbacks {
    let mut callbacks = jvmtiEventCallbacks::default();
    callbacks.VMInit = Some(on_vm_init);
    callbacks.VMDeath = Some(on_vm_death);
    callbacks.ClassFileLoadHook = Some(on_class_file);
    callbacks.DataDumpRequest = Some(on_data_dump_request);
    callbacks.ObjectFree = Some(on_object_free);
    callbacks
}

/// Makes the JVM deliver what the collector has freed and a service thread has not told yet: since JDK 16 setting the
/// mode of ObjectFree anew flushes first, also to what it is already (`JvmtiEventController::set_user_enabled`).
pub(super) fn deliver_pending(agent: &Agent) -> super::env::Result<()> {
    agent.jvmti.notify(JVMTI_EVENT_OBJECT_FREE, true)
}

extern "system" fn on_vm_init(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _thread: jobject) {
    thread::enter();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to a callback.
        let jni = unsafe { Jni::new(env) };
        let Some(agent) = Agent::get() else { return };
        if let Err(why) = arm(agent, jni) {
            agent.over();
            say(&format!("nothing is audited: {why}"));
        }
    });
    thread::leave();
}

fn arm(agent: &'static Agent, jni: Jni) -> Result<(), String> {
    let jvmti = agent.jvmti;
    let helper = define_helper(jni)?;
    let error = |what: &'static str| move |error| format!("{what}: {error}");
    // The hook stays on: whenever another agent has these classes rewritten, the JVM begins anew from the
    // original bytes, and ours would be lost.
    jvmti.notify(JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, true).map_err(error("no class file hook"))?;
    jvmti.notify(JVMTI_EVENT_OBJECT_FREE, true).map_err(error("no free events"))?;
    let classes = Classes::find(jni, helper)?;
    jni.delete_local(helper);
    let classes = agent.classes.get_or_init(|| classes);
    agent.arm();
    for target in instrument::targets().filter(|target| wanted(agent, target)) {
        let class = match target {
            instrument::SHUTDOWN => classes.shutdown,
            instrument::DEFLATER => classes.deflater,
            _ => classes.inflater,
        };
        if let Err(error) = jvmti.retransform(&[class]) {
            missing(agent, target, vec![format!("{target}: it could not be rewritten: {error}")]);
        }
    }
    worker::start(jvmti, jni, classes.thread).map_err(|why| format!("no thread of our own: {why}"))?;
    if let Err(error) = jvmti.notify(JVMTI_EVENT_DATA_DUMP_REQUEST, true) {
        say(&format!("SIGQUIT asks for no report: {error}"));
    }
    ask_by_signal(agent);
    Ok(())
}

/// The way out of the JVM is of interest only to those who want a collection before the last report.
fn wanted(agent: &Agent, target: &str) -> bool {
    target != instrument::SHUTDOWN || agent.options.gc
}

fn ask_by_signal(agent: &Agent) {
    let choice = agent.options.signal;
    let Some(signal) = choice.value else { return };
    // JDK 8 under -Xcheck:jni prints all its handlers on standard output when SIGUSR1 is not at its default
    // (`os::run_periodic_checks`, INTERRUPT_SIGNAL): there it is taken only if the user says so.
    let java8 = agent.jvmti.system_property(c"java.vm.specification.version").is_some_and(|v| v == "1.8");
    if !choice.explicit && java8 && jvm_flag("-Xcheck:jni") {
        return;
    }
    if let Err(why) = take_signal(signal, &agent.bell)
        && choice.explicit
    {
        say(&format!("SIG{} asks for no report: {why}; SIGQUIT does", signal.name));
    }
}

/// Whether the JVM was started with this flag, as far as the process can tell.
fn jvm_flag(flag: &str) -> bool {
    let given = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let inherited =
        ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"].map(|name| std::env::var(name).unwrap_or_default());
    given.split(|byte| *byte == 0).any(|word| word == flag.as_bytes())
        || inherited.iter().any(|options| options.split_whitespace().any(|word| word == flag))
}

/// A local reference to the helper class.
fn define_helper(jni: Jni) -> Result<jclass, String> {
    let c = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let name = c(instrument::HELPER_CLASS)?;
    let class = jni
        .define_boot_class(&name, &instrument::helper_class())
        .ok_or("its helper class could not be defined; is a second zaudit loaded?")?;
    let descriptor = c(instrument::CALLBACK_DESCRIPTOR)?;
    let (created, ended) = (c(Callback::Created.method())?, c(Callback::Ended.method())?);
    let ending = c(Callback::Ending.method())?;
    let native = |name: &CStr, function: *const ()| JNINativeMethod {
        name: name.as_ptr(),
        signature: descriptor.as_ptr(),
        fnPtr: function.cast_mut().cast(),
    };
    let natives = [
        native(&created, hooks::created as *const ()),
        native(&ended, hooks::ended as *const ()),
        native(&ending, hooks::ending as *const ()),
    ];
    if jni.register(class, &natives) {
        Ok(class)
    } else {
        Err("the natives of its helper class could not be registered".into())
    }
}

extern "system" fn on_class_file(
    _jvmti: *mut jvmtiEnv,
    _env: *mut JNIEnv,
    _redefined: jclass,
    loader: jobject,
    name: *const c_char,
    _domain: jobject,
    length: jint,
    bytes: *const c_uchar,
    new_length: *mut jint,
    new_bytes: *mut *mut c_uchar,
) {
    // Every class that is loaded comes by here: those with hooks are told by loader and name before anything else.
    if !loader.is_null() || name.is_null() {
        return;
    }
    // SAFETY: the JVM hands a NUL-terminated string.
    let name = unsafe { CStr::from_ptr(name) };
    let Some(target) = instrument::targets().find(|target| target.as_bytes() == name.to_bytes()) else {
        return;
    };
    guard::entry(|| {
        let Some(agent) = Agent::get().filter(|agent| wanted(agent, target)) else { return };
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: the JVM hands `length` bytes, for the time of this call.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
        if let Some(rewritten) = rewrite(agent, target, bytes)
            && let Ok(size) = jint::try_from(rewritten.len())
        {
            match agent.jvmti.copy_out(&rewritten) {
                // SAFETY: both are out parameters of this callback.
                Ok(copy) => unsafe {
                    *new_length = size;
                    *new_bytes = copy;
                },
                Err(error) => missing(agent, target, vec![format!("{target}: {error}")]),
            }
        }
    });
}

fn rewrite(agent: &Agent, target: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match instrument::instrument(target, bytes) {
        Ok(done) => {
            missing(agent, target, done.missing);
            Some(done.bytes)
        }
        Err(refusal) => {
            missing(agent, target, vec![format!("{target}: {refusal}")]);
            None
        }
    }
}

/// Tells which hooks of a class are not in place, in the words of Java.
fn missing(agent: &Agent, target: &str, hooks: Vec<String>) {
    let class = target.replace('/', ".");
    let hooks: Vec<String> = hooks.iter().map(|hook| hook.replacen(target, &class, 1)).collect();
    for hook in &hooks {
        say(&format!("not hooked: {hook}"));
    }
    agent.session.hooks_missing(&class, hooks);
}

extern "system" fn on_object_free(_jvmti: *mut jvmtiEnv, tag: jlong) {
    // Called while the collector works: a push onto a queue, nothing else.
    if thread::is_thread_tag(tag) {
        return;
    }
    guard::entry(|| {
        if let Some(agent) = Agent::get() {
            agent.push_freed(InstanceId(tag.cast_unsigned()));
        }
    });
}

extern "system" fn on_data_dump_request(_jvmti: *mut jvmtiEnv) {
    guard::entry(|| {
        if let Some(agent) = Agent::get() {
            agent.bell.ring(DATA_DUMP_BYTE);
        }
    });
}

extern "system" fn on_vm_death(_jvmti: *mut jvmtiEnv, _env: *mut JNIEnv) {
    thread::enter();
    guard::entry(|| {
        if let Some(agent) = Agent::get()
            && agent.armed()
        {
            publish::last(agent);
            agent.over();
        }
    });
    thread::leave();
}
