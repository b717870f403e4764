"""Runs the program of antagonists under the agent in all kinds of JVMs, and keeps the results.

A kind is a JDK, a collector, an allocator, flags that stress the JVM, and perhaps another agent.
Invariant: the seed alone decides what is run; what this machine lacks is named.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import totals
from companions import CHOICES, Companions
from run import ANTAGONISTS, GROWTH, LONG, RARE, Failure, Run

TOP = Path(__file__).resolve().parent.parent
# Cargo's target directory.
TARGET = TOP / (os.environ.get("CARGO_TARGET_DIR") or "target")
# Some collectors are on trial in JDK 11 and 24.
EXPERIMENTAL = "-XX:+UnlockExperimentalVMOptions"
COLLECTORS = {
    "serial": ["-XX:+UseSerialGC"],
    "parallel": ["-XX:+UseParallelGC"],
    "cms": ["-XX:+UseConcMarkSweepGC"],
    "g1": ["-XX:+UseG1GC"],
    "zgc": [EXPERIMENTAL, "-XX:+UseZGC"],
    # From JDK 24 on, ZGC is always generational.
    "zgc-generational": ["-XX:+UseZGC", "-XX:+ZGenerational"],
    "shenandoah": [EXPERIMENTAL, "-XX:+UseShenandoahGC"],
    "shenandoah-generational": [EXPERIMENTAL, "-XX:+UseShenandoahGC",
                                "-XX:ShenandoahGCMode=generational"],
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
    "wide-references": ["-XX:-UseCompressedOops"],
    "compact-headers": [EXPERIMENTAL, "-XX:+UseCompactObjectHeaders"],
    "check-jni": ["-Xcheck:jni"],
    "jfr": ["-XX:StartFlightRecording=settings=profile,filename=/dev/null"],
    "debugger": ["-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,quiet=y,"
                 "address=127.0.0.1:{port}"],
}
MALLOCS = {
    "glibc": None,
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}
# Debian's packages of these libraries.
PACKAGES = {"jemalloc": "libjemalloc2", "tcmalloc": "libtcmalloc-minimal4"}


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
    """Where the agent and the command are: in ZAUDIT_BUILD, else where cargo has built them."""
    names = ("libzaudit.so", "zaudit")
    folder = os.environ.get("ZAUDIT_BUILD")
    if folder:
        files = [Path(folder).resolve() / name for name in names]
        for file in files:
            if not file.is_file():
                raise Failure(f"ZAUDIT_BUILD: there is no {file}")
        return files
    lines = output_of(
        ["cargo", "build", "--release", "--locked", "-p", "zaudit", "-p", "zaudit-cli",
         "--message-format", "json-render-diagnostics"], cwd=TOP).splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    files = [Path(name) for message in messages for name in message.get("filenames") or []]
    return [next(file for file in files if file.name == name) for name in names]


@dataclass(frozen=True)
class Cell:
    """What is chosen for one run."""

    major: int
    collector: str
    stress: str
    malloc: str
    companion: str
    seed: int

    @property
    def flags(self):
        return COLLECTORS[self.collector] + STRESS[self.stress]

    @property
    def preload(self):
        return library_of(self.malloc)


class Kit:
    """The agent, the command, the other agents, and the program compiled for each JDK."""

    def __init__(self, homes, arguments):
        self.options = arguments.options
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.companions = Companions(cache / "zaudit" / "chaos", arguments.offline, say)
        self.library, self.command = built()
        self.homes = homes
        self.work = TARGET / "chaos" / str(arguments.seed)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        # A later build does not change what is run.
        self.library = Path(shutil.copy(self.library, self.work))
        self.command = Path(shutil.copy(self.command, self.work))
        self.results = arguments.results or self.work.parent / "results.jsonl"
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


def matrix(arguments, homes, companions):
    """The runs, in an order that tries each value early: JDK, collector, stress, allocator."""
    chance = random.Random(arguments.seed)
    rest = lambda names, chosen: [chosen] if chosen else list(names)
    mallocs = [name for name in rest(MALLOCS, arguments.malloc)
               if name == "glibc" or library_of(name)]
    for name in set(rest(MALLOCS, arguments.malloc)) - set(mallocs):
        say(f"SKIPPED {name}: not installed (Debian: {PACKAGES[name]})")
    kinds = {}
    for major in sorted(homes):
        collectors = [name for name in rest(COLLECTORS, arguments.gc) if collects(major, name)]
        stresses = [name for name in rest(STRESS, arguments.stress) if knows(major, name)]
        if collectors and stresses:
            kinds[major] = collectors, stresses
        else:
            say(f"SKIPPED JDK {major}: does not have that collector, or those flags")
    if not kinds:
        raise Failure("no JDK is left")
    for major in itertools.cycle(kinds):
        collectors, stresses = kinds[major]
        cell = Cell(
            major,
            chance.choice(collectors),
            chance.choice(stresses),
            chance.choice(mallocs),
            # Half of the runs without.
            arguments.companion or chance.choice([*companions, *["none"] * (len(companions) or 1)]),
            chance.randrange(1 << 30),
        )
        yield cell if goes_with(cell) else replace(cell, companion="none")


def goes_with(cell):
    """Whether the other agent can be in this JVM."""
    name, _, place = cell.companion.rpartition("-")
    # OpenTelemetry's start takes minutes if everything is compiled first.
    if name == "opentelemetry" and cell.stress == "xcomp":
        return False
    # The profiler's calls and signal handlers give rise to warnings on standard output.
    if name == "async-profiler" and cell.stress == "check-jni":
        return False
    # jcmd cannot load an agent into JDK 8, and async-profiler 4.6 crashes JDK 28 if it is attached.
    return not (place == "attached" and
                (cell.major == 8 or name == "async-profiler" and cell.major >= 28))


def collects(major, collector):
    """Whether this JDK has the collector."""
    first, last = {"cms": (8, 13), "zgc": (11, 99), "zgc-generational": (21, 23),
                   "shenandoah": (11, 99), "shenandoah-generational": (24, 99),
                   }.get(collector, (8, 99))
    return first <= major <= last


def knows(major, stress):
    """Whether this JDK has the flags."""
    # JDK 8 prints the handlers of signals on standard output if SIGUSR1 is taken.
    first = {"check-jni": 9, "safepoints": 9, "jfr": 11, "verify": 11, "handshakes": 17,
             "deoptimize": 17, "compiler": 17, "compact-headers": 24}.get(stress, 8)
    return major >= first and not (stress == "safepoints" and major > 17)


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
    parser.add_argument("--always", action="append", default=[], choices=RARE,
                        help="in all runs, not in some of them")
    parser.add_argument("--companion", choices=[*CHOICES, "none"], help="this other agent")
    parser.add_argument("--offline", action="store_true", help="download no other agents")
    parser.add_argument("--results", type=Path, help="append a line of JSON for each run")
    parser.add_argument("--totals", type=Path, nargs="+", metavar="FILE",
                        help="run nothing, and print the sums of such files as Markdown")
    arguments = parser.parse_args()
    if arguments.totals:
        print(totals.table(totals.read(arguments.totals)))
        return
    say(f"seed {arguments.seed}")
    kit = Kit(jdks(arguments.jdk or []), arguments)
    antagonists = [name for name in ANTAGONISTS if name not in arguments.without]
    end = time.monotonic() + arguments.minutes * 60
    results = []
    for cell in matrix(arguments, kit.homes, kit.companions.choices()):
        if time.monotonic() + arguments.seconds > end and results:
            break
        run = Run(kit, cell, arguments.seconds, antagonists, arguments.always)
        results.append(result_of(run))
        totals.append(kit.results, results[-1])
    failed = sum(result["end"] == "failed" for result in results)
    print(totals.table(results))
    print(f"{len(results)} runs, {failed} failed")
    sys.exit(1 if failed else 0)


def result_of(run):
    """Prints the line of a run, and removes what it has left if it is green."""
    cell, begun = run.cell, time.monotonic()
    result = {"jdk": cell.major, "collector": cell.collector, "stress": cell.stress,
              "malloc": cell.malloc, "companion": cell.companion, "seed": cell.seed,
              "seconds": run.seconds, "antagonists": run.antagonists, "disarms": run.disarms}
    try:
        result["end"] = run.run()
        print(f"ok      {run.name}: {result['end']}, {run.counted} lifecycles, "
              f"{sum(run.done.values())} demands{grown(run.slope())}", flush=True)
        check_growth(run)
        shutil.rmtree(run.folder)
    except Failure as failure:
        result.update(end="failed", why=str(failure))
        print(f"FAILED  {run.name}: {failure}\n        kept: {run.folder}", flush=True)
    return {**result, "lifecycles": run.counted, "demands": run.done, "slope": run.slope(),
            "took": round(time.monotonic() - begun, 1)}


def grown(growth):
    return f", RSS {growth[0]:+.0f} ± {growth[1]:.0f} KiB/s" if growth else ""


def check_growth(run):
    """If the program itself grows, too, only what is more than that is the agent's."""
    growth = run.slope()
    if run.seconds < LONG or not growth or growth[0] - 3 * growth[1] <= GROWTH:
        return
    plain = Run(run.kit, run.cell, run.seconds, run.antagonists, run.antagonists, False)
    plain.run()
    own = plain.slope()
    print(f"        without the agent{grown(own)}", flush=True)
    error = (growth[1] ** 2 + own[1] ** 2) ** 0.5
    if growth[0] - own[0] - 3 * error > GROWTH:
        raise Failure(f"resident memory grows{grown(growth)}, without the agent{grown(own)}")
    shutil.rmtree(plain.folder)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(failure)
        sys.exit(1)
