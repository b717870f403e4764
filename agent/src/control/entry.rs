//! What the JVM calls: loading at the start and by attach, and the events.
//!
//! Invariant: whatever goes wrong here is one line on standard error and a program that runs as without the agent
//! (`strict` apart).

use crate::control::commands;
use crate::control::{archives, lifecycle, preflight, reports};
use crate::observe::{guard, threads};
use crate::state::agent::Agent;
use crate::sys::allocator;
use crate::sys::jni::{self, Jni};
use crate::sys::jvmti::{Jvmti, jint, jobject};
use crate::sys::posix::{read_small, say, write_stderr};
use crate::sys::wake::WakeReason;
use jvmti_bindings::sys::jni::{JNI_EDETACHED, JNI_ERR, JNI_OK, JNIEnv, JavaVM};
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_VM_DEATH, JVMTI_EVENT_VM_INIT, jvmtiCapabilities, jvmtiEnv, jvmtiEventCallbacks,
};
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zaudit_core::files;
use zaudit_core::options::{self, Command, Options, Parsed};

/// Called by the JVM for `-agentpath` (JVMTI, "Agent Start-Up (OnLoad phase)").
#[unsafe(no_mangle)]
extern "system" fn Agent_OnLoad(vm: *mut JavaVM, options: *const c_char, _reserved: *mut c_void) -> jint {
    allocator::set_up();
    guard::speak_on_panic();
    #[cfg(feature = "fault-injection")]
    if crate::sys::fault_injection::loaded() {
        allocator::pin();
    }
    guard::entry(|| load(vm, options)).unwrap_or(JNI_OK)
}

fn load(vm: *mut JavaVM, given: *const c_char) -> jint {
    if Agent::get().is_some() {
        say("loaded already; this second -agentpath does nothing");
        return JNI_OK;
    }
    let mut parsed = environment();
    with_text(given, &mut parsed, Parsed::read);
    let mut options = parsed.options;
    if !options.quiet.explicit {
        options.quiet.value = comes_to_every_jvm();
    }
    if options.help {
        write_stderr(options::help().as_bytes());
    }
    let (_, troubles) = preflight::look(&options);
    let lines: Vec<String> = parsed.complaints.into_iter().chain(troubles).collect();
    lines.iter().for_each(|line| say(line));
    if options.strict && !lines.is_empty() {
        say("the JVM does not start: strict is on");
        return JNI_ERR;
    }
    if let Err(why) = install(vm, options) {
        say(&format!("nothing is audited: {why}"));
    }
    JNI_OK
}

/// Whether every JVM that is started from here gets the agent, `javac` included.
fn comes_to_every_jvm() -> bool {
    std::env::var("JAVA_TOOL_OPTIONS").is_ok_and(|options| options.contains("zaudit"))
}

/// What the environment asks for.
fn environment() -> Parsed {
    let mut parsed = Parsed::default();
    if let Some(text) = std::env::var_os("ZAUDIT_OPTIONS") {
        with_bytes(text.as_encoded_bytes(), &mut parsed, Parsed::read);
    }
    parsed
}

/// Bytes of a file of options.
const MOST_OPTIONS: usize = 64 << 10;

type Reader<'a> = &'a dyn Fn(&str) -> Result<String, String>;

fn with_text<T: Default>(
    text: *const c_char,
    parsed: &mut Parsed,
    read: impl FnOnce(&mut Parsed, &str, Reader<'_>) -> T,
) -> T {
    // SAFETY: the JVM hands a NUL-terminated string, or null.
    let bytes = if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() };
    with_bytes(bytes, parsed, read)
}

fn with_bytes<T: Default>(
    bytes: &[u8],
    parsed: &mut Parsed,
    read: impl FnOnce(&mut Parsed, &str, Reader<'_>) -> T,
) -> T {
    match str::from_utf8(bytes) {
        Ok(text) => read(parsed, text, &|path| {
            let bytes = read_small(path.as_ref(), MOST_OPTIONS).map_err(|error| files::reason(&error))?;
            String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
        }),
        Err(_) => {
            let shown = String::from_utf8_lossy(bytes);
            parsed.complaints.push(format!("the options are not UTF-8 and are ignored: {shown:?}"));
            T::default()
        }
    }
}

/// Called by the JVM for each attach (JVMTI, "Agent Start-Up (Live phase)"): it is the command channel.
#[unsafe(no_mangle)]
extern "system" fn Agent_OnAttach(vm: *mut JavaVM, options: *const c_char, _reserved: *mut c_void) -> jint {
    allocator::set_up();
    guard::speak_on_panic();
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("attach");
    let _inside = threads::enter();
    let failed = || {
        let mut parsed = Parsed::default();
        with_text(options, &mut parsed, Parsed::read_command);
        commands::reply(&Err("an internal error: the JVM's standard error says more".into()), &parsed.options)
    };
    guard::entry(|| attach(vm, options)).or_else(|| guard::entry(failed)).unwrap_or(JNI_ERR)
}

fn attach(vm: *mut JavaVM, given: *const c_char) -> jint {
    // Files of options are read once: they may be pipes.
    let command = with_text(given, &mut Parsed::default(), |_, text, _| options::command(text).0);
    let agent = match present(vm) {
        Ok(agent) => agent,
        Err(why) => {
            let mut parsed = Parsed::default();
            with_text(given, &mut parsed, Parsed::read_command);
            return commands::reply(&Err(format!("nothing is audited: {why}")), &parsed.options);
        }
    };
    // To arm, the options of the start hold on; to report, those of the audit, but for its file. Where an answer goes
    // each command says for itself.
    let before = match (command, agent.audit().as_deref()) {
        (Command::Arm, _) => Options { delay: None, ..agent.started_with.clone() },
        (_, Some(audit)) => Options { files: Vec::new(), ..audit.options.clone() },
        (_, None) => Options::default(),
    };
    let mut parsed = Parsed::on_top_of(Options { reply_file: None, ..before });
    with_text(given, &mut parsed, Parsed::read_command);
    if !parsed.complaints.is_empty() {
        commands::tell(&parsed.complaints.join("\n"), &parsed.options);
        return commands::NOT_UNDERSTOOD;
    }
    let Some(jni) = Jni::of_this_thread() else {
        return commands::reply(&Err("this thread has no JNI".into()), &parsed.options);
    };
    jni.check_exceptions();
    agent.program_begins();
    commands::reply(&commands::run(agent, jni, command, &parsed.options), &parsed.options)
}

/// The agent, installed if this is the first that is heard of it. The JVM has one thread for attaches, and more that may
/// come this way: its command `JVMTI.agent_load` is an MBean's operation, too.
fn present(vm: *mut JavaVM) -> Result<&'static Agent, String> {
    static FIRST: Mutex<()> = Mutex::new(());
    let _first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(agent) = Agent::get() {
        return Ok(agent);
    }
    let environment = environment();
    environment.complaints.iter().for_each(|line| say(line));
    install(vm, environment.options)
}

/// How long a JVM that starts may need from its first attach to its start phase's end.
const START: Duration = Duration::from_secs(5);

/// The JVM's environment for agents. One that is just starting answers attaches in the start phase already, in which GetEnv says
/// `JNI_EDETACHED` to whoever comes late.
fn jvmti(vm: *mut JavaVM) -> Result<Jvmti, String> {
    let asked = Instant::now();
    loop {
        // SAFETY: the JVM hands its own invocation table.
        match unsafe { Jvmti::of(vm) } {
            Err(JNI_EDETACHED) if asked.elapsed() < START => std::thread::sleep(Duration::from_millis(2)),
            other => {
                return other.map_err(|code| format!("this JVM has no JVMTI for agents (JNI code {code})"));
            }
        }
    }
}

/// The agent itself, without a hook.
fn install(vm: *mut JavaVM, options: Options) -> Result<&'static Agent, String> {
    // SAFETY: the JVM hands its own invocation table.
    unsafe { jni::keep_vm(vm) };
    let jvmti = jvmti(vm)?;
    if let Some(flag) = archives::recording(jvmti.release()) {
        // SAFETY: only this function has it.
        unsafe { jvmti.dispose() }.map_err(|error| format!("a JVMTI environment stays: {error}"))?;
        return Err(format!(
            "this JVM records for an AOT cache ({flag}), which leaves instrumented classes out; \
             start it without that flag to audit it"
        ));
    }
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_get_source_file_name(true);
    wanted.set_can_get_line_numbers(true);
    let error = |what: &'static str| move |error| format!("{what}: {error}");
    jvmti.add_capabilities(&wanted).map_err(error("the JVM refuses what is needed"))?;
    let mut callbacks = jvmtiEventCallbacks::default();
    callbacks.VMInit = Some(on_vm_init);
    callbacks.VMDeath = Some(on_vm_death);
    callbacks.DataDumpRequest = Some(on_data_dump_request);
    jvmti.set_callbacks(&callbacks).map_err(error("no callbacks"))?;
    let agent = Agent::new(jvmti, options).install().ok_or("loaded twice at once")?;
    for event in [JVMTI_EVENT_VM_INIT, JVMTI_EVENT_VM_DEATH] {
        jvmti.notify(event, true).map_err(error("no events"))?;
    }
    Ok(agent)
}

extern "system" fn on_vm_init(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _thread: jobject) {
    let _inside = threads::enter();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to a callback.
        let jni = unsafe { Jni::new(env) };
        let Some(agent) = Agent::get() else { return };
        let options = &agent.started_with;
        let begun = match options.delay {
            Some(delay) => commands::wait_to_arm(agent, jni, delay, options).map(drop),
            None if options.arm => {
                // What is wrong with the rules was said while loading.
                let (expected, _) = preflight::look(options);
                lifecycle::arm(agent, &agent.control(), jni, options, expected)
            }
            None => Ok(()),
        };
        if let Err(why) = begun {
            say(&format!("nothing is audited: {why}"));
        }
        agent.program_begins();
    });
}

extern "system" fn on_data_dump_request(_jvmti: *mut jvmtiEnv) {
    guard::entry(|| {
        if let Some(agent) = Agent::get() {
            agent.waker().wake(WakeReason::DATA_DUMP);
        }
    });
}

extern "system" fn on_vm_death(_jvmti: *mut jvmtiEnv, _env: *mut JNIEnv) {
    let _inside = threads::enter();
    guard::entry(|| {
        if let Some(agent) = Agent::get()
            && !agent.is_over()
        {
            reports::last(agent);
            agent.over();
        }
    });
}
