"""
What the binaries of a release are linked against.

    release_elf.py check ARCHITECTURE FOLDER PATH…   checks libzaudit.so and zaudit in FOLDER
    release_elf.py drop-loader LIBRARY               needs the loader itself no longer

`check` prints a line on stderr for each rule that a file breaks, and ends with exit code 1 then.
No file may contain one of the PATHs. `drop-loader` changes the file: the loader is in every
process under some name, so its symbols are found without it, with glibc and with musl.
"""

import pathlib
import re
import struct
import sys

MACHINES = {"x86_64": 62, "aarch64": 183}
GLIBC = (2, 17)
LIBRARIES = {"libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6", "librt.so.1"}
LOADERS = ("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
EXPORTS = {"Agent_OnLoad", "Agent_OnAttach", "Agent_OnUnload", "JNI_OnLoad"}
# JVMs look for these two.
MUST_EXPORT = {"Agent_OnLoad", "Agent_OnAttach"}

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 1, 2, 3, 0x6474E551
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_RPATH, DT_RUNPATH = 0, 1, 5, 6, 15, 29
DT_TEXTREL, DT_RELR, DT_HASH, DT_GNU_HASH = 22, 36, 4, 0x6FFFFEF5
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
EXECUTABLE = 1


class Elf:
    """A 64-bit little-endian ELF file, as far as a loader reads it."""

    def __init__(self, path):
        self.path = path
        self.bytes = path.read_bytes()
        if self.bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a 64-bit ELF file")
        self.machine = self.at("H", 18)[0]
        begin, size, count = self.at("Q", 32)[0], self.at("H", 54)[0], self.at("H", 56)[0]
        # Type, flags, offset, address, bytes in the file.
        headers = (self.at("IIQQQQ", begin + number * size) for number in range(count))
        self.segments = [(kind, flags, offset, address, length)
                         for kind, flags, offset, address, _, length in headers]
        self.dynamic = list(self.read_dynamic())

    def at(self, form, offset):
        return struct.unpack_from("<" + form, self.bytes, offset)

    def segment(self, kind):
        return next((segment for segment in self.segments if segment[0] == kind), None)

    def read_dynamic(self):
        """The offset in the file, tag and value of each entry."""
        segment = self.segment(PT_DYNAMIC)
        if segment is None:
            return
        offset = segment[2]
        while True:
            tag, value = self.at("qQ", offset)
            if tag == DT_NULL:
                return
            yield offset, tag, value
            offset += 16

    def value(self, tag):
        return next((value for _, found, value in self.dynamic if found == tag), None)

    def offset_of(self, address):
        for kind, _, offset, start, length in self.segments:
            if kind == PT_LOAD and start <= address < start + length:
                return offset + address - start
        raise ValueError(f"{self.path}: nothing is at {address:#x}")

    def string(self, index):
        begin = self.offset_of(self.value(DT_STRTAB)) + index
        return self.bytes[begin:self.bytes.index(b"\0", begin)].decode()

    def needed(self):
        return [self.string(value) for _, tag, value in self.dynamic if tag == DT_NEEDED]

    def symbol_count(self):
        """The loader does not need to know it; the tables of hashes say it."""
        if self.value(DT_HASH) is not None:
            return self.at("II", self.offset_of(self.value(DT_HASH)))[1]
        at = self.offset_of(self.value(DT_GNU_HASH))
        buckets, first, words, _ = self.at("IIII", at)
        at += 16 + 8 * words
        last = max(self.at(f"{buckets}I", at))
        if last < first:
            return first
        # The last symbol of a chain has the lowest bit.
        while not self.at("I", at + 4 * (buckets + last - first))[0] & 1:
            last += 1
        return last + 1

    def symbols(self):
        """Name, whether it is weak, and whether it is defined here, of each dynamic symbol."""
        count = self.symbol_count()
        begin = self.offset_of(self.value(DT_SYMTAB))
        for number in range(1, count):
            name, info, _, section = self.at("IBBH", begin + number * 24)
            binding = info >> 4
            if binding != 0:
                yield self.string(name), binding == 2, section != 0

    def versions(self):
        """The versions that it needs of its libraries' symbols."""
        at = self.value(DT_VERNEED)
        if at is None:
            return
        at = self.offset_of(at)
        for _ in range(self.value(DT_VERNEEDNUM)):
            _, count, _, entries, following = self.at("HHIII", at)
            entry = at + entries
            for _ in range(count):
                _, _, _, name, step = self.at("IHHII", entry)
                yield self.string(name)
                entry += step
            at += following


def common(elf, architecture, paths):
    """What is wrong with any of the two files."""
    if elf.machine != MACHINES[architecture]:
        yield f"is for machine {elf.machine}, not for {architecture}"
    stack = elf.segment(PT_GNU_STACK)
    if stack is None or stack[1] & EXECUTABLE:
        yield "has an executable stack"
    for tag, what in ((DT_RPATH, "RPATH"), (DT_RUNPATH, "RUNPATH"), (DT_TEXTREL, "TEXTREL"),
                      (DT_RELR, "RELR, which older loaders do not know")):
        if elf.value(tag) is not None:
            yield f"has a {what}"
    if elf.needed() and (elf.segment(PT_INTERP) or elf.path.name == "zaudit"):
        yield f"is not static: it needs {', '.join(elf.needed())}"
    for path in paths:
        at = elf.bytes.find(path.encode())
        if at >= 0:
            end = re.compile(rb"[^!-~]").search(elf.bytes, at)
            yield f"contains the path {elf.bytes[at:end.start()].decode()}"


def library(elf):
    """What is wrong with the library."""
    for name in set(elf.needed()) - LIBRARIES:
        yield f"needs {name}"
    for version in sorted(set(elf.versions())):
        number = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version)
        if number is None or (int(number[1]), int(number[2])) > GLIBC:
            yield f"needs symbols of version {version}"
    exported = {name for name, _, defined in elf.symbols() if defined}
    for name in sorted(exported - EXPORTS):
        yield f"exports {name}"
    for name in sorted(MUST_EXPORT - exported):
        yield f"does not export {name}"


def check(architecture, folder, paths):
    wrong = 0
    for name in ("libzaudit.so", "zaudit"):
        elf = Elf(pathlib.Path(folder) / name)
        faults = [*common(elf, architecture, paths)]
        if name == "libzaudit.so":
            faults += library(elf)
        elif elf.segment(PT_INTERP):
            faults.append("has an interpreter")
        for fault in faults:
            print(f"release: {name} for {architecture} {fault}", file=sys.stderr)
        wrong += len(faults)
    return 1 if wrong else 0


def drop_loader(path):
    elf = Elf(path)
    kept = [(tag, value) for _, tag, value in elf.dynamic
            if not (tag == DT_NEEDED and elf.string(value) in LOADERS)]
    if len(kept) == len(elf.dynamic):
        return 0
    content = bytearray(elf.bytes)
    begin = elf.dynamic[0][0]
    kept += [(DT_NULL, 0)] * (len(elf.dynamic) - len(kept))
    for number, (tag, value) in enumerate(kept):
        struct.pack_into("<qQ", content, begin + 16 * number, tag, value)
    path.write_bytes(content)
    return 0


def main(arguments):
    match arguments:
        case ["check", architecture, folder, *paths]:
            return check(architecture, folder, paths)
        case ["drop-loader", path]:
            return drop_loader(pathlib.Path(path))
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
