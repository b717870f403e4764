"""Runs the program of antagonists under the agent, and compares what both have counted.

Invariant: a run is green only if the JVM ended as the program wanted, its standard output is the
program's own, the counts are equal to the unit, and no report failed.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
# What the program ends with.
EXIT_CODE = 7
# In this order.
ANTAGONISTS = ["THREADS", "VIRTUAL", "LOADERS", "LAMBDAS", "OVERFLOW", "THROWING", "GARBAGE",
               "ARCHIVES", "FILE_SYSTEMS", "CHANGES", "HANDED_ON"]
COLLECTORS = {
    "serial": ["-XX:+UseSerialGC"],
    "parallel": ["-XX:+UseParallelGC"],
    "g1": ["-XX:+UseG1GC"],
    "zgc": ["-XX:+UseZGC"],
    "shenandoah": ["-XX:+UseShenandoahGC"],
}
# Flags of product builds that make rare moments frequent.
DIAGNOSTIC = "-XX:+UnlockDiagnosticVMOptions"
STRESS = {
    "none": [],
    "xcomp": ["-Xcomp"],
    "xint": ["-Xint"],
    "safepoints": [DIAGNOSTIC, "-XX:GuaranteedSafepointInterval=1", "-XX:+SafepointALot"],
    "handshakes": [DIAGNOSTIC, "-XX:GuaranteedSafepointInterval=1", "-XX:+HandshakeALot"],
    "verify": [DIAGNOSTIC, "-XX:+VerifyBeforeGC", "-XX:+VerifyAfterGC"],
    "deoptimize": [DIAGNOSTIC, "-XX:+DeoptimizeNMethodBarriersALot"],
    "compiler": [DIAGNOSTIC, "-XX:+StressLCM", "-XX:+StressGCM", "-XX:+StressIGVN"],
    "small-code": ["-XX:ReservedCodeCacheSize=6m"],
    "small-stacks": ["-Xss256k"],
    "check-jni": ["-Xcheck:jni"],
    "jfr": ["-XX:StartFlightRecording=settings=profile,filename=/dev/null"],
    "debugger": ["-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:0,"
                 "quiet=y"],
}
MALLOCS = {
    "glibc": None,
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}
# Debian's packages of these libraries.
PACKAGES = {"jemalloc": "libjemalloc2", "tcmalloc": "libtcmalloc-minimal4"}


class Failure(Exception):
    """What is wrong with a run."""


def say(text):
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def output_of(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode:
        raise Failure(f"{command[0]} fails with {done.returncode}")
    return done.stdout


def jdks(wanted):
    lines = output_of([TOP / "scripts" / "jdks", *wanted]).splitlines()
    return {int(line.split(" ", 1)[0]): Path(line.split(" ", 1)[1]) for line in lines}


def library_of(name):
    """Where an allocator is. None if the machine does not have it."""
    file = MALLOCS[name]
    found = output_of(["/sbin/ldconfig", "-p"]) if file else ""
    paths = [line.rsplit(" => ", 1)[1] for line in found.splitlines()
             if line.strip().startswith(f"{file} ") and "x86-64" in line]
    return paths[0] if paths else None


def built():
    """Where the agent and the command are, after a build."""
    lines = output_of(
        ["cargo", "build", "--release", "--locked", "-p", "zaudit", "-p", "zaudit-cli",
         "--message-format", "json-render-diagnostics"], cwd=TOP).splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    files = [Path(name) for message in messages for name in message.get("filenames") or []]
    return [next(file for file in files if file.name == name)
            for name in ("libzaudit.so", "zaudit")]


class Kit:
    """The agent, the command, and the program compiled for each JDK."""

    def __init__(self, homes, options):
        self.options = options
        self.library, self.command = built()
        self.homes = homes
        self.work = self.library.parent.parent / "chaos"
        shutil.rmtree(self.work, ignore_errors=True)
        self.classes = {}
        for major, home in homes.items():
            folder = self.work / f"jdk{major}"
            folder.mkdir(parents=True)
            classes = folder / "classes"
            classes.mkdir()
            sources = sorted((TOP / "chaos" / "program").glob("*.java"))
            output_of([home / "bin" / "javac", "-nowarn", "-Xlint:none", "-d", classes,
                       *sources])
            manifest = folder / "manifest"
            manifest.write_text("Premain-Class: Changer\nCan-Redefine-Classes: true\n"
                                "Can-Retransform-Classes: true\n")
            output_of([home / "bin" / "jar", "c0fm", folder / "changer.jar", manifest,
                       "-C", classes, "Changer.class"])
            self.classes[major] = classes


class Run:
    """One JVM."""

    def __init__(self, kit, major, collector, stress, malloc, seconds, seed, antagonists):
        self.kit, self.major, self.seconds, self.seed = kit, major, seconds, seed
        self.antagonists = antagonists
        self.name = f"jdk{major} {collector} {stress} {malloc} seed {seed}"
        self.folder = kit.work / f"jdk{major}" / f"run{seed}-{collector}-{stress}-{malloc}"
        self.folder.mkdir()
        self.home = kit.homes[major]
        self.flags = COLLECTORS[collector] + STRESS[stress]
        self.preload = library_of(malloc)
        self.random = random.Random(seed)
        # An audit that begins again has other counts than the program.
        self.disarms = self.random.random() < 0.2
        self.name += " disarming" if self.disarms else ""
        self.resident = []
        self.done = {}
        self.troubles = []

    def start(self):
        report = self.folder / "report.json"
        options = f"gc,file={report},format=json,signal=USR1"
        if self.random.random() < 0.5:
            options += ",gc_roots=3"
        if self.kit.options:
            options += f",{self.kit.options}"
        classes = self.kit.classes[self.major]
        environment = dict(os.environ)
        if self.preload:
            environment["LD_PRELOAD"] = self.preload
        command = [
            self.home / "bin" / "java", "-Xmx256m", *self.flags,
            f"-agentpath:{self.kit.library}={options}",
            f"-javaagent:{classes.parent / 'changer.jar'}",
            "-cp", classes, "Chaos", str(self.seconds), str(self.seed),
            self.folder / "book", *self.antagonists,
        ]
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, env=environment,
                                    cwd=self.folder)

    def report_by(self, what, pid):
        """One report, or another demand on the agent, through one of its channels."""
        home = self.home / "bin"
        zaudit = self.kit.command
        report = self.folder / f"{what}.json"
        command = {
            "dump": [zaudit, "dump", str(pid), "--format", "json", "--output", report],
            "dump-gc": [zaudit, "dump", str(pid), "--gc"],
            "status": [zaudit, "status", str(pid)],
            "jcmd": [home / "jcmd", str(pid), "JVMTI.data_dump"],
            "threads": [home / "jcmd", str(pid), "Thread.print"],
        }.get(what)
        if command is None:
            os.kill(pid, {"usr1": signal.SIGUSR1, "quit": signal.SIGQUIT}[what])
            return None
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, check=False)
        return done.stdout if done.returncode else None

    def is_armed(self, pid):
        done = subprocess.run([self.kit.command, "status", str(pid)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=120, check=False)
        return "state: armed" in done.stdout

    def bother(self, process):
        """Demands reports, all channels at once, until the program ends."""
        channels = ["dump", "dump-gc", "status", "threads", "usr1"]
        # JDK 8 does not have this command.
        channels += ["jcmd"] if self.major > 8 else []
        if self.disarms:
            # While reports are made one after the other, the agent refuses to be disarmed.
            channels = ["status", "threads", "usr1"]

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
                # A JVM that ends refuses, and so does an agent that makes another report, or that
                # has been disarmed.
                refuses = self.disarms or "another report" in (wrong or "")
                if wrong and time.monotonic() < self.deadline and not refuses:
                    self.troubles.append(f"{what}: {wrong.strip()[:300]}")

        def disarm_and_arm():
            while process.poll() is None:
                for command, state in [("disarm", "disarmed"), ("attach", "armed")]:
                    time.sleep(self.random.uniform(0.1, 0.6))
                    done = subprocess.run([self.kit.command, command, str(process.pid)],
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                          text=True, timeout=120, check=False)
                    if process.poll() is None and not done.returncode:
                        self.done[state] = self.done.get(state, 0) + 1
                    elif process.poll() is None and time.monotonic() < self.deadline and \
                            "another report" not in done.stdout:
                        self.troubles.append(f"{command}: {done.stdout.strip()[:300]}")

        threads = [threading.Thread(target=demand, args=[what]) for what in channels]
        if self.disarms:
            threads.append(threading.Thread(target=disarm_and_arm))
        for thread in threads:
            thread.start()
        return threads

    def watch(self, process):
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            self.resident.append((time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE")))

    def run(self):
        self.deadline = time.monotonic() + self.seconds
        limit = time.monotonic() + self.seconds * 4 + 180
        process = self.start()
        # Alone: of several that attach for the first time, some get a thread dump, as HotSpot takes
        # the signal of those that come late for one (on standard output).
        while process.poll() is None and not self.is_armed(process.pid):
            time.sleep(0.3)
        threads = self.bother(process)
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
        self.check(process.returncode)

    def check(self, code):
        errors = (self.folder / "stderr").read_text(errors="replace")
        if code != EXIT_CODE:
            raise Failure(f"exit code {code}, not {EXIT_CODE}: {errors[-2000:]}")
        wanted = "".join(f"{name} acted\n" for name in self.antagonists)
        output = (self.folder / "stdout").read_text(errors="replace")
        # JFR says there that it records.
        output = re.sub(r"^\[.*\]\[jfr,startup\].*\n", "", output, flags=re.MULTILINE)
        foreign = [line for line in output.splitlines()
                   if not re.fullmatch(r"[A-Z_]+ acted", line)]
        if output != wanted:
            raise Failure(f"standard output is not the program's own: {foreign[:5] or output}")
        if self.troubles:
            raise Failure(f"{len(self.troubles)} demands failed: {self.troubles[0]}")
        if self.disarms:
            self.counted = 0
            return
        try:
            report = json.loads((self.folder / "report.json").read_text())
        except (OSError, ValueError) as error:
            raise Failure(f"no report: {error}; {errors[-1000:]}") from error
        if not report["health"]["ok"]:
            raise Failure(f"health: {json.dumps(report['health'])}")
        self.compare(report, self.book())

    def book(self):
        lines = (self.folder / "book").read_text().splitlines()
        return {line.split()[0]: dict(map(self.number, line.split()[1:])) for line in lines}

    @staticmethod
    def number(word):
        name, value = word.split("=")
        return name, int(value)

    def compare(self, report, book):
        """The report's sums, without what the JDK has created for archives."""
        if report["health"]["sites_left_out"]:
            raise Failure("the report has left out sites: nothing can be compared")
        for kind, name in [("inflater", "inflater"), ("deflater", "deflater"),
                           ("zip_entry", "entry")]:
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
        of_program = re.compile(r"(Antagonist|Dropped|Changed|Chaos)\b")
        if not any(of_program.match(name) for name in classes):
            return site["truncated"] and kind != "zip_entry"
        # The JDK's own class loaders, and the pools of its archives.
        foreign = (("sun.misc.", "java.net.URLClassLoader", "java.util.ServiceLoader") if kind == "zip_entry" else
                   ("java.util.zip.ZipFile", "jdk.nio.zipfs.", "com.sun.nio.zipfs."))
        return not any(name.startswith(foreign) for name in classes)

    def slope(self):
        """Growth of resident memory in its second half, in KiB a second, with its error."""
        half = self.resident[len(self.resident) // 2:]
        if len(half) < 8:
            return None
        times = [at - half[0][0] for at, _ in half]
        sizes = [size / 1024 for _, size in half]
        line = statistics.linear_regression(times, sizes)
        rest = [size - line.intercept - line.slope * at for at, size in zip(times, sizes)]
        spread = statistics.pvariance(times) * len(times)
        error = (sum(value * value for value in rest) / max(len(rest) - 2, 1) / spread) ** 0.5
        return line.slope, error


def classes_of(report, site):
    """The classes of a site's frames; those of a clean site are in the report's tables."""
    frames = list(site["frames"])
    node, nodes = site["stack"], report["stack_table"]
    while node is not None:
        frames.append(report["frame_table"][nodes["frame"][node]])
        node = nodes["caller"][node]
    return [frame["class"] for frame in frames]


def matrix(arguments, homes):
    """The runs, in an order that tries each value early: JDK, collector, stress, allocator."""
    chance = random.Random(arguments.seed)
    rest = lambda names, chosen: [chosen] if chosen else list(names)
    found = [name for name in rest(MALLOCS, arguments.malloc)
             if name == "glibc" or library_of(name)]
    for name in set(rest(MALLOCS, arguments.malloc)) - set(found):
        say(f"SKIPPED {name}: not installed (Debian: {PACKAGES[name]})")
    majors = sorted(homes)
    for number in itertools.count():
        major = majors[number % len(majors)]
        collector = chance.choice(rest(COLLECTORS, arguments.gc))
        stress = chance.choice(rest(STRESS, arguments.stress))
        if runs_on(major, collector, stress):
            yield major, collector, stress, chance.choice(found), chance.randrange(1 << 30)
        else:
            yield major, "serial", "none", chance.choice(found), chance.randrange(1 << 30)


def runs_on(major, collector, stress):
    """Whether this JDK has the collector and the flags."""
    if collector == "zgc" and major < 17 or collector == "shenandoah" and major < 17:
        return False
    # JDK 8 prints the handlers of signals on standard output if SIGUSR1 is taken.
    if stress == "check-jni" and major == 8:
        return False
    if stress == "safepoints" and major > 17:
        return False
    if stress in ("handshakes", "deoptimize") and major < 17:
        return False
    if stress == "jfr" and major < 11:
        return False
    return not ((stress == "verify" and major < 11) or (stress == "compiler" and major < 17))


def main():
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long, in all")
    parser.add_argument("--seconds", type=int, default=15, help="how long each JVM runs")
    parser.add_argument("--jdk", action="append", help="only this release; may be repeated")
    parser.add_argument("--gc", choices=COLLECTORS)
    parser.add_argument("--stress", choices=STRESS)
    parser.add_argument("--malloc", choices=MALLOCS)
    parser.add_argument("--options", help="more options for the agent, such as walk=check")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--without", action="append", default=[], choices=ANTAGONISTS)
    arguments = parser.parse_args()
    say(f"seed {arguments.seed}")
    kit = Kit(jdks(arguments.jdk or []), arguments.options)
    antagonists = [name for name in ANTAGONISTS if name not in arguments.without]
    end = time.monotonic() + arguments.minutes * 60
    runs, failed, created, demands = 0, 0, 0, {}
    for cell in matrix(arguments, kit.homes):
        if time.monotonic() + arguments.seconds > end and runs:
            break
        major, collector, stress, malloc, seed = cell
        run = Run(kit, major, collector, stress, malloc, arguments.seconds, seed, antagonists)
        runs += 1
        try:
            run.run()
            created += run.counted
            growth = run.slope()
            grown = f", RSS {growth[0]:+.0f} ± {growth[1]:.0f} KiB/s" if growth else ""
            print(f"ok      {run.name}: {run.counted} lifecycles, "
                  f"{sum(run.done.values())} demands{grown}", flush=True)
            shutil.rmtree(run.folder)
        except Failure as failure:
            failed += 1
            print(f"FAILED  {run.name}: {failure}\n        kept: {run.folder}", flush=True)
        for what, times in run.done.items():
            demands[what] = demands.get(what, 0) + times
    print(f"{runs} runs, {failed} failed; {created} lifecycles equal; demands: "
          + ", ".join(f"{what} {times}" for what, times in sorted(demands.items())))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
