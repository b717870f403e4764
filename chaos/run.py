"""One JVM with the program of antagonists: what it is bothered with, and what it must have counted.

Invariant: a run is green only if the JVM ended as the program wanted, its standard output is the
program's own, the counts are equal to the unit, and no report failed.
"""

import contextlib
import json
import os
import random
import re
import resource
import signal
import statistics
import subprocess
import threading
import time
from pathlib import Path

from companions import Companion
from debugger import Debugger, free_port

# What the program ends with.
EXIT_CODE = 7
# In this order.
ANTAGONISTS = ["THREADS", "VIRTUAL", "LOADERS", "HIDDEN", "LAMBDAS", "OVERFLOW", "THROWING",
               "STOPPED", "GARBAGE", "ARCHIVES", "FILE_SYSTEMS", "CHANGES", "HANDED_ON", "HEAP",
               "MEMORY"]
# In a report, and in the program's count.
KINDS = [("inflater", "inflater"), ("deflater", "deflater"), ("zip_entry", "entry")]
# Chosen for this share of the runs: the others wait while they act.
RARE = {"HEAP": 0.3, "MEMORY": 0.2}
# How much more address space the JVM gets while malloc is to fail, in bytes.
ROOM = 32 << 20
# Resident memory is compared with this growth in runs that take so long, in KiB a second.
LONG = 60
GROWTH = 32
# What a report says of calls for which there was no memory.
SHORTAGES = {"the JVM had no memory for a call of the agent",
             "the process had no memory left to keep a stack"}
# What a JVM says that ends itself for want of memory.
GAVE_UP = "There is insufficient memory for the Java Runtime Environment to continue"


class Failure(Exception):
    """What is wrong with a run."""


class Run:
    """One JVM."""

    def __init__(self, kit, cell, seconds, antagonists, always=(), is_audited=True):
        self.kit, self.cell, self.major, self.seconds = kit, cell, cell.major, seconds
        self.is_audited = is_audited
        self.random = random.Random(cell.seed)
        # An audit that begins again has other counts than the program.
        self.disarms = self.random.random() < 0.2
        chosen = {name: self.random.random() < share for name, share in RARE.items()}
        # A stop that arrives in a hook is an exception pending while it reads fields, and one that
        # arrives in the debugger's agent ends the JVM.
        chosen["STOPPED"] = cell.stress not in ("check-jni", "debugger")
        # Without memory, async-profiler 4.6 crashes when it starts, and the debugger's agent ends
        # the JVM.
        if cell.companion == "async-profiler-attached" or cell.stress == "debugger":
            chosen["MEMORY"] = False
        # With a full heap, Shenandoah collects for minutes up to JDK 17, also without the agent.
        if cell.collector == "shenandoah" and cell.major <= 17:
            chosen["HEAP"] = False
        # Up to JDK 25, the method ids of unloaded classes stay (JDK-8268406).
        if seconds >= LONG and cell.major <= 25:
            chosen.update(LOADERS=False, HIDDEN=False)
        self.antagonists = [name for name in antagonists
                            if chosen.get(name, True) or name in always]
        rare = [name.lower() for name in self.antagonists if name in RARE]
        self.name = " ".join([f"jdk{cell.major}", cell.collector, cell.stress, cell.malloc,
                              cell.companion, "seed", str(cell.seed), *rare]
                             + ["disarming"] * self.disarms + ["plain"] * (not is_audited))
        self.folder = kit.work / self.name.replace(" ", "-")
        self.folder.mkdir()
        self.counts = self.folder / "book"
        self.home = kit.homes[cell.major]
        self.companion = Companion(kit.companions, cell.companion, self.folder, self.random)
        self.port = None
        self.resident = []
        self.done = {}
        self.troubles = []
        self.counted = 0

    def start(self):
        report = self.folder / "report.json"
        # On a busy machine finalizers may need long.
        options = f"gc,gc_timeout=60s,file={report},format=json,signal=USR1"
        if self.random.random() < 0.5:
            options += ",gc_roots=3"
        if self.random.random() < 0.2:
            options += ",interval=2s"
        if self.random.random() < 0.1:
            options += ",hooks=tag"
        if self.kit.options:
            options += f",{self.kit.options}"
        classes = self.kit.classes[self.major]
        self.port = free_port()
        environment = dict(os.environ)
        if self.cell.preload:
            environment["LD_PRELOAD"] = self.cell.preload
        agent = [f"-agentpath:{self.kit.library}={options}"] if self.is_audited else []
        # A JVM that has no memory to say so would try for two minutes. JDK 8 lacks the flag.
        patience = ["-XX:ErrorLogTimeout=15"] if self.major > 8 else []
        # A heap that is there from the beginning does not grow.
        heap = ["-Xms256m", "-XX:+AlwaysPreTouch"] if self.seconds >= LONG else []
        command = [
            # In the background (nohup, &) the JVM would inherit these as ignored, and complain.
            "env", "--default-signal=HUP,INT,QUIT",
            self.home / "bin" / "java", "-Xmx256m", *patience, *heap,
            *[flag.format(port=self.port) for flag in self.cell.flags],
            *self.companion.properties(self.major), *self.companion.flags("before"), *agent,
            *self.companion.flags("after"),
            f"-javaagent:{classes.parent / 'changer.jar'}",
            "-cp", classes, "Chaos", str(self.seconds), str(self.cell.seed),
            self.counts, *self.antagonists,
        ]
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, env=environment,
                                    cwd=self.folder)

    def zaudit(self, command, pid, *more):
        # On a busy machine answers take long.
        return [self.kit.command, command, str(pid), "--timeout", "3m", *more]

    def report_by(self, what, pid):
        """One report, or another demand on the agent, through one of its channels."""
        home = self.home / "bin"
        report = self.folder / f"{what}.json"
        command = {
            "dump": self.zaudit("dump", pid, "--format", "json", "--output", report),
            "dump-gc": self.zaudit("dump", pid, "--gc"),
            "status": self.zaudit("status", pid),
            "jcmd": [home / "jcmd", str(pid), "JVMTI.data_dump"],
            "threads": [home / "jcmd", str(pid), "Thread.print"],
            "collect": [home / "jcmd", str(pid), "GC.run"],
            "trim": [home / "jcmd", str(pid), "System.trim_native_heap"],
        }.get(what)
        if command is None:
            os.kill(pid, signal.SIGUSR1)
            return None
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=240, check=False)
        return done.stdout if done.returncode else None

    def is_ready(self, pid):
        """Whether the agent is armed; without it, whether the JVM has carried out a command."""
        if self.is_audited:
            command, answer = self.zaudit("status", pid), "state: armed"
        else:
            # Before it has a handler, the signal with which a command begins would end it.
            with contextlib.suppress(OSError):
                caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(),
                                   re.MULTILINE)
                if not int(caught[1], 16) >> (signal.SIGQUIT - 1) & 1:
                    return False
            command, answer = [self.home / "bin" / "jcmd", str(pid), "VM.version"], "version"
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, timeout=240, check=False)
        return answer in done.stdout

    def bother(self, process):
        """Demands reports, all channels at once, until the program ends."""
        channels = ["dump", "dump-gc", "status", "threads", "usr1"]
        # JDK 8 does not have this command.
        channels += ["jcmd"] if self.major > 8 else []
        if self.disarms:
            # While reports are made one after the other, the agent refuses to be disarmed.
            channels = ["status", "threads", "usr1"]

        def is_excused(wrong):
            # Silence for minutes is never excused.
            if re.search(" has not .* within |timed out after", wrong):
                return False
            # A JVM that ends refuses (the counts are the last that the program writes), and so does
            # an agent that makes another report. With a full heap the JVM cannot even take the
            # demand, no other agent can start (101, 102), and ours gets no thread or class file, as
            # where malloc fails. While another agent starts in the JVM's only attach thread, which
            # takes a minute on a busy machine, there is no answer.
            short = "OutOfMemoryError|return code: 10[12]|java.lang.Thread|OUT_OF_MEMORY|" \
                "the JVM is out of memory"
            return self.counts.exists() or "another report" in wrong or \
                set(RARE) & set(self.antagonists) and re.search(short, wrong) or \
                self.cell.companion.endswith("-attached") and "in its queue" in wrong

        def demand(what):
            while process.poll() is None:
                time.sleep(self.random.uniform(0.05, 1.0))
                try:
                    wrong = self.report_by(what, process.pid)
                except (OSError, subprocess.TimeoutExpired) as error:
                    wrong = str(error)
                if process.poll() is not None:
                    return
                self.done[what] = self.done.get(what, 0) + 1
                # An agent that has been disarmed refuses.
                if wrong and not self.disarms and not is_excused(wrong):
                    self.troubles.append(f"{what}: {wrong.strip()[:300]}")

        def disarm_and_arm():
            is_armed = True
            while process.poll() is None:
                command, state = ("disarm", "disarmed") if is_armed else ("attach", "armed")
                time.sleep(self.random.uniform(0.1, 0.6))
                done = subprocess.run(self.zaudit(command, process.pid), stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=240,
                                      check=False)
                if process.poll() is not None:
                    return
                if "disarmed, but" in done.stdout:
                    is_armed = False
                if not done.returncode:
                    is_armed = not is_armed
                    self.done[state] = self.done.get(state, 0) + 1
                elif not is_excused(done.stdout):
                    self.troubles.append(f"{command}: {done.stdout.strip()[:300]}")

        def attach():
            for command in self.companion.attach_commands(home_of_jcmd, process.pid):
                time.sleep(self.random.uniform(0.2, 2))
                if process.poll() is not None:
                    return
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, timeout=240, check=False)
                if "return code: 0" in done.stdout:
                    self.done["companion"] = self.done.get("companion", 0) + 1
                elif process.poll() is None and not is_excused(done.stdout):
                    self.troubles.append(f"{self.cell.companion}: {done.stdout.strip()[:300]}")

        def debug():
            while process.poll() is None:
                try:
                    debugger = Debugger(self.port)
                except OSError:
                    time.sleep(0.5)
                    continue
                self.done["suspended"] = debugger.bother(
                    self.random, lambda: process.poll() is not None)
                return

        home_of_jcmd = self.home / "bin" / "jcmd"
        if not self.is_audited:
            channels = ["threads", "collect"]
        # glibc keeps most of what is freed, and more of it for minutes. JDK 8 lacks the command.
        if self.seconds >= LONG and self.cell.malloc == "glibc" and self.major > 8:
            channels.append("trim")
        threads = [threading.Thread(target=demand, args=[what]) for what in channels]
        threads.append(threading.Thread(target=attach))
        if self.cell.stress == "debugger":
            threads.append(threading.Thread(target=debug))
        if self.disarms and self.is_audited:
            threads.append(threading.Thread(target=disarm_and_arm))
        for thread in threads:
            thread.start()
        return threads

    def watch(self, process):
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            self.resident.append((time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE")))

    def limit_memory(self, process):
        """Limits the address space while the program wants that."""
        wanted, limited = self.folder / "limit-wanted", self.folder / "limited"
        none = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        while process.poll() is None:
            if wanted.exists() != limited.exists():
                with contextlib.suppress(OSError):
                    if wanted.exists():
                        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
                        size = pages * os.sysconf("SC_PAGE_SIZE") + ROOM
                        resource.prlimit(process.pid, resource.RLIMIT_AS, (size, none[1]))
                        limited.touch()
                    else:
                        resource.prlimit(process.pid, resource.RLIMIT_AS, none)
                        limited.unlink()
            time.sleep(0.005)

    def run(self):
        begun = time.monotonic()
        # A busy machine may take minutes for the start with -Xcomp.
        limit = begun + self.seconds * 4 + 900
        process = self.start()
        # Alone: of several that attach for the first time, some get a thread dump, as HotSpot takes
        # the signal of those that come late for one (on standard output).
        while process.poll() is None and not self.is_ready(process.pid):
            time.sleep(0.3)
        threads = self.bother(process)
        if "MEMORY" in self.antagonists:
            threads.append(threading.Thread(target=self.limit_memory, args=[process]))
            threads[-1].start()
        while process.poll() is None:
            self.watch(process)
            if time.monotonic() > limit:
                process.send_signal(signal.SIGQUIT)
                time.sleep(5)
                process.kill()
                raise Failure(f"it hangs; see {self.folder}")
            time.sleep(0.25)
        for thread in threads:
            thread.join()
        self.took = time.monotonic() - begun
        return self.check(process.returncode)

    def check(self, code):
        """How it ended: with equal counts, or with others for a reason."""
        errors = (self.folder / "stderr").read_text(errors="replace")
        output = (self.folder / "stdout").read_text(errors="replace")
        if "MEMORY" in self.antagonists and code != EXIT_CODE and GAVE_UP in output:
            return "no memory"
        if code != EXIT_CODE:
            raise Failure(f"exit code {code}, not {EXIT_CODE}: {errors[-2000:]}")
        wanted = "".join(f"{name} acted\n" for name in self.antagonists)
        # JFR says there that it records, before JDK 17 without a prefix, and what it has no memory
        # for.
        output = re.sub(r"^\[.*\]\[jfr,\w+ *\].*\n|^Started recording .*\n\nUse jcmd .*\n", "",
                        output, flags=re.MULTILINE)
        if self.companion.name == "async-profiler":
            # What it cannot do in this JVM, or without memory.
            output = re.sub(r"^\[(ERROR|WARN)\] .*\n", "", output, flags=re.MULTILINE)
        foreign = [line for line in output.splitlines()
                   if not re.fullmatch(r"[A-Z_]+ acted", line)]
        if output != wanted:
            raise Failure(f"standard output is not the program's own: {foreign[:5] or output}")
        if self.cell.stress == "debugger" and not self.done.pop("suspended", 0):
            raise Failure("the debugger has not suspended the program")
        if self.troubles:
            raise Failure(f"{len(self.troubles)} demands failed: {self.troubles[0]}")
        if not self.is_audited:
            return "plain"
        if self.disarms:
            return "disarmed"
        try:
            report = json.loads((self.folder / "report.json").read_text())
        except (OSError, ValueError) as error:
            raise Failure(f"no report: {error}; {errors[-1000:]}") from error
        health = report["health"]
        # Without memory, the JVM cannot make what some calls of the agent return.
        short = set(RARE) & set(self.antagonists) and health["unreadable"] and \
            set(health["unreadable"]) <= SHORTAGES and not any(
                health[name] for name in ["dropped", "missing_hooks", "sums_off", "unsettled",
                                          "overflowed_stacks"])
        if not health["ok"] and not short:
            raise Failure(f"health: {json.dumps(health)}")
        if short or health["sites_left_out"] and (
                self.companion.name or "MEMORY" in self.antagonists):
            # Another agent's class loading adds more stacks than a report has sites, or there was
            # no memory for a site. The totals have all.
            for kind, name in KINDS:
                if report["totals"][kind]["created"] < self.book()[name]["created"]:
                    raise Failure(f"{kind}: the totals are less than what the program created")
            return "not compared"
        self.compare(report, self.book())
        return "equal"

    def book(self):
        lines = self.counts.read_text().splitlines()
        return {line.split()[0]: dict(map(self.number, line.split()[1:])) for line in lines}

    @staticmethod
    def number(word):
        name, value = word.split("=")
        return name, int(value)

    def compare(self, report, book):
        """The report's sums, without what the JDK has created for archives."""
        if report["health"]["sites_left_out"]:
            raise Failure("the report has left out sites: nothing can be compared")
        for kind, name in KINDS:
            sites = [site for site in report["sites"] if site["kind"] == kind]
            ours = [site for site in sites if self.is_ours(kind, site, classes_of(report, site))]
            created = sum(site["created"] for site in ours)
            ended = sum(site["ended"] for site in ours)
            mine = book[name]
            most = mine["created"] + mine["unsure"]
            if not mine["created"] <= created <= most:
                raise Failure(f"{kind}: created {created}, the program counted {mine}")
            # Streams that are not closed are ended by their file, or late.
            if kind != "zip_entry" and not (
                    mine["ended"] <= ended <= mine["ended"] + mine["unsure_end"]):
                raise Failure(f"{kind}: ended {ended}, the program counted {mine}")
            for site in sites:
                if site["created"] != site["ended"] + site["late"] + site["collected"] + \
                        site["live"]:
                    raise Failure(f"{kind}: a site does not add up: {site['id']}")
        self.counted = sum(book[name]["created"] for name in book)

    @staticmethod
    def is_ours(kind, site, classes):
        """Whether the program's own frame created it, and nothing that this has only set off."""
        of_program = re.compile(r"(Antagonist|Dropped|Changed|Chaos)\b")
        own = next((at for at, name in enumerate(classes) if of_program.match(name)), None)
        if own is None:
            return site["truncated"] and kind != "zip_entry"
        # The JDK's own class loaders and those of other agents, and the pools of archives.
        foreign = ("io.opentelemetry.", "sun.misc.", "java.net.URLClassLoader",
                   "java.util.ServiceLoader") if kind == "zip_entry" else \
                  ("java.util.zip.ZipFile", "jdk.nio.zipfs.", "com.sun.nio.zipfs.")
        return not any(name.startswith(foreign) for name in classes[:own])

    def slope(self):
        """
        Growth of resident memory in the second half of the run, in KiB a second, with its error.
        Samples that follow each other are not independent, therefore means of longer times.
        """
        half = self.resident[len(self.resident) // 2:]
        count = min(len(half), 24)
        if count < 8:
            return None
        blocks = [half[number * len(half) // count:(number + 1) * len(half) // count]
                  for number in range(count)]
        times = [statistics.fmean(at for at, _ in block) for block in blocks]
        sizes = [statistics.fmean(size / 1024 for _, size in block) for block in blocks]
        times = [at - times[0] for at in times]
        line = statistics.linear_regression(times, sizes)
        rest = [size - line.intercept - line.slope * at for at, size in zip(times, sizes)]
        spread = statistics.pvariance(times) * len(times)
        error = (sum(value * value for value in rest) / (len(rest) - 2) / spread) ** 0.5
        return line.slope, error


def classes_of(report, site):
    """The classes of a site's frames; those of a clean site are in the report's tables."""
    frames = list(site["frames"])
    node, nodes = site["stack"], report["stack_table"]
    while node is not None:
        frames.append(report["frame_table"][nodes["frame"][node]])
        node = nodes["caller"][node]
    return [frame["class"] for frame in frames]
