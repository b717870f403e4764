//! What the JVM calls: load at the start, load by attach, and the events of the agent's life.
//!
//! Invariant: a failure here is one line on standard error, and the program runs as it would
//! without the agent (except with `strict`).

use crate::control::commands;
use crate::control::queries::Entries;
use crate::control::{archives, lifecycle, preflight, queries, reports};
use crate::observe::{events, guard};
use crate::state::agent::Agent;
use crate::state::slots;
use crate::sys::allocator;
use crate::sys::interposer;
use crate::sys::jni::{self, Jni};
use crate::sys::jvmti::{Jvmti, jint, jobject};
use crate::sys::posix::{self, read_small, say, write_stderr};
use crate::sys::wake::WakeReason;
use jvmti_bindings::sys::jni::{JNI_EDETACHED, JNI_ERR, JNI_OK, JNI_VERSION_1_6, JNIEnv, JavaVM};
use jvmti_bindings::sys::jvmti::{
    JVMTI_EVENT_VM_DEATH, JVMTI_EVENT_VM_INIT, jvmtiCapabilities, jvmtiEnv, jvmtiEvent,
    jvmtiEventCallbacks,
};
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use zaudit_core::files;
use zaudit_core::options::{self, Arm, Command, Options, Parsed};

/// The options of a JVM that was started with `arm=false`. The agent takes nothing from it before
/// an audit: from JDK 21 on, the first JVMTI environment makes virtual threads slower for good
/// (JDK-8330969).
static LOADED_WITH: OnceLock<Options> = OnceLock::new();

/// What has to be there before anything else runs; every way into the library begins with it.
fn set_up() {
    #[cfg(feature = "fault-injection")]
    crate::sys::failing_calls::set_up();
    allocator::set_up();
    guard::install_panic_hook();
}

/// Called by the JVM for `-agentpath` (JVMTI, "Agent Start-Up (OnLoad phase)").
#[unsafe(no_mangle)]
extern "system" fn Agent_OnLoad(
    vm: *mut JavaVM,
    options: *const c_char,
    _reserved: *mut c_void,
) -> jint {
    set_up();
    #[cfg(feature = "fault-injection")]
    if crate::sys::fault_injection::loaded() {
        allocator::pin();
    }
    guard::entry(|| load(vm, options)).unwrap_or(JNI_OK)
}

fn load(vm: *mut JavaVM, given: *const c_char) -> jint {
    if Agent::get().is_some() || LOADED_WITH.get().is_some() {
        say("the agent is already loaded; the second -agentpath is ignored");
        return JNI_OK;
    }
    // SAFETY: the JVM hands a NUL-terminated string, or null.
    let given = if given.is_null() { b"" } else { unsafe { CStr::from_ptr(given) }.to_bytes() };
    let Some(options) = options_at_start(given) else {
        say(DOES_NOT_START);
        return JNI_ERR;
    };
    if options.arm == Arm::Later && options.delay.is_none() {
        LOADED_WITH.get_or_init(|| options);
        return JNI_OK;
    }
    match install(vm, options, false, &AGENT_EVENTS) {
        // Before any agent can change a class.
        Ok(agent) if agent.is_armed_at_start() => {
            interposer::install(agent.jvmti, events::before_change);
        }
        Ok(_) => {}
        Err(why) => say(&format!("auditing is disabled: {why}")),
    }
    JNI_OK
}

/// What `strict` makes of a problem with the options.
const DOES_NOT_START: &str = "the JVM does not start, because the option strict is set";

/// The options of the command line and the environment; prints what is wrong with them. None if
/// the JVM must not start then.
fn options_at_start(given: &[u8]) -> Option<Options> {
    let mut parsed = environment();
    with_bytes(given, &mut parsed, Parsed::read);
    let mut options = parsed.options;
    if !options.quiet.explicit {
        options.quiet.value = is_in_every_jvm();
    }
    if options.help {
        write_stderr(options::help().as_bytes());
    }
    let (_, problems) = preflight::load_inputs(&options);
    let lines: Vec<String> = parsed.complaints.into_iter().chain(problems).collect();
    lines.iter().for_each(|line| say(line));
    if options.strict && !lines.is_empty() { None } else { Some(options) }
}

/// Whether every JVM that this environment starts gets the agent, `javac` included.
fn is_in_every_jvm() -> bool {
    std::env::var("JAVA_TOOL_OPTIONS").is_ok_and(|options| options.contains("zaudit"))
}

/// The options in the environment.
fn environment() -> Parsed {
    let mut parsed = Parsed::default();
    if let Some(text) = std::env::var_os("ZAUDIT_OPTIONS") {
        with_bytes(text.as_encoded_bytes(), &mut parsed, Parsed::read);
    }
    parsed
}

/// The size limit of an options file, in bytes.
const MAX_OPTIONS_BYTES: usize = 64 << 10;

type Reader<'a> = &'a dyn Fn(&str) -> Result<String, String>;

fn with_bytes<T: Default>(
    bytes: &[u8],
    parsed: &mut Parsed,
    read: impl FnOnce(&mut Parsed, &str, Reader<'_>) -> T,
) -> T {
    match str::from_utf8(bytes) {
        Ok(text) => read(parsed, text, &|path| {
            let bytes = read_small(path.as_ref(), MAX_OPTIONS_BYTES)
                .map_err(|error| files::reason(&error))?;
            String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".into())
        }),
        Err(_) => {
            let shown = String::from_utf8_lossy(bytes);
            parsed
                .complaints
                .push(format!("the options are not UTF-8; they are ignored: {shown:?}"));
            T::default()
        }
    }
}

/// Called by the JVM when Java code loads the library: `-javaagent` (`java/agent`). It defines the
/// class by which that code says what to do.
#[unsafe(no_mangle)]
extern "system" fn JNI_OnLoad(vm: *mut JavaVM, _reserved: *mut c_void) -> jint {
    set_up();
    let _busy = slots::busy();
    let defined = guard::entry(|| {
        // SAFETY: the JVM hands its own invocation table.
        unsafe { jni::keep_vm(vm) };
        let jni = Jni::of_this_thread().ok_or("the current thread has no JNI environment")?;
        queries::define(jni, &FOR_JAVA)
    });
    match defined {
        Some(Ok(())) => JNI_VERSION_1_6,
        Some(Err(why)) => {
            say(&format!("auditing is disabled: {why}"));
            JNI_ERR
        }
        None => JNI_ERR,
    }
}

/// What Java code may do.
static FOR_JAVA: Entries = Entries { command, load: load_from_java };

/// What `-javaagent` does when the JVM starts: as [`load`] and [`on_vm_init`] for `-agentpath`.
fn load_from_java(jni: Jni, given: &str) -> Result<String, String> {
    let vm = jni::vm().ok_or("the agent was not loaded by a JVM")?;
    if Agent::get().is_some() || LOADED_WITH.get().is_some() {
        say("the agent is already loaded; -javaagent is ignored");
        return Ok(String::new());
    }
    let Some(options) = options_at_start(given.as_bytes()) else {
        say(DOES_NOT_START);
        // If `premain` threw, the JVM would abort, with a core dump. If it called halt, JDK 26 and
        // later would wait a minute for the VMInit callback that runs `premain` (JDK-8355631).
        posix::end_process(1);
    };
    if options.arm == Arm::Later && options.delay.is_none() {
        LOADED_WITH.get_or_init(|| options);
        return Ok(String::new());
    }
    // VMInit is being posted already, and this is part of it.
    match install(vm, options, true, &[JVMTI_EVENT_VM_DEATH]) {
        Ok(agent) => {
            if agent.is_armed_at_start() {
                interposer::install(agent.jvmti, events::before_change);
            }
            begin(agent, jni);
        }
        Err(why) => say(&format!("auditing is disabled: {why}")),
    }
    Ok(String::new())
}

/// Called by the JVM for each attach (JVMTI, "Agent Start-Up (Live phase)"). It is the command
/// channel.
#[unsafe(no_mangle)]
extern "system" fn Agent_OnAttach(
    vm: *mut JavaVM,
    options: *const c_char,
    _reserved: *mut c_void,
) -> jint {
    set_up();
    #[cfg(feature = "fault-injection")]
    let _stage = crate::sys::fault_injection::memory("attach");
    let _busy = slots::busy();
    let failed = || {
        let mut parsed = Parsed::default();
        // SAFETY: the JVM hands a NUL-terminated string, or null.
        let options = (!options.is_null()).then(|| unsafe { CStr::from_ptr(options) }.to_bytes());
        with_bytes(options.unwrap_or_default(), &mut parsed, Parsed::read_command);
        commands::reply(
            &Err("the command failed with an internal error; see the standard error of the JVM"
                .into()),
            &parsed.options,
        )
    };
    guard::entry(|| attach(vm, options)).or_else(|| guard::entry(failed)).unwrap_or(JNI_ERR)
}

fn attach(vm: *mut JavaVM, given: *const c_char) -> jint {
    // SAFETY: the JVM hands a NUL-terminated string, or null.
    let given = if given.is_null() { b"" } else { unsafe { CStr::from_ptr(given) }.to_bytes() };
    match respond(vm, given) {
        Response { options, answer: Ok(answer) } => commands::reply(&answer, &options),
        Response { options, answer: Err(complaints) } => {
            commands::send(&complaints, &options);
            commands::NOT_UNDERSTOOD
        }
    }
}

/// What an attach or Java code gets for a command.
struct Response {
    /// They say where the answer goes.
    options: Options,
    /// An error means that the command was not understood.
    answer: Result<commands::Answer, String>,
}

fn respond(vm: *mut JavaVM, given: &[u8]) -> Response {
    // Options files are read once, because they may be pipes.
    let command = with_bytes(given, &mut Parsed::default(), |_, text, _| options::command(text).0);
    let agent = match (command, Agent::get()) {
        (_, Some(agent)) => Ok(agent),
        (Command::Arm, None) => {
            present(vm).map_err(|why| Err(format!("auditing is disabled: {why}")))
        }
        (command, None) => Err(commands::run_unarmed(command)),
    };
    // Arming inherits the options of the start; a report inherits those of the audit, except its
    // files. Every command says itself where its reply goes.
    let before = match (command, agent.as_ref().ok()) {
        (_, None) => Options::default(),
        (Command::Arm, Some(agent)) => Options { delay: None, ..agent.started_with.clone() },
        (_, Some(agent)) => match agent.hold_audit().as_deref() {
            Some(audit) => Options { files: Vec::new(), ..audit.options.clone() },
            None => Options::default(),
        },
    };
    let mut parsed = Parsed::on_top_of(Options { reply_file: None, ..before });
    with_bytes(given, &mut parsed, Parsed::read_command);
    let Parsed { options, complaints, .. } = parsed;
    let answer = match agent {
        _ if !complaints.is_empty() => Err(complaints.join("\n")),
        Err(answer) => Ok(answer),
        Ok(agent) => Ok(match Jni::of_this_thread() {
            None => Err("the current thread has no JNI environment".into()),
            Some(jni) => {
                jni.check_exceptions();
                wait_until_live(agent.jvmti).and_then(|()| {
                    agent.program_begins();
                    let answer = commands::run(agent, jni, command, &options)?;
                    define_queries(jni);
                    Ok(answer)
                })
            }
        }),
    };
    Response { options, answer }
}

/// Makes the agent known to Java code. An audit goes on without.
fn define_queries(jni: Jni) {
    if let Err(why) = queries::define(jni, &FOR_JAVA) {
        say(&format!("the API does not work in this JVM: {why}"));
    }
}

/// Runs a command of Java code in this process.
fn command(given: &str) -> Result<String, String> {
    let vm = jni::vm().ok_or("the agent was not loaded by a JVM")?;
    respond(vm, given.as_bytes()).answer?
}

/// Returns the agent, and installs it on the first attach. Attaches may come from several threads:
/// from the JVM's attach listener, and through the MBean operation of the command
/// `JVMTI.agent_load`.
fn present(vm: *mut JavaVM) -> Result<&'static Agent, String> {
    static FIRST: Mutex<()> = Mutex::new(());
    let _first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(agent) = Agent::get() {
        return Ok(agent);
    }
    let options = LOADED_WITH.get().cloned().unwrap_or_else(|| {
        let environment = environment();
        environment.complaints.iter().for_each(|line| say(line));
        environment.options
    });
    install(vm, options, true, &AGENT_EVENTS)
}

/// How long the start phase of a JVM may last after the first attach.
const START_PHASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for the live phase. A starting JVM accepts attaches before, but ends if a class is defined
/// in a package of ours before it knows modules.
fn wait_until_live(jvmti: Jvmti) -> Result<(), String> {
    let began = Instant::now();
    while jvmti.is_starting().map_err(|error| format!("JVMTI GetPhase failed: {error}"))? {
        if began.elapsed() > START_PHASE_TIMEOUT {
            return Err("the JVM is still starting; try again".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Creates a JVMTI environment. A starting JVM accepts attaches already in the start phase, in
/// which GetEnv returns `JNI_EDETACHED` for a library that was not loaded at the start.
fn jvmti(vm: *mut JavaVM) -> Result<Jvmti, String> {
    let began = Instant::now();
    loop {
        // SAFETY: the JVM hands its own invocation table.
        match unsafe { Jvmti::of(vm) } {
            Err(JNI_EDETACHED) if began.elapsed() < START_PHASE_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => {
                return other.map_err(|code| {
                    format!("JNI GetEnv returned no JVMTI environment (error {code})")
                });
            }
        }
    }
}

/// The events of the agent's life.
const AGENT_EVENTS: [jvmtiEvent; 2] = [JVMTI_EVENT_VM_INIT, JVMTI_EVENT_VM_DEATH];

/// Creates the agent, without a hook. `live` says whether the JVM is in its live phase.
fn install(
    vm: *mut JavaVM,
    options: Options,
    live: bool,
    events: &[jvmtiEvent],
) -> Result<&'static Agent, String> {
    // SAFETY: the JVM hands its own invocation table.
    unsafe { jni::keep_vm(vm) };
    let jvmti = jvmti(vm)?;
    let installed = prepare(jvmti, events).and_then(|()| {
        let installed = Agent::new(jvmti, options, live).install();
        installed.ok_or_else(|| "another thread is loading the agent".into())
    });
    installed.inspect_err(|_| {
        // SAFETY: no agent has this environment, and the callbacks do nothing without one.
        if let Err(error) = unsafe { jvmti.dispose() } {
            say(&format!("JVMTI DisposeEnvironment failed: {error}"));
        }
    })
}

/// Prepares the agent's own environment, with these events. Until the agent is installed, they do
/// nothing.
fn prepare(jvmti: Jvmti, events: &[jvmtiEvent]) -> Result<(), String> {
    let failed = |function: &'static str| move |error| format!("JVMTI {function} failed: {error}");
    let release = jvmti.read_release().map_err(failed("GetSystemProperty"))?;
    if let Some(flag) = archives::recording(release) {
        return Err(format!(
            "this JVM records for an AOT cache ({flag}), which cannot contain instrumented classes; \
             to audit it, start it without that flag"
        ));
    }
    let mut wanted = jvmtiCapabilities::default();
    wanted.set_can_get_source_file_name(true);
    wanted.set_can_get_line_numbers(true);
    jvmti.add_capabilities(&wanted).map_err(failed("AddCapabilities"))?;
    let mut callbacks = jvmtiEventCallbacks::default();
    callbacks.VMInit = Some(on_vm_init);
    callbacks.VMDeath = Some(on_vm_death);
    callbacks.DataDumpRequest = Some(on_data_dump_request);
    jvmti.set_callbacks(&callbacks).map_err(failed("SetEventCallbacks"))?;
    let mut events = events.iter();
    events.try_for_each(|event| {
        jvmti.notify(*event, true).map_err(failed("SetEventNotificationMode"))
    })
}

extern "system" fn on_vm_init(_jvmti: *mut jvmtiEnv, env: *mut JNIEnv, _thread: jobject) {
    let _busy = slots::busy();
    guard::entry(|| {
        // SAFETY: the JVM hands its own environment of this thread to a callback.
        let jni = unsafe { Jni::new(env) };
        if let Some(agent) = Agent::get() {
            begin(agent, jni);
        }
    });
}

/// Does what the options say of the JVM's start.
fn begin(agent: &'static Agent, jni: Jni) {
    let options = &agent.started_with;
    let armed = match options.delay {
        Some(delay) => commands::wait_to_arm(agent, jni, delay, options).map(drop),
        None if options.arm == Arm::AtStart => {
            // Loading has already printed what is wrong with the rules.
            let (expected, _) = preflight::load_inputs(options);
            lifecycle::arm(agent, &agent.control(), jni, options, expected)
        }
        None => Ok(()),
    };
    match armed {
        Ok(()) => define_queries(jni),
        Err(why) => {
            interposer::remove();
            // A JVM that is already exiting needs no audit, and an internal error was printed.
            if !agent.is_shut_down() {
                say(&format!("auditing is disabled: {why}"));
            }
        }
    }
    agent.program_begins();
}

extern "system" fn on_data_dump_request(_jvmti: *mut jvmtiEnv) {
    guard::entry(|| {
        if let Some(agent) = Agent::get() {
            agent.waker().wake(WakeReason::DATA_DUMP);
        }
    });
}

extern "system" fn on_vm_death(_jvmti: *mut jvmtiEnv, _env: *mut JNIEnv) {
    let _busy = slots::busy();
    guard::entry(|| {
        if let Some(agent) = Agent::get()
            && !agent.is_shut_down()
        {
            reports::write_final(agent);
            agent.shut_down();
        }
    });
}
