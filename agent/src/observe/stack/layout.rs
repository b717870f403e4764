//! Where HotSpot keeps what the walk reads: offsets and addresses from its exported tables, and the
//! few that no table has.
//!
//! Known for JDK 8 to 28 on x86-64. Invariant: a layout is complete, or there is none, with the
//! reason.

use crate::sys::jni::Jni;
use crate::sys::jvmti::{Jvmti, jclass};
use crate::sys::memory::{Checked, Value};
use crate::sys::vm_structs::VmStructs;
use std::ops::RangeInclusive;

/// The JDKs whose frames are known.
const RELEASES: RangeInclusive<u32> = 8..=28;

/// The last Java frame of a thread, as offsets in a structure.
#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    pub(crate) sp: usize,
    pub(crate) pc: usize,
    pub(crate) fp: usize,
}

/// One heap of the code cache.
#[derive(Clone, Debug)]
pub(crate) struct CodeHeap {
    pub(crate) low: usize,
    /// The address of the field with the end of the memory in use.
    pub(crate) high_at: usize,
    /// The segment map: for each segment of the heap a byte that says how far back its block
    /// begins, or how far back to continue looking.
    pub(crate) map: usize,
    /// The address of the field with the end of the segment map in use.
    pub(crate) map_high_at: usize,
    /// The binary logarithm of the size of a segment.
    pub(crate) shift: u32,
}

/// How code that was deoptimised is recognised: a return address is one of two handlers' then.
#[derive(Clone, Debug)]
pub(crate) enum DeoptHandlers {
    /// Fields with the address of a handler.
    Addresses(usize, usize),
    /// Fields with the offset of a handler from the start of the code; JDK 26 and later have one.
    Offsets(usize, Option<usize>),
}

/// How the frame at the bottom of a continuation is recognised.
#[derive(Clone, Debug)]
pub(crate) enum Bottom {
    /// This JDK has no continuations.
    None,
    /// The address of the field with an address in its code.
    ReturnPc(usize),
    /// Its method.
    Method(usize),
}

/// All offsets are in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// From a JavaThread to its JNI environment.
    pub(crate) env: usize,
    /// In a JavaThread: the outer end of its stack, and the size of it.
    pub(crate) stack_base: usize,
    pub(crate) stack_size: usize,
    /// In a JavaThread.
    pub(crate) anchor: Anchor,
    /// In a JavaThread: the number (`Thread.threadId`) of the thread that it runs, platform or
    /// virtual. JDK 25 to 28 have it.
    pub(crate) running: Option<usize>,
    /// In a JavaCallWrapper: the anchor of the Java frames below a call from native code.
    pub(crate) wrapper: Anchor,
    /// From an entry frame's fp to the address of its JavaCallWrapper.
    pub(crate) wrapper_slot: isize,
    /// The code of the interpreter: address and size.
    pub(crate) interpreter: (usize, usize),
    /// The return address of every entry frame.
    pub(crate) call_stub_return: usize,
    /// The address of the field with the return barrier's address. None before JDK 27.
    pub(crate) return_barrier: Option<usize>,
    pub(crate) bottom: Bottom,
    /// In a ContinuationEntry: the entry around it, and whether it is that of a virtual thread.
    pub(crate) entry_parent: usize,
    pub(crate) entry_flags: usize,
    /// The largest first: it has the most code.
    pub(crate) heaps: Box<[CodeHeap]>,
    /// The lowest address of all heaps.
    pub(crate) code_low: usize,
    /// Whether there is code outside these heaps, such as that of jaotc.
    pub(crate) other_code: bool,
    /// In the header of a block of a code heap: whether it is in use; and the header's size.
    pub(crate) block_used: usize,
    pub(crate) block_header: usize,
    /// In a CodeBlob: the address of its name, its size, and the size of its frame in words.
    pub(crate) blob_name: usize,
    pub(crate) blob_size: usize,
    pub(crate) frame_size: usize,
    /// The end of these fields.
    pub(crate) blob_end: usize,
    /// In an nmethod: a number that is never given again, its method, and the offset in its frame
    /// of the return address before it was deoptimised.
    pub(crate) compile_id: usize,
    pub(crate) compiled_method: usize,
    pub(crate) original_pc: usize,
    pub(crate) deopt: DeoptHandlers,
    /// The end of these fields.
    pub(crate) nmethod_end: usize,
    /// From an interpreted frame's fp to its Method, and to its position.
    pub(crate) method_slot: isize,
    pub(crate) position_slot: isize,
    /// From a Method to its jmethodID: ConstMethod, ConstantPool, number, holder, ids.
    pub(crate) const_method: usize,
    pub(crate) constants: usize,
    pub(crate) method_number: usize,
    pub(crate) const_method_size: usize,
    pub(crate) pool_holder: usize,
    pub(crate) method_ids: usize,
    /// Added to the size of every frame.
    #[cfg(feature = "fault-injection")]
    pub(crate) extra_frame_bytes: usize,
}

impl Layout {
    /// The layout of this JVM. `any` is any class. The error says why the stack cannot be walked.
    pub(crate) fn find(jvmti: Jvmti, jni: Jni, any: jclass) -> Result<Layout, String> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Err("the frames of this processor are not known".into());
        }
        let release = jvmti.release();
        if !RELEASES.contains(&release) {
            return Err(format!("JDK {release} is not known"));
        }
        let tables = VmStructs::find()?;
        // Another compiler lays out its frames in its own way.
        for flag in ["EnableJVMCI", "UseJVMCICompiler"] {
            if tables.flag(flag)? == Some(true) {
                return Err(format!("the flag {flag} is on"));
            }
        }
        // With value classes, code of C2 extends frames.
        let has_values = ["ValueKlass", "InlineKlass"].iter().any(|it| tables.size(it).is_ok());
        if has_values && preview(jni, any) != Some(false) {
            return Err("preview features are enabled".into());
        }
        let mut layout = Layout::of(&tables, &mut Memory::new()?, release)?;
        layout.env = distance(jvmti, jni, any)?;
        if (19..25).contains(&release) && matches!(layout.bottom, Bottom::None) {
            layout.bottom = bottom_method(jni, any).map_or(Bottom::None, Bottom::Method);
        }
        #[cfg(feature = "fault-injection")]
        layout.sabotage();
        Ok(layout)
    }

    fn of(tables: &VmStructs, memory: &mut Memory, release: u32) -> Result<Layout, String> {
        let offset = |owner, name| tables.offset(owner, name);
        let either = |choices: &[(&str, &str)]| {
            let mut found = choices.iter().map(|(owner, name)| tables.offset(owner, name));
            found.find(Result::is_ok).unwrap_or_else(|| {
                let (owner, name) = choices.first().copied().unwrap_or_default();
                tables.offset(owner, name)
            })
        };
        let anchor = |start: usize| {
            Ok::<Anchor, String>(Anchor {
                sp: start + offset("JavaFrameAnchor", "_last_Java_sp")?,
                pc: start + offset("JavaFrameAnchor", "_last_Java_pc")?,
                fp: start + offset("JavaFrameAnchor", "_last_Java_fp")?,
            })
        };
        if tables.constant("frame::interpreter_frame_sender_sp_offset").is_ok_and(|slot| slot != -1)
        {
            return Err("interpreted frames are laid out in another way".into());
        }
        let slot = tables.constant("frame::entry_frame_call_wrapper_offset")?;
        let code = memory.word(tables.address("AbstractInterpreter", "_code")?)?;
        let interpreter = memory.word(code + offset("StubQueue", "_stub_buffer")?)?;
        let size = memory.number(code + offset("StubQueue", "_buffer_limit")?)?;
        let call_stub_return =
            memory.word(tables.address("StubRoutines", "_call_stub_return_address")?)?;
        if interpreter == 0 || !(1..64 << 20).contains(&size) || call_stub_return == 0 {
            return Err("the interpreter is not where it should be".into());
        }
        let deopt = match offset("CompiledMethod", "_deopt_handler_begin") {
            Ok(handler) => DeoptHandlers::Addresses(
                handler,
                offset("CompiledMethod", "_deopt_mh_handler_begin")?,
            ),
            Err(_) => DeoptHandlers::Offsets(
                either(&[
                    ("nmethod", "_deopt_handler_entry_offset"),
                    ("nmethod", "_deopt_handler_offset"),
                    ("nmethod", "_deoptimize_offset"),
                ])?,
                either(&[
                    ("nmethod", "_deopt_mh_handler_offset"),
                    ("nmethod", "_deoptimize_mh_offset"),
                ])
                .ok(),
            ),
        };
        let (heaps, code_low, other_code) = code_heaps(tables, memory)?;
        let (blob_name, blob_size, frame_size) = (
            offset("CodeBlob", "_name")?,
            offset("CodeBlob", "_size")?,
            offset("CodeBlob", "_frame_size")?,
        );
        let (compile_id, compiled_method, original_pc) = (
            offset("nmethod", "_compile_id")?,
            either(&[("CompiledMethod", "_method"), ("nmethod", "_method")])?,
            offset("nmethod", "_orig_pc_offset")?,
        );
        let (handler, method_handle_handler) = match deopt {
            DeoptHandlers::Addresses(one, other) => (one, other),
            DeoptHandlers::Offsets(one, other) => (one, other.unwrap_or(0)),
        };
        let end = |fields: &[usize]| fields.iter().max().map_or(0, |last| last + size_of::<u64>());
        let bottom = match tables.address("ContinuationEntry", "_return_pc") {
            Ok(field) => Bottom::ReturnPc(field),
            Err(_) => Bottom::None,
        };
        Ok(Layout {
            env: 0,
            stack_base: either(&[("JavaThread", "_stack_base"), ("Thread", "_stack_base")])?,
            stack_size: either(&[("JavaThread", "_stack_size"), ("Thread", "_stack_size")])?,
            anchor: anchor(offset("JavaThread", "_anchor")?)?,
            running: offset("JavaThread", "_monitor_owner_id").ok(),
            wrapper: anchor(offset("JavaCallWrapper", "_anchor")?)?,
            wrapper_slot: 8 * isize::try_from(slot).map_err(|error| error.to_string())?,
            interpreter: (interpreter, size as usize),
            call_stub_return,
            return_barrier: tables.address("StubRoutines", "_cont_returnBarrier").ok(),
            bottom,
            // JDK 21 to 28; exported from JDK 27 on.
            entry_parent: offset("ContinuationEntry", "_parent").unwrap_or(8),
            entry_flags: offset("ContinuationEntry", "_flags").unwrap_or(32),
            heaps,
            code_low,
            other_code,
            block_used: offset("HeapBlock", "_header")? + offset("HeapBlock::Header", "_used")?,
            block_header: tables.size("HeapBlock")?,
            blob_name,
            blob_size,
            frame_size,
            blob_end: end(&[blob_name, blob_size, frame_size]),
            compile_id,
            compiled_method,
            original_pc,
            nmethod_end: end(&[
                compile_id,
                compiled_method,
                original_pc,
                handler,
                method_handle_handler,
            ]),
            deopt,
            method_slot: 8 * -3,
            // The frame has the method's mirror from JDK 9 on.
            position_slot: if release <= 8 { 8 * -7 } else { 8 * -8 },
            const_method: offset("Method", "_constMethod")?,
            constants: offset("ConstMethod", "_constants")?,
            method_number: offset("ConstMethod", "_method_idnum")?,
            const_method_size: tables.size("ConstMethod")?,
            pool_holder: offset("ConstantPool", "_pool_holder")?,
            method_ids: offset("InstanceKlass", "_methods_jmethod_ids")?,
            #[cfg(feature = "fault-injection")]
            extra_frame_bytes: 0,
        })
    }

    /// Whether an address lies in the code cache.
    pub(crate) fn is_code(&self, address: usize) -> bool {
        let high = |heap: &CodeHeap| Checked::new().get::<usize>(heap.high_at).unwrap_or(0);
        self.heaps.iter().any(|heap| address >= heap.low && address < high(heap))
    }

    /// Changes the field that `ZAUDIT_FAULT=walk-FIELD+8` or `walk-FIELD-8` names.
    #[cfg(feature = "fault-injection")]
    fn sabotage(&mut self) {
        let Some((field, by)) = crate::sys::fault_injection::walk() else { return };
        let shift = by.signum();
        let heaps = &mut self.heaps;
        let offset = match field.as_str() {
            "shift" => {
                heaps.iter_mut().for_each(|heap| {
                    heap.shift = heap.shift.wrapping_add_signed(shift as i32);
                });
                return;
            }
            "method_slot" => return self.method_slot += by,
            "position_slot" => return self.position_slot += by,
            "wrapper_slot" => return self.wrapper_slot += by,
            "frame" => &mut self.extra_frame_bytes,
            "env" => &mut self.env,
            "stack_base" => &mut self.stack_base,
            "stack_size" => &mut self.stack_size,
            "anchor_sp" => &mut self.anchor.sp,
            "anchor_pc" => &mut self.anchor.pc,
            "anchor_fp" => &mut self.anchor.fp,
            "wrapper_sp" => &mut self.wrapper.sp,
            "wrapper_pc" => &mut self.wrapper.pc,
            "wrapper_fp" => &mut self.wrapper.fp,
            "block_header" => &mut self.block_header,
            "blob_name" => &mut self.blob_name,
            "frame_size" => &mut self.frame_size,
            "compiled_method" => &mut self.compiled_method,
            "original_pc" => &mut self.original_pc,
            "const_method" => &mut self.const_method,
            "constants" => &mut self.constants,
            "method_number" => &mut self.method_number,
            "pool_holder" => &mut self.pool_holder,
            "method_ids" => &mut self.method_ids,
            _ => return,
        };
        *offset = offset.wrapping_add_signed(by);
    }
}

/// Reads of what the JVM set up at its start.
struct Memory(Checked);

impl Memory {
    /// Fails where the kernel forbids such reads: the walk could not be tested there.
    fn new() -> Result<Memory, String> {
        let mut memory = Checked::new();
        let number = 0_usize;
        match memory.get::<usize>((&raw const number).expose_provenance()) {
            Some(0) => Ok(Memory(memory)),
            _ => Err("the system call process_vm_readv is not permitted".into()),
        }
    }

    fn get<T: Value>(&mut self, at: usize) -> Result<T, String> {
        self.0.get(at).ok_or_else(|| "the JVM's tables point to nothing".into())
    }

    fn word(&mut self, at: usize) -> Result<usize, String> {
        self.get(at)
    }

    fn number(&mut self, at: usize) -> Result<u32, String> {
        self.get(at)
    }
}

/// The heaps of the code cache, their lowest address, and whether others were left out.
fn code_heaps(
    tables: &VmStructs,
    memory: &mut Memory,
) -> Result<(Box<[CodeHeap]>, usize, bool), String> {
    /// Each size of compiled code has a heap, and code that is moved together has one.
    const MAX_HEAPS: usize = 8;
    let mut all = Vec::new();
    if let Ok(list) = tables.address("CodeCache", "_heaps") {
        let list = memory.word(list)?;
        let length = tables
            .offset("GrowableArrayBase", "_len")
            .or_else(|_| tables.offset("GenericGrowableArray", "_len"))?;
        let elements = memory.word(list + tables.offset("GrowableArray<int>", "_data")?)?;
        for index in 0..(memory.number(list + length)? as usize).min(MAX_HEAPS + 1) {
            all.push(memory.word(elements + 8 * index)?);
        }
    } else {
        all.push(memory.word(tables.address("CodeCache", "_heap")?)?);
    }
    let field = |name| tables.offset("CodeHeap", name);
    let (space, map, shift) = (field("_memory")?, field("_segmap")?, field("_log2_segment_size")?);
    let end = |name| tables.offset("VirtualSpace", name);
    let (low, high, boundary) = (end("_low")?, end("_high")?, end("_high_boundary")?);
    let (mut heaps, mut other_code) = (Vec::new(), false);
    for heap in all {
        let (start, limit) =
            (memory.word(heap + space + low)?, memory.word(heap + space + boundary)?);
        let found = CodeHeap {
            low: start,
            high_at: heap + space + high,
            map: memory.word(heap + map + low)?,
            map_high_at: heap + map + high,
            shift: memory.number(heap + shift)?,
        };
        let size = limit.wrapping_sub(start);
        // The code of jaotc is in a heap of another form.
        if start == 0 || found.map == 0 || !(4..=16).contains(&found.shift) || size > 2 << 30 {
            other_code = true;
        } else {
            heaps.push((size, limit, found));
        }
    }
    heaps.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    let code_low = heaps.iter().map(|(_, _, heap)| heap.low).min().unwrap_or(0);
    let code_high = heaps.iter().map(|(_, limit, _)| *limit).max().unwrap_or(0);
    if heaps.is_empty() || heaps.len() > MAX_HEAPS || code_high - code_low > 4 << 30 {
        return Err("the code cache is not laid out as usual".into());
    }
    Ok((heaps.into_iter().map(|(_, _, heap)| heap).collect(), code_low, other_code))
}

/// From a JavaThread to its JNI environment: the current thread's address is in its `Thread`.
fn distance(jvmti: Jvmti, jni: Jni, any: jclass) -> Result<usize, String> {
    let thread = jvmti.current_thread().map_err(|error| error.to_string())?;
    let class = jni.boot_class(any, c"java.lang.Thread");
    let field = class.and_then(|class| jni.field(class, c"eetop", c"J"));
    let address = match field {
        Some(field) if !jni.is_virtual(thread) => jni.long_field(thread, field),
        _ => 0,
    };
    jni.delete_local(thread);
    let distance = (jni.raw() as usize).wrapping_sub(address as usize);
    match distance {
        8..=0xffff if address != 0 && distance.is_multiple_of(8) => Ok(distance),
        _ => Err("the JNI environment is not part of the thread".into()),
    }
}

/// Whether preview features are on. None if that is unknown.
fn preview(jni: Jni, any: jclass) -> Option<bool> {
    let class = jni.boot_class(any, c"jdk.internal.misc.PreviewFeatures")?;
    let method = jni.static_method(class, c"isEnabled", c"()Z");
    let enabled = method.and_then(|method| jni.call_static_boolean(class, method));
    jni.delete_local(class);
    enabled
}

/// The Method of `Continuation.enterSpecial`: up to JDK 24 a jmethodID is the address of a pointer
/// to it.
fn bottom_method(jni: Jni, any: jclass) -> Option<usize> {
    let class = jni.boot_class(any, c"jdk.internal.vm.Continuation")?;
    let id = jni.static_method(class, c"enterSpecial", c"(Ljdk/internal/vm/Continuation;ZZ)V");
    jni.delete_local(class);
    Checked::new().get(id? as usize).filter(|method| *method != 0)
}
