//! HotSpot's tables of its own structures, which `libjvm.so` exports for the Serviceability Agent.
//!
//! Contains no policy. Invariant: what a table lacks is an error that names it, never a guess.

use crate::sys::jni;
use crate::sys::memory::Checked;
use libloading::os::unix::{Library, RTLD_LAZY};
use std::ffi::{CStr, c_char};

/// Whether an address is one of the JVM's library.
pub(crate) fn is_in_library(address: usize) -> bool {
    let Some(vm) = jni::vm() else { return false };
    // SAFETY: `vm` is the JVM's own invocation table.
    let own = unsafe { (**vm).GetEnv } as usize;
    let base = |address: usize| {
        // SAFETY: a zeroed `Dl_info` is valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: `dladdr` takes any address and fills the structure.
        let known = unsafe { libc::dladdr(std::ptr::without_provenance(address), &mut info) };
        (known != 0).then_some(info.dli_fbase)
    };
    base(own).is_some_and(|own| base(address) == Some(own))
}

/// One exported table.
struct Table {
    /// The address of the first entry.
    first: usize,
    /// The size of an entry in bytes.
    stride: usize,
}

/// The tables of the JVM in this process.
pub(crate) struct VmStructs {
    fields: Table,
    types: Table,
    constants: Table,
    /// Offsets in an entry of `fields`: the names of type and field, whether it is static, its
    /// offset, its address.
    field: [usize; 5],
    /// Offsets in an entry of `types`: the name and the size.
    kind: [usize; 2],
    /// Offsets in an entry of `constants`: the name and the value.
    constant: [usize; 2],
}

impl VmStructs {
    /// Finds the tables in the library that holds the JVM's own functions: it may have been loaded
    /// under any name and not for all.
    pub(crate) fn find() -> Result<VmStructs, String> {
        let vm = jni::vm().ok_or("the agent was not loaded by a JVM")?;
        // SAFETY: `vm` is the JVM's own invocation table.
        let function = unsafe { (**vm).GetEnv } as *const std::ffi::c_void;
        // SAFETY: a zeroed `Dl_info` is valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: `dladdr` takes any address and fills the structure.
        if unsafe { libc::dladdr(function, &mut info) } == 0 || info.dli_fname.is_null() {
            return Err("the JVM's library was not found".into());
        }
        // SAFETY: the loader's strings are NUL-terminated and live as long as the library.
        let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
        // SAFETY: the library is loaded already, so none of its initialisers runs.
        let library = unsafe { Library::open(Some(&path), RTLD_LAZY | libc::RTLD_NOLOAD) }
            .map_err(|_| "the JVM's library could not be opened")?;
        let number = |name: &str| {
            // SAFETY: these symbols are variables of 8 bytes.
            let symbol = unsafe { library.get::<*const usize>(name.as_bytes()) };
            let address = symbol.map_err(|_| format!("libjvm.so does not export {name}"))?;
            // SAFETY: as above; the JVM's library is never unloaded.
            Ok::<usize, String>(unsafe { **address })
        };
        let offset = |entry: &str, name: &str| number(&format!("{entry}{name}Offset"));
        let of_field = |name| offset("gHotSpotVMStructEntry", name);
        let of_type = |name| offset("gHotSpotVMTypeEntry", name);
        let of_constant = |name| offset("gHotSpotVMIntConstantEntry", name);
        Ok(VmStructs {
            fields: Table {
                first: number("gHotSpotVMStructs")?,
                stride: number("gHotSpotVMStructEntryArrayStride")?,
            },
            types: Table {
                first: number("gHotSpotVMTypes")?,
                stride: number("gHotSpotVMTypeEntryArrayStride")?,
            },
            constants: Table {
                first: number("gHotSpotVMIntConstants")?,
                stride: number("gHotSpotVMIntConstantEntryArrayStride")?,
            },
            field: [
                of_field("TypeName")?,
                of_field("FieldName")?,
                of_field("IsStatic")?,
                of_field("Offset")?,
                of_field("Address")?,
            ],
            kind: [of_type("TypeName")?, of_type("Size")?],
            constant: [of_constant("Name")?, of_constant("Value")?],
        })
    }

    /// The offset of a field in its structure.
    pub(crate) fn offset(&self, owner: &str, name: &str) -> Result<usize, String> {
        let [_, _, is_static, offset, _] = self.field;
        match self.entry(owner, name) {
            // SAFETY: the entry is one of the table, and this is its field.
            Some(entry) if unsafe { at::<i32>(entry, is_static) } == 0 => {
                // SAFETY: as above.
                usize::try_from(unsafe { at::<u64>(entry, offset) })
                    .map_err(|_| missing(owner, name))
            }
            _ => Err(missing(owner, name)),
        }
    }

    /// The address of a static field.
    pub(crate) fn address(&self, owner: &str, name: &str) -> Result<usize, String> {
        let [_, _, is_static, _, address] = self.field;
        match self.entry(owner, name) {
            // SAFETY: the entry is one of the table, and this is its field.
            Some(entry) if unsafe { at::<i32>(entry, is_static) } != 0 => {
                // SAFETY: as above.
                Some(unsafe { at::<usize>(entry, address) }).filter(|address| *address != 0)
            }
            _ => None,
        }
        .ok_or_else(|| missing(owner, name))
    }

    /// The size of a type in bytes.
    pub(crate) fn size(&self, name: &str) -> Result<usize, String> {
        let [type_name, size] = self.kind;
        let entry = find(&self.types, type_name, |entry| is(entry, type_name, name));
        // SAFETY: the entry is one of the table, and this is its field.
        let size = entry.and_then(|entry| usize::try_from(unsafe { at::<u64>(entry, size) }).ok());
        size.ok_or_else(|| format!("{name} is unknown"))
    }

    /// A constant.
    pub(crate) fn constant(&self, name: &str) -> Result<i32, String> {
        let [constant_name, value] = self.constant;
        let entry = find(&self.constants, constant_name, |entry| is(entry, constant_name, name));
        // SAFETY: the entry is one of the table, and this is its field.
        entry.map(|entry| unsafe { at::<i32>(entry, value) }).ok_or_else(|| missing("", name))
    }

    /// Whether a flag of the JVM is on. None if this JVM has no such flag.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        // JDK 8 calls the type `Flag`.
        let owner = if self.size("JVMFlag").is_ok() { "JVMFlag" } else { "Flag" };
        let (name_at, value_at) = (self.offset(owner, "_name")?, self.offset(owner, "_addr")?);
        let mut memory = Checked::new();
        let unreadable = || format!("the table of {owner} cannot be read");
        let mut word = |address| memory.get::<usize>(address).ok_or_else(unreadable);
        let first = word(self.address(owner, "flags")?)?;
        let number = word(self.address(owner, "numFlags")?)?;
        let size = self.size(owner)?;
        for flag in (0..number.min(1 << 14)).map(|index| first + index * size) {
            let (text, value) = (word(flag + name_at)?, word(flag + value_at)?);
            // SAFETY: the names of flags are strings in the JVM's library; the last has none.
            if text != 0 && unsafe { string(text) }.to_bytes() == name.as_bytes() {
                let value = Checked::new().get::<u8>(value).ok_or_else(unreadable)?;
                return Ok(Some(value != 0));
            }
        }
        Ok(None)
    }

    fn entry(&self, owner: &str, name: &str) -> Option<usize> {
        let [type_name, field_name, ..] = self.field;
        find(&self.fields, type_name, |entry| {
            is(entry, field_name, name) && is(entry, type_name, owner)
        })
    }
}

fn missing(owner: &str, name: &str) -> String {
    let separator = if owner.is_empty() { "" } else { "::" };
    format!("{owner}{separator}{name} is not exported")
}

/// The first entry of a table that is `wanted`. The table ends at an entry without a name.
fn find(table: &Table, name: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let mut entry = table.first;
    // SAFETY: the loop has not passed the last entry.
    while entry != 0 && unsafe { at::<usize>(entry, name) } != 0 {
        if wanted(entry) {
            return Some(entry);
        }
        entry += table.stride;
    }
    None
}

/// Whether a name of an entry is this one.
fn is(entry: usize, offset: usize, name: &str) -> bool {
    // SAFETY: the entry is one of the table, and this is one of its names.
    let text = unsafe { at::<usize>(entry, offset) };
    // SAFETY: names are strings in the JVM's library.
    text != 0 && unsafe { string(text) }.to_bytes() == name.as_bytes()
}

/// # Safety
/// `entry` is one of a table, and has such a field at this offset.
unsafe fn at<T: Copy>(entry: usize, offset: usize) -> T {
    let field = std::ptr::with_exposed_provenance::<T>(entry + offset);
    // SAFETY: the caller guarantees it; tables are constant.
    unsafe { field.read_unaligned() }
}

/// # Safety
/// A NUL-terminated string is there for as long as the process lives.
unsafe fn string(at: usize) -> &'static CStr {
    // SAFETY: the caller guarantees it.
    unsafe { CStr::from_ptr(std::ptr::with_exposed_provenance::<c_char>(at)) }
}
