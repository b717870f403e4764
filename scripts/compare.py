"""Runs programs under zaudit and other tools that may find a leak, and prints what each reports.

scripts/compare starts it. A way is attached when a program is ready; the program repeats its
behaviour; the way is read (before a GC); the program forces GCs; the way is read again (after).
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The folder with the programs.
PROGRAMS = Path(__file__).resolve().parents[1] / "java-fixtures" / "compare"
LEAKS = ["InflaterForgotten", "DeflaterForgotten", "GzipInputNotClosed", "DeflaterOutputFinished",
         "ErrorPath", "EntryStreamNotClosed", "OwnerFinalized", "InflaterKept"]
CONTROLS = ["Pool", "Clean"]
PHASES = ["before", "after"]
# How often a behaviour is repeated, and how often for the costs.
TIMES = 200
LOAD = 20000
# No GC runs unforced: the young generation holds all that a program allocates.
HEAP = ["-XX:+UseSerialGC", "-Xms256m", "-Xmx256m", "-Xmn160m"]
# Flags for the JVMs of the tools, which do not run for long.
BRIEF = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
# Threads of the JDK that end what a program has forgotten.
LATE = {"Finalizer", "Common-Cleaner", "Reference Handler", "Secondary finalizer"}
# The longest time that a process may take, in seconds.
PATIENCE = 300
SPEC = argparse.Namespace()


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(1)


class Process:
    """A program under a way."""

    def __init__(self, way, program, times, folder):
        self.way, self.program, self.folder = way, program, folder
        self.lines, self.gcs, self.leaked, self.extra = [], {}, 0, {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [SPEC.java, *HEAP, f"-Xlog:gc:file={folder}/gc.log", *way.flags(self), "-cp",
                   SPEC.classes, program, str(times)]
        with (folder / "stderr").open("w") as errors:
            self.child = subprocess.Popen(
                [str(word) for word in command], cwd=folder, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **way.env(self)})
        self.pid = self.child.pid
        self.timer = threading.Timer(PATIENCE, self.child.kill)
        self.timer.start()
        self.until("ready")
        way.attach(self)

    def until(self, word):
        for line in self.child.stdout:
            if line.split()[:1] == [word]:
                return line.split()
            self.lines.append(line)
        fail(f"{self.program} under {self.way.name} has ended, see {self.folder}")

    def step(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        self.leaked += int(self.until(word)[1])

    def look(self, phase):
        self.gcs[phase] = (self.folder / "gc.log").read_text().count("Pause")
        self.way.look(self, phase)

    def cpu(self):
        """Seconds of processor time of the process until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """Its resident memory in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1])

    def end(self):
        """Closes stdin, which ends the program."""
        self.child.stdin.close()
        self.lines += self.child.stdout.readlines() if not self.way.may_hang else []
        try:
            self.child.wait(timeout=30 if self.way.may_hang else PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.timer.cancel()

    def jcmd(self, *words):
        """What jcmd does, without the start of a JVM each time."""
        command = " ".join(map(str, words))
        address = f"/tmp/.java_pid{self.pid}"
        if not os.path.exists(address):
            trigger = Path(f"/proc/{self.pid}/cwd/.attach_pid{self.pid}")
            trigger.touch()
            os.kill(self.pid, signal.SIGQUIT)
            while not os.path.exists(address):
                if self.child.poll() is not None:
                    fail(f"{self.program} under {self.way.name} has ended, see {self.folder}")
                time.sleep(0.02)
            trigger.unlink()
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(address)
            channel.sendall(f"1\0jcmd\0{command}\0\0\0".encode())
            answer = b"".join(iter(lambda: channel.recv(1 << 16), b"")).decode()
        code, _, said = answer.partition("\n")
        if code != "0":
            fail(f"jcmd {command} fails: {said}")
        return said

    def load_agent(self, library, options):
        # The inner quotes keep jcmd from reading name=value.
        said = self.jcmd("JVMTI.agent_load", library, f'"{options}"')
        if "return code: 0" not in said:
            fail(f"{library} cannot be loaded: {said}")


class Said:
    """What a way says: a number of open instances, whether it names the line, and its words."""

    def __init__(self, count, line, raw):
        self.count, self.line, self.raw = count, line, raw


class Way:
    """The bare program."""

    name = "bare"
    # Whether the JVM must be started with it.
    restart = False
    # Whether each phase has a process of its own, because the way is read when the process ends.
    separate = False
    may_hang = False
    unit = "-"

    @property
    def folder(self):
        """The part of paths that is its own."""
        return re.sub(r"\W+", "-", self.name)

    def flags(self, process):
        return []

    def env(self, process):
        return {}

    def attach(self, process):
        pass

    def look(self, process, phase):
        pass

    def read(self, process, phase):
        return None

    def readings(self):
        """The ways that are read from the same process."""
        return [self]


class Zaudit(Way):
    name = "zaudit"
    unit = "instances"

    def attach(self, process):
        process.load_agent(SPEC.zaudit, f"file={process.folder}/exit.json,format=json")

    def look(self, process, phase):
        process.load_agent(SPEC.zaudit, f"dump,file={process.folder}/{phase}.json,format=json")

    def read(self, process, phase):
        report = json.loads((process.folder / f"{phase}.json").read_text())
        count, words, line = {"leak": 0, "suspect": 0}, [], False
        for site in report["sites"]:
            if site["severity"] not in count:
                continue
            count["leak"] += site["leaked"]
            count["suspect"] += site["suspects"]
            text = "".join(f"{frame['class']}.{frame['method']}({frame['file']}:{frame['line']})\n"
                           for frame in frames(report, site))
            line |= names_line(process.program, text)
        words = [f"{number} {what}" for what, number in count.items() if number]
        return Said(sum(count.values()), line, ", ".join(words) or "no leak")


def frames(report, site):
    """The frames of a site, which may be in the report's tables."""
    if site.get("frames") is not None:
        return site["frames"]
    return [report["frame_table"][at] for at in report["stack_table"][site["stack"]]]


class NativeMem(Way):
    """async-profiler records each malloc and free; its converter pairs them in leak mode."""

    name = "nativemem"
    separate = True
    unit = "bytes"
    options = []

    def attach(self, process):
        process.load_agent(SPEC.profiler, "start,event=nativemem,nativemem=0,jfr,"
                           f"file={process.folder}/mem.jfr")

    def look(self, process, phase):
        process.load_agent(SPEC.profiler, f"stop,file={process.folder}/mem.jfr")

    def readings(self):
        return [self, NativeMemLeak()]

    def stacks(self, process):
        target = process.folder / "collapsed"
        subprocess.run([SPEC.java, *BRIEF, "-jar", SPEC.converter, "--nativemem", *self.options,
                        "--lines", "--dot", "--total", "-o", "collapsed",
                        process.folder / "mem.jfr", target],
                       check=True, stdout=subprocess.DEVNULL)
        for text in target.read_text().splitlines():
            stack, size = text.rsplit(" ", 1)
            yield stack, int(size)

    def read(self, process, phase):
        sizes, line = {"Inflater": 0, "Deflater": 0}, False
        for stack, size in self.stacks(process):
            # Through Java's natives only, and not what else the JVM allocates in them.
            found = re.search(r";Java_java_util_zip_(Inflater|Deflater)_\w+;", stack)
            if found:
                sizes[found[1]] += size
                line |= names_line(process.program, stack)
        return by_size(sizes, line)


class NativeMemLeak(NativeMem):
    """Read from the recordings of NativeMem."""

    name = "nativemem --leak"
    # The work is at the end of the recording, which is ignored otherwise.
    options = ["--leak", "--tail", "0"]


def by_size(sizes, line):
    """A number of instances from bytes, by the bytes of one instance in the clean control."""
    words = [f"{size / 1024:.0f} KiB {kind}" for kind, size in sizes.items() if size]
    count = sum(size / SPEC.bytes_each[kind] for kind, size in sizes.items() if size)
    return Said(count, line, ", ".join(words) or "nothing of zlib")


class NativeMemoryTracking(Way):
    name = "NMT"
    restart = True
    unit = "KiB in all"

    def flags(self, process):
        return ["-XX:NativeMemoryTracking=detail"]

    def attach(self, process):
        process.jcmd("VM.native_memory", "baseline")
        process.extra["resident"] = process.resident()

    def look(self, process, phase):
        process.extra[phase] = process.resident() - process.extra["resident"]
        (process.folder / phase).write_text(process.jcmd("VM.native_memory", "detail.diff"))

    def read(self, process, phase):
        text = (process.folder / phase).read_text()
        total = re.search(r"Total: .*committed=\d+KB(?: ([+-]\d+)KB)?", text)
        grown = int(total[1] or 0)
        named = bool(re.search("inflate|deflate", text, re.I))
        # Without a name, its growth is that of the JVM.
        count = max(grown, 0) * 1024 / min(SPEC.bytes_each.values()) if named else 0
        return Said(count, names_line(process.program, text),
                    f"NMT {grown:+d} KiB, resident {process.extra[phase]:+d} KiB, "
                    f"zlib {'named' if named else 'not named'}")


class Histogram(Way):
    name = "class_histogram"
    unit = "objects"

    def look(self, process, phase):
        # Without -all, it forces a GC.
        options = ["-all"] if phase == "before" else []
        (process.folder / phase).write_text(process.jcmd("GC.class_histogram", *options))

    @staticmethod
    def objects(text):
        rows = re.findall(r"^\s*\d+:\s+(\d+)\s+(\d+)\s+java\.util\.zip\.(?:In|De)flater\b(?!\$)",
                          text, re.M)
        return sum(int(row[0]) for row in rows), sum(int(row[1]) for row in rows)

    def read(self, process, phase):
        count, size = self.objects((process.folder / phase).read_text())
        return Said(count, False, f"{count} objects of {size} bytes in all")


class HeapDump(Way):
    name = "heap dump"
    unit = "objects"

    def look(self, process, phase):
        options = ["-all"] if phase == "before" else []
        process.jcmd("GC.heap_dump", *options, process.folder / f"{phase}.hprof")

    def read(self, process, phase):
        path = process.folder / f"{phase}.hprof"
        if "dump" not in process.extra.setdefault(phase, {}):
            process.extra[phase]["dump"] = zlib_objects(path.read_bytes())
            path.unlink()
        objects, shallow, opened = process.extra[phase]["dump"]
        return Said(opened, False,
                    f"{objects} objects of {shallow} bytes in all, {opened} with an address")


def zlib_objects(dump):
    """Inflaters and Deflaters in a heap dump, their bytes, and how many have a zlib address."""
    at = dump.index(b"\0") + 1
    width, = struct.unpack_from(">I", dump, at)
    at += 12
    word = ">Q" if width == 8 else ">I"
    sizes = {2: width, 4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}
    strings, names, layouts, found = {}, {}, {}, []

    def identity(at):
        return struct.unpack_from(word, dump, at)[0]

    def class_dump(at):
        own, parent = identity(at), identity(at + width + 4)
        at += 7 * width + 8
        count, = struct.unpack_from(">H", dump, at)
        at += 2
        for _ in range(count):
            at += 3 + sizes[dump[at + 2]]
        count, = struct.unpack_from(">H", dump, at)
        at += 2
        for _ in range(count):
            at += width + 1 + sizes[dump[at + width]]
        count, = struct.unpack_from(">H", dump, at)
        at += 2
        fields = []
        for _ in range(count):
            fields.append((identity(at), dump[at + width]))
            at += width + 1
        layouts[own] = (parent, fields)
        return at

    # The bytes of a GC root's record, by its kind.
    roots = {0xFF: width, 1: 2 * width, 2: width + 8, 3: width + 8, 4: width + 4, 5: width,
             6: width + 4, 7: width, 8: width + 8}
    while at < len(dump):
        kind = dump[at]
        length, = struct.unpack_from(">I", dump, at + 5)
        at += 9
        end = at + length
        if kind == 1:
            strings[identity(at)] = dump[at + width:end]
        elif kind == 2:
            names[identity(at + 4)] = identity(at + 8 + width)
        elif kind in (0x0C, 0x1C):
            while at < end:
                part = dump[at]
                at += 1
                if part == 0x20:
                    at = class_dump(at)
                elif part == 0x21:
                    size, = struct.unpack_from(">I", dump, at + 2 * width + 4)
                    found.append((identity(at + width + 4), at + 2 * width + 8, size))
                    at += 2 * width + 8 + size
                elif part == 0x22:
                    count, = struct.unpack_from(">I", dump, at + width + 4)
                    at += 2 * width + 8 + count * width
                elif part == 0x23:
                    count, = struct.unpack_from(">I", dump, at + width + 4)
                    at += width + 9 + count * sizes[dump[at + width + 8]]
                else:
                    at += roots[part]
        at = end

    called = {own: strings[name].decode() for own, name in names.items()}
    objects = shallow = opened = 0
    for own, place, size in found:
        name = called.get(own, "")
        if name in ("java/util/zip/Inflater", "java/util/zip/Deflater"):
            objects += 1
            shallow += size
        elif name.endswith("flaterZStreamRef"):
            for field, kind in layouts[own][1]:
                if strings[field] == b"address":
                    opened += struct.unpack_from(">Q", dump, place)[0] != 0
                place += sizes[kind]
    return objects, shallow, opened


class MethodTrace(Way):
    """JFR method tracing (JEP 520). Events have no object: creations and ends are subtracted."""

    name = "JFR MethodTrace"
    unit = "calls"
    filter = ";".join(f"java.util.zip.{kind}::{method}" for kind in ("Inflater", "Deflater")
                      for method in ("<init>", "end"))
    created = {("java/util/zip/Inflater", "<init>", "(Z)V"),
               ("java/util/zip/Deflater", "<init>", "(IZ)V")}

    def attach(self, process):
        process.jcmd("JFR.start", "name=compare", "settings=none", "+jdk.MethodTrace#enabled=true",
                     f"+jdk.MethodTrace#filter={self.filter}", "+jdk.MethodTrace#threshold=0ns",
                     "+jdk.MethodTrace#stackTrace=true")

    def look(self, process, phase):
        process.jcmd("JFR.dump", "name=compare", f"filename={process.folder}/{phase}.jfr")

    def read(self, process, phase):
        done = subprocess.run([SPEC.java.parent / "jfr", *[f"-J{flag}" for flag in BRIEF], "print",
                               "--json", "--stack-depth", "12", "--events", "jdk.MethodTrace",
                               process.folder / f"{phase}.jfr"],
                              stdout=subprocess.PIPE, check=True)
        created = ended = late = 0
        line = False
        for event in json.loads(done.stdout)["recording"]["events"]:
            values = event["values"]
            method = values["method"]
            key = (method["type"]["name"], method["name"], method["descriptor"])
            if key in self.created:
                created += 1
                text = "".join(f"{frame['method']['type']['name']}:{frame['lineNumber']}\n"
                               for frame in values["stackTrace"]["frames"])
                line |= names_line(process.program, text)
            elif method["name"] == "end":
                thread = (values["eventThread"] or {}).get("javaName")
                late += thread in LATE
                ended += thread not in LATE
        return Said(created - ended, line and created > ended,
                    f"{created} created, {ended} ended, {late} ended late")


class Jemalloc(Way):
    name = "jemalloc"
    restart = True
    separate = True
    unit = "bytes"

    def env(self, process):
        return {"LD_PRELOAD": str(SPEC.jemalloc),
                "MALLOC_CONF": f"prof:true,prof_final:true,prof_prefix:{process.folder}/prof"}

    def read(self, process, phase):
        # Children of the JVM would write profiles, too.
        profile = next(process.folder.glob(f"prof.{process.pid}.*.heap"))
        done = subprocess.run(["perl", SPEC.jeprof, "--collapsed", SPEC.java, profile], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        sizes, line = {"Inflater": 0, "Deflater": 0}, False
        for text in done.stdout.splitlines():
            stack, size = text.rsplit(" ", 1)
            found = re.search(r"Java_java_util_zip_(Inflater|Deflater)_\w+", stack)
            if found:
                sizes[found[1]] += int(size)
                line |= names_line(process.program, stack)
        return by_size(sizes, line)


class Byteman(Way):
    name = "Byteman script"
    unit = "instances"

    def attach(self, process):
        # Classes of the boot loader call it.
        process.load_agent(SPEC.byteman, f"script:{PROGRAMS / 'compare.btm'},boot:{SPEC.byteman}")

    def look(self, process, phase):
        process.extra[phase] = (process.folder / "stderr").stat().st_size

    def read(self, process, phase):
        text = (process.folder / "stderr").read_text()[:process.extra[phase]]
        created, late = {}, 0
        for event in re.findall(r"^\+ (\d+)\n((?:.+\n)*)|^- (\d+) (.*)$", text, re.M):
            if event[0]:
                created[event[0]] = event[1]
            elif event[2] in created:
                late += event[3] in LATE
                if event[3] not in LATE:
                    del created[event[2]]
        line = any(names_line(process.program, stack) for stack in created.values())
        return Said(len(created), line, f"{len(created)} not ended by the program, {late} late")


class Leakchecker(Way):
    """elastic/leakchecker, which prints what is open once a minute."""

    name = "leakchecker"
    restart = True
    may_hang = True
    unit = "instances"

    def flags(self, process):
        return [f"-javaagent:{SPEC.leakchecker}"]

    def look(self, process, phase):
        # Its next report after this moment; the steps' own words do not disturb it.
        if process.extra.get("load"):
            return
        time.sleep(65)
        process.step("answer")
        process.extra[phase] = list(process.lines)

    def read(self, process, phase):
        text = "".join(process.extra[phase])
        totals = re.findall(r"^Total: (\d+)", text, re.M)
        return Said(int(totals[-1]) if totals else 0, names_line(process.program, text),
                    f"Total: {totals[-1] if totals else 'none'}")


def leak_lines():
    """The line of each program that leaks."""
    found = {}
    for program in LEAKS:
        source = (PROGRAMS / f"{program}.java").read_text().splitlines()
        found[program], = [number for number, text in enumerate(source, 1) if "// the leak" in text]
    return found


LINES = leak_lines()


def names_line(program, text):
    """Whether a text has the line that leaks: Program.java:12, Program.once:12, Program:12."""
    return program in LINES and bool(
        re.search(rf"\b{program}\b[\w.<>]*:{LINES[program]}(?!\d)", text))


# ---- what each says ------------------------------------------------------------------------------

def run(way, program, times, folder, phases):
    """Runs a program to its end, and looks in these phases."""
    process = Process(way, program, times, folder)
    process.step("work")
    if "before" in phases:
        process.look("before")
    if "after" in phases:
        process.step("gc")
        process.look("after")
    process.end()
    return process


def ask(way, program):
    """What a way says of a program in each phase, and how many instances it leaks."""
    answers = {}
    # Nothing between the phases may disturb a way that is read when the process ends.
    for phases in [[phase] for phase in PHASES] if way.separate else [PHASES]:
        process = run(way, program, TIMES, SPEC.work / way.folder / program / phases[0], phases)
        if process.gcs.get("before", 0):
            say(f"{program} under {way.name}: a GC ran before it was forced")
        for phase in phases:
            for reading in way.readings():
                said = reading.read(process, phase)
                answers.setdefault(reading.name, (process.leaked, {}))[1][phase] = said
                print(f"raw\t{reading.name}\t{program}\t{phase}\tleaked {process.leaked}\t"
                      f"says {said.count:.4g}\tline {'yes' if said.line else 'no'}\t{said.raw}",
                      flush=True)
    return answers


def calibrate():
    """The bytes of one instance, from all allocations of the clean control."""
    SPEC.bytes_each = {"Inflater": 1, "Deflater": 1}
    way = NativeMem()
    process = run(way, "Clean", TIMES, SPEC.work / "calibrate", ["before"])
    sizes = {"Inflater": 0, "Deflater": 0}
    for stack, size in way.stacks(process):
        found = re.search(r";Java_java_util_zip_(Inflater|Deflater)_\w+;", stack)
        if found:
            sizes[found[1]] += size
    SPEC.bytes_each = {kind: size / TIMES for kind, size in sizes.items()}
    for kind, size in SPEC.bytes_each.items():
        print(f"raw\tone {kind}\t{size:.0f} bytes of zlib, by nativemem")


def judge(results):
    """The tables of counts: found is what is at least half of the leak above the clean control."""
    for phase in PHASES:
        print(f"\n## {'Before a GC' if phase == 'before' else 'After GCs'}")
        rows = []
        for way, cases in results.items():
            row = [way]
            for program in LEAKS + CONTROLS:
                leaked, said = cases[program]
                row.append(cell(said[phase], leaked, cases["Clean"][1][phase], program))
            rows.append(row)
        truth = next(iter(results.values()))
        rows.append(["the program itself",
                     *[str(truth[program][0]) for program in LEAKS + CONTROLS]])
        table(["way", *LEAKS, *CONTROLS], rows)
    print("\n200: found; 200*: found, and the line is named; ~200: an estimate, by bytes;"
          "\n(200): not found, because it is not above what it says of Clean by half of the leak")


def is_found(said, leaked, clean):
    return said.count - clean.count >= leaked / 2


def cell(said, leaked, clean, program):
    number = f"{said.count:.0f}"
    if abs(said.count - round(said.count)) > 0.01:
        number = f"~{number}"
    if program in CONTROLS or number in ("0", "~0"):
        return number
    if not is_found(said, leaked, clean):
        return f"({number})"
    return f"{number}*" if said.line else number


def summarize(ways, results, costs):
    rows = []
    for way in ways:
        cases = results[way.name]
        row = [way.name]
        found, exact, lines = {}, True, True
        for phase in PHASES:
            clean = cases["Clean"][1][phase]
            hits = [(cases[leak][0], cases[leak][1][phase]) for leak in LEAKS
                    if is_found(cases[leak][1][phase], cases[leak][0], clean)]
            found[phase] = len(hits)
            exact &= all(leaked == round(said.count, 2) for leaked, said in hits)
            lines &= all(said.line for _, said in hits)
            row.append(f"{len(hits)} of {len(LEAKS)}")
        any_found = any(found.values())
        row.append("-" if not any_found else "exact" if exact else "estimate")
        row.append("-" if not any_found else "yes" if lines else "no")
        for control in CONTROLS:
            row.append(" / ".join(f"{cases[control][1][phase].count:.0f}" for phase in PHASES))
        row.append("yes" if way.restart else "no")
        # The leak mode costs the recording.
        row += costs.get(way.name, costs.get(way.name.split(" --")[0], ["-", "-"]))
        rows.append(row)
    print("\n## In short")
    table(["way", "found before a GC", "found after", "count", "line named", "says of Pool",
           "of Clean", "restart", "CPU of the work, to bare", "other CPU, added"], rows)


def table(head, rows):
    """A table of Markdown, as docs/comparison.md has it."""
    print()
    for row in [head, ["---"] * len(head), *rows]:
        print(f"| {' | '.join(row)} |")


# ---- what each costs -----------------------------------------------------------------------------

def cost(ways, rounds):
    """Processor time of the clean control, which takes turns with the bare program."""
    bare, again = Way(), Way()
    again.name = "bare again"
    seconds = {}
    every = [bare, *ways, again]
    for number in range(rounds):
        say(f"costs, round {number + 1} of {rounds}")
        for way in every[number % len(every):] + every[:number % len(every)]:
            process = Process(way, "Clean", LOAD, SPEC.work / "cost" / way.folder)
            process.extra["load"] = True
            begun = process.cpu()
            process.step("work")
            worked = process.cpu()
            process.look("before")
            if not way.separate:
                process.step("gc")
                process.look("after")
            over = process.cpu()
            process.end()
            seconds.setdefault(way.name, []).append((worked - begun, begun + over - worked))
            print(f"raw\tcost\t{way.name}\t{number + 1}\twork {worked - begun:.2f} s\t"
                  f"besides {begun + over - worked:.2f} s", flush=True)
    found = {}
    for way in every:
        pairs = list(zip(seconds[way.name], seconds["bare"]))
        ratios = [own[0] / base[0] for own, base in pairs]
        rest = [own[1] - base[1] for own, base in pairs]
        found[way.name] = [spread(ratios, 2), f"{spread(rest, 1)} s"]
    print(f"\nProcessor time of {LOAD} Deflaters and Inflaters that compress 4,000 bytes, median "
          f"(range) of {rounds} rounds; load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} processors")
    bases = [base for base, _ in seconds["bare"] + seconds["bare again"]]
    print(f"bare: {spread(bases, 2)} s; bare again / bare, the noise: {found['bare again'][0]}")
    return found


def spread(values, decimals):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{decimals}f} ({low:.{decimals}f}..{high:.{decimals}f})"


def compile_programs():
    sources = sorted(PROGRAMS.glob("*.java"))
    stamp = SPEC.classes / "compiled"
    if stamp.exists() and stamp.stat().st_mtime > max(one.stat().st_mtime for one in sources):
        return
    shutil.rmtree(SPEC.classes, ignore_errors=True)
    SPEC.classes.mkdir(parents=True)
    subprocess.run([SPEC.java.parent / "javac", *[f"-J{flag}" for flag in BRIEF], "--release", "8",
                    "-g", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8", "-d", SPEC.classes,
                    *sources], check=True)
    stamp.touch()


def main():
    parser = argparse.ArgumentParser()
    for name in ("java", "zaudit", "profiler", "converter", "byteman", "jemalloc", "jeprof",
                 "leakchecker", "work"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", help="only these, by their names, with commas between")
    parser.parse_args(namespace=SPEC)
    SPEC.classes = SPEC.work / "classes"
    begun = time.monotonic()
    compile_programs()
    ways = [Zaudit(), NativeMem(), NativeMemoryTracking(), Histogram(), HeapDump(),
            MethodTrace(), Byteman()]
    if SPEC.jemalloc:
        ways.insert(6, Jemalloc())
    if SPEC.leakchecker:
        ways.append(Leakchecker())
    if SPEC.ways:
        ways = [way for way in ways if way.name in SPEC.ways.split(",")]
    calibrate()
    # Counts do not depend on the load of the machine; the costs have it for themselves.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = [(program, pool.submit(ask, way, program))
                   for way in ways for program in LEAKS + CONTROLS]
        results = {}
        for program, answers in pending:
            for name, answer in answers.result().items():
                results.setdefault(name, {})[program] = answer
    costs = cost(ways, SPEC.rounds) if SPEC.rounds else {}
    judge(results)
    summarize([reading for way in ways for reading in way.readings()], results, costs)
    print(f"\nin {(time.monotonic() - begun) / 60:.0f} min")


if __name__ == "__main__":
    main()
