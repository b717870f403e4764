//! The footprint of an instance with the zlib that this process has loaded, measured on a
//! `z_stream` of our own.
//!
//! If `libzip.so` is linked to a shared zlib (Debian, Fedora), the agent calls that zlib as the JDK
//! does, with an allocator that counts. If it contains its own zlib behind hidden symbols (Temurin
//! and most other builds), the JDK's own natives create the `z_stream`, and its blocks are counted
//! as they are freed. Invariant: it costs a few microseconds on a thread of ours, never in a hook;
//! it leaves nothing behind; an unexpected result is discarded, and the footprint is estimated.

mod hidden;

use crate::sys::jni::Jni;
use hidden::Hidden;
use libloading::os::unix::{Library, RTLD_LAZY, Symbol};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::model::PerKind;

/// zlib's `z_stream`, unchanged since 1.0 (zlib.h): its users allocate it, so it can never change.
#[repr(C)]
struct ZStream {
    next_in: *const u8,
    avail_in: c_uint,
    total_in: c_ulong,
    next_out: *mut u8,
    avail_out: c_uint,
    total_out: c_ulong,
    msg: *const c_char,
    state: *mut c_void,
    zalloc: Option<Alloc>,
    zfree: Option<Free>,
    opaque: *mut c_void,
    data_type: c_int,
    adler: c_ulong,
    reserved: c_ulong,
}

const SIZE: c_int = 112;
/// The same, as a part of the footprint in bytes.
const OWN: u64 = size_of::<ZStream>() as u64;
const _: () = assert!(size_of::<ZStream>() == SIZE as usize, "the layout of 64-bit Linux");

type Alloc = unsafe extern "C" fn(*mut c_void, c_uint, c_uint) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// The constants of the JDK's `Inflater.c` and `Deflater.c`: raw format, memory level, method.
const WINDOW_BITS: c_int = -15;
const MEMORY: c_int = 8;
const DEFLATED: c_int = 8;
const LEVEL: c_int = -1;
const STRATEGY: c_int = 0;
const SYNC_FLUSH: c_int = 2;
const OK: c_int = 0;

/// A stored block of four bytes that is not the last one. It makes an Inflater allocate its window.
const BLOCK: [u8; 9] = [0, 4, 0, 0xfb, 0xff, 1, 2, 3, 4];

/// The footprint of an instance of each kind in this process, measured if possible. None if zlib is
/// not loaded yet.
pub(crate) fn native(jni: Option<Jni>) -> Option<Footprint> {
    static MEASURED: OnceLock<Footprint> = OnceLock::new();
    if let Some(known) = MEASURED.get() {
        return Some(known.clone());
    }
    let zip = libzip()?;
    Some(MEASURED.get_or_init(|| measure(&zip, jni)).clone())
}

fn measure(zip: &Path, jni: Option<Jni>) -> Footprint {
    let Some(library) = loaded(zip) else { return Footprint::default() };
    if let Some(shared) = Shared::of(&library) {
        let version = shared.version();
        return shared.measure().unwrap_or_else(|| Footprint::estimate(&version));
    }
    // Hidden symbols. zlib-ng frees a block in its own way, so its blocks cannot be counted.
    let version =
        std::fs::read(zip).ok().and_then(|bytes| built_in_version(&bytes)).unwrap_or_default();
    let measured = version.starts_with("1.") && !version.contains("ng");
    let hidden = || Hidden::of(&library)?.measure(jni?, &version);
    measured.then(hidden).flatten().unwrap_or_else(|| Footprint::estimate(&version))
}

/// The path of the JDK's library, once it is loaded.
fn libzip() -> Option<PathBuf> {
    // Line by line, because a program may have very many mappings.
    let maps = BufReader::new(File::open("/proc/self/maps").ok()?);
    let path = |line: String| line.find('/').and_then(|at| Some(line.get(at..)?.to_owned()));
    let paths = maps.lines().map_while(Result::ok).filter_map(path);
    paths.into_iter().find(|path| path.ends_with("/libzip.so")).map(PathBuf::from)
}

/// A library that is already loaded.
fn loaded(path: &Path) -> Option<Library> {
    // SAFETY: nothing is loaded, so no code of a library runs.
    unsafe { Library::open(Some(path), RTLD_LAZY | libc::RTLD_NOLOAD) }.ok()
}

/// A symbol of a library, or of a library that it is linked to.
///
/// # Safety
/// The symbol with that name has this type.
unsafe fn symbol<T>(library: &Library, name: &CStr) -> Option<Symbol<T>> {
    // SAFETY: the caller guarantees the type.
    unsafe { library.get(name) }.ok()
}

/// The version from zlib's copyright string: ` inflate 1.3.1 Copyright 1995-2024 Mark Adler `.
fn built_in_version(library: &[u8]) -> Option<String> {
    const BEFORE: &[u8] = b" inflate 1.";
    let at = library.windows(BEFORE.len()).position(|bytes| bytes == BEFORE)?;
    let version = library
        .get(at + BEFORE.len() - 2..)?
        .iter()
        .take(24)
        .take_while(|byte| byte.is_ascii_graphic());
    let ng = library.windows(7).any(|bytes| bytes == b"zlib-ng");
    let version: String = version.map(|byte| char::from(*byte)).collect();
    Some(if ng { format!("{version}.zlib-ng") } else { version })
}

/// Memory that a `z_stream` has allocated.
#[derive(Default)]
struct Count {
    bytes: Cell<u64>,
    /// Blocks that were not freed yet.
    blocks: Cell<i32>,
}

fn usable(block: *mut c_void) -> u64 {
    // SAFETY: it is a block of the C library's allocator, or null.
    unsafe { libc::malloc_usable_size(block) as u64 }
}

unsafe extern "C" fn counting_alloc(
    count: *mut c_void,
    items: c_uint,
    size: c_uint,
) -> *mut c_void {
    // SAFETY: `calloc` takes any numbers.
    let block = unsafe { libc::calloc(items as usize, size as usize) };
    // SAFETY: zlib passes what it was given: a `Count` that outlives the `z_stream`, used on this
    // thread only.
    let count = unsafe { &*count.cast::<Count>() };
    // The requested size: the size that the allocator rounds it to differs from block to block.
    count.bytes.set(count.bytes.get() + u64::from(items) * u64::from(size));
    count.blocks.set(count.blocks.get() + 1);
    block
}

/// Frees a block of [`counting_alloc`].
unsafe extern "C" fn counting_free(count: *mut c_void, block: *mut c_void) {
    // SAFETY: as above.
    let count = unsafe { &*count.cast::<Count>() };
    count.blocks.set(count.blocks.get() - 1);
    // SAFETY: it comes from `calloc`.
    unsafe { libc::free(block) };
}

/// Checks that a measurement is plausible. One that is far off is not of a zlib that we know.
fn plausible(zlib: &str, fresh: PerKind<u64>, each: PerKind<u64>) -> Option<Footprint> {
    let right = (2_048..1 << 17).contains(&fresh.inflater)
        && (1 << 15..1 << 18).contains(&(each.inflater))
        && fresh.inflater <= each.inflater
        && (1 << 16..1 << 22).contains(&fresh.deflater)
        && fresh.deflater <= each.deflater;
    right.then(|| Footprint { zlib: zlib.into(), measured: true, fresh, each })
}

/// A zlib whose symbols are exported.
struct Shared {
    version: Symbol<unsafe extern "C" fn() -> *const c_char>,
    inflate_init: Symbol<unsafe extern "C" fn(*mut ZStream, c_int, *const c_char, c_int) -> c_int>,
    inflate: Symbol<Work>,
    inflate_end: Symbol<End>,
    deflate_init: Symbol<DeflateInit>,
    deflate: Symbol<Work>,
    deflate_end: Symbol<End>,
}

type Work = unsafe extern "C" fn(*mut ZStream, c_int) -> c_int;
type End = unsafe extern "C" fn(*mut ZStream) -> c_int;
type DeflateInit = unsafe extern "C" fn(
    *mut ZStream,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_char,
    c_int,
) -> c_int;

impl Shared {
    /// The zlib that this library is linked to.
    fn of(library: &Library) -> Option<Shared> {
        // SAFETY: these are zlib's functions, in the types of zlib.h.
        unsafe {
            Some(Shared {
                version: symbol(library, c"zlibVersion")?,
                inflate_init: symbol(library, c"inflateInit2_")?,
                inflate: symbol(library, c"inflate")?,
                inflate_end: symbol(library, c"inflateEnd")?,
                deflate_init: symbol(library, c"deflateInit2_")?,
                deflate: symbol(library, c"deflate")?,
                deflate_end: symbol(library, c"deflateEnd")?,
            })
        }
    }

    fn version(&self) -> String {
        // SAFETY: it returns a constant string.
        unsafe { CStr::from_ptr((self.version)()) }.to_string_lossy().into_owned()
    }

    fn measure(&self) -> Option<Footprint> {
        let version = self.version();
        if !version.starts_with('1') {
            return None;
        }
        let (inflater, deflater) = (self.inflater()?, self.deflater(LEVEL, STRATEGY, WINDOW_BITS)?);
        let kinds =
            |pick: fn((u64, u64)) -> u64| Footprint::of_classes(pick(inflater), pick(deflater));
        plausible(&version, kinds(|(fresh, _)| fresh), kinds(|(_, used)| used))
    }

    /// Bytes of a new instance and of a used one.
    fn inflater(&self) -> Option<(u64, u64)> {
        measure_one(
            // SAFETY: a `z_stream` with an allocator, as inflateInit2 requires.
            |stream| unsafe { (self.inflate_init)(stream, WINDOW_BITS, (self.version)(), SIZE) },
            &self.inflate,
            &self.inflate_end,
        )
    }

    fn deflater(&self, level: c_int, strategy: c_int, window: c_int) -> Option<(u64, u64)> {
        measure_one(
            // SAFETY: a `z_stream` with an allocator, as deflateInit2 requires.
            |stream| unsafe {
                (self.deflate_init)(
                    stream,
                    level,
                    DEFLATED,
                    window,
                    MEMORY,
                    strategy,
                    (self.version)(),
                    SIZE,
                )
            },
            &self.deflate,
            &self.deflate_end,
        )
    }
}

/// Creates, uses and ends one `z_stream`. Returns the bytes of a new and of a used one.
fn measure_one(
    init: impl FnOnce(*mut ZStream) -> c_int,
    work: &Work,
    end: &End,
) -> Option<(u64, u64)> {
    let count = Count::default();
    let mut output = [0_u8; 64];
    // SAFETY: a `z_stream` begins zeroed; it is allocated as the JDK's is, because that is part of
    // the cost.
    let block = unsafe { libc::calloc(1, size_of::<ZStream>()) };
    let stream = block.cast::<ZStream>();
    if stream.is_null() {
        return None;
    }
    // SAFETY: it has just been allocated, and no other code has it.
    let fields = unsafe { &mut *stream };
    fields.zalloc = Some(counting_alloc);
    fields.zfree = Some(counting_free);
    fields.opaque = (&raw const count).cast_mut().cast();
    let mut bytes = None;
    if init(stream) == OK {
        let fresh = count.bytes.get();
        // SAFETY: as above; zlib accesses it only during its calls.
        let fields = unsafe { &mut *stream };
        (fields.next_in, fields.avail_in) = (BLOCK.as_ptr(), BLOCK.len() as c_uint);
        (fields.next_out, fields.avail_out) = (output.as_mut_ptr(), output.len() as c_uint);
        // SAFETY: input and output are as long as the fields say.
        let worked = unsafe { work(stream, SYNC_FLUSH) };
        let used = count.bytes.get();
        // SAFETY: `init` succeeded.
        unsafe { end(stream) };
        bytes = (worked == OK && count.blocks.get() == 0).then_some((OWN + fresh, OWN + used));
    }
    // SAFETY: it comes from `calloc`, and zlib does not use it any more.
    unsafe { libc::free(block) };
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> Shared {
        // SAFETY: zlib runs no code when it is loaded.
        let library = unsafe { Library::new("libz.so.1") }.unwrap();
        let shared = Shared::of(&library).unwrap();
        std::mem::forget(library);
        shared
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri loads no libraries")]
    fn the_system_s_zlib_is_measured_and_near_the_table() {
        let measured = system().measure().unwrap();
        assert!(measured.measured && measured.zlib.starts_with("1."), "{measured:?}");
        let table = Footprint::estimate(&measured.zlib);
        for (is, said) in [
            (measured.each.inflater, table.each.inflater),
            (measured.fresh.inflater, table.fresh.inflater),
            (measured.each.deflater, table.each.deflater),
            (measured.fresh.deflater, table.fresh.deflater),
        ] {
            assert!(is.abs_diff(said) * 20 < said, "{measured:?} {table:?}");
        }
        let window = measured.each.inflater - measured.fresh.inflater;
        assert!((1 << 15..(1 << 15) + ROUNDING).contains(&window), "{measured:?}");
    }

    /// The allocator's blocks include what was left over where they were cut.
    const ROUNDING: u64 = 5 * 32;

    #[test]
    #[cfg_attr(miri, ignore = "Miri loads no libraries")]
    fn neither_level_nor_strategy_nor_the_format_s_frame_changes_it() {
        let zlib = system();
        let all: Vec<(u64, u64)> = (-1..=9)
            .flat_map(|level| (0..3).map(move |strategy| (level, strategy)))
            .flat_map(|(level, strategy)| [15, -15].map(|window| (level, strategy, window)))
            .map(|(level, strategy, window)| zlib.deflater(level, strategy, window).unwrap())
            .collect();
        let near = |a: u64, b: u64| a.abs_diff(b) < ROUNDING;
        assert!(
            all.iter().all(|(fresh, used)| near(*fresh, all[0].0) && near(*used, all[0].1)),
            "{all:?}"
        );
    }

    #[test]
    fn versions_stand_in_the_code() {
        for (bytes, version) in [
            (&b"\0 inflate 1.3.1 Copyright 1995-2024 Mark Adler \0"[..], Some("1.3.1")),
            (b"x inflate 1.2.11.f Copyright \0 1.3.1.zlib-ng\0", Some("1.2.11.f.zlib-ng")),
            (b" inflate 1.", Some("1.")),
            (b" inflate 2.0 ", None),
            (b"", None),
        ] {
            assert_eq!(built_in_version(bytes).as_deref(), version);
        }
    }

    #[test]
    fn what_is_far_off_is_no_measurement() {
        let kinds = Footprint::of_classes;
        assert!(plausible("1.3", kinds(7_264, 268_192), kinds(40_032, 268_192)).is_some());
        for (fresh, each) in [
            (kinds(0, 268_192), kinds(40_032, 268_192)),
            (kinds(7_264, 0), kinds(40_032, 0)),
            (kinds(7_264, 268_192), kinds(7_264, 268_192)),
            (kinds(40_032, 268_192), kinds(39_000, 268_192)),
            (kinds(7_264, 268_192), kinds(40_032, 0)),
        ] {
            assert_eq!(plausible("1.3", fresh, each), None);
        }
    }
}
