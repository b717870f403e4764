"""Starts and ends JVMs under the agent, and compares each end with that of the bare JVM.

Invariant: a run is green only if the exit code and standard output are those of the same ending
without the agent, each report is whole, no temporary file and no process is left, and each command
that lost its JVM said so in one line, with a documented exit code.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from chaos import COLLECTORS, TARGET, TOP, Failure, built, collects, jdks, output_of

# What a JVM or a command may take, on a machine that does other things, too.
LIMIT = 90
# JDK 8 may lose a signal in the first moments of its start, before Java code handles it: 17 of 430
# without the agent. After this time it is sent again.
LOST = 20
ALSO = r"\[thread \d+ also had an error\]"


class Way:
    """A way to end: by the program itself, by a signal from outside, or without a program."""

    def __init__(self, weight, flags=(), since=8, sends=None, dies=False, arguments=None):
        self.weight, self.flags, self.since, self.sends = weight, list(flags), since, sends
        # Nothing can be written any more.
        self.dies = dies
        # In place of the program's name and its arguments.
        self.arguments = arguments


CRASHES = ["-XX:ErrorFile=crash.log"]
WAYS = {
    "return": Way(3),
    "exit": Way(3),
    "halt": Way(3),
    "halt-in-hook": Way(3),
    "uncaught": Way(2),
    "overflow": Way(1),
    "last-thread": Way(2),
    "exit-by-four": Way(3),
    "exit-in-constructor": Way(3),
    "exit-in-finalizer": Way(2),
    "exit-in-virtual-thread": Way(3, since=21),
    "out-of-memory": Way(1, ["-XX:+ExitOnOutOfMemoryError"], dies=True),
    "out-of-memory-crash": Way(1, ["-XX:+CrashOnOutOfMemoryError", *CRASHES], dies=True),
    "term": Way(5, sends=signal.SIGTERM),
    "int": Way(2, sends=signal.SIGINT),
    "hup": Way(2, sends=signal.SIGHUP),
    "kill": Way(5, sends=signal.SIGKILL, dies=True),
    "abort": Way(1, CRASHES, sends=signal.SIGABRT, dies=True),
    "crash": Way(1, CRASHES, sends=signal.SIGSEGV, dies=True),
    "version": Way(1, arguments=["-version"]),
    "no-class": Way(1, arguments=["NoSuchClass"]),
}
# When the end comes, and how often.
MOMENTS = {
    # At any time of the start.
    "starting": 4,
    # Nothing else is under way.
    "idle": 2,
    # While reports are demanded, through several channels at once.
    "demands": 5,
    # While a snapshot has its temporary name.
    "writing": 4,
    # While audits end and begin.
    "arming": 3,
}
DEMANDS = ["dump", "dump-gc", "status", "reset", "disarm", "attach", "usr1", "quit", "jcmd"]
EXTENSIONS = ["html", "pb.gz", "collapsed", "prom", "md", "txt"]
# What a command says if it was too late, or is not the only one: exit code and message.
REFUSALS = [
    (3, r"process \d+ has ended; .*"),
    (3, r"there is no process \d+; .*"),
    (1, r"another report is being written, or the JVM is exiting.*"),
    (1, r"the JVM is exiting, or the agent has stopped after an internal error"),
    (1, r"no audit is under way(; .*)?"),
    (1, r"an audit is under way; .*"),
]
# What it may say of a JVM that takes more than a second to get that far, on a busy machine.
STARTING = [
    (4, r"process \d+ \(java\) is not a HotSpot JVM: no libjvm\.so is in it; .*"),
    (6, r"process \d+ does not handle SIGQUIT and has no attach socket: it is just starting.*"),
]
# A signal in the first moments of a JVM, whether with or without the agent.
TOO_EARLY = b"Error occurred during initialization of VM\njava.lang.InternalError: Bad level: 2"


class Plan:
    """What is chosen for one run. Follows from the seed alone."""

    def __init__(self, seed, majors, ways, moments):
        chance = random.Random(seed)
        self.seed = seed
        self.major = chance.choice(majors)
        possible = [name for name in ways if WAYS[name].since <= self.major]
        self.name = chance.choices(possible, [WAYS[name].weight for name in possible])[0]
        self.way = WAYS[self.name]
        self.moment = chance.choices(moments, [MOMENTS[name] for name in moments])[0]
        if self.way.arguments:
            self.moment = "starting"
        collector = chance.choice(list(COLLECTORS))
        self.collector = collector if collects(self.major, collector) else "serial"
        self.attached = chance.random() < 0.3 and not self.way.arguments
        self.height = 10 if self.moment == "writing" else chance.choice([0, 3, 7])
        self.threads = chance.choice([0, 2])
        self.flags = [*COLLECTORS[self.collector], "-Xmx64m", *self.way.flags]
        if chance.random() < 0.5:
            self.flags.append("-XX:TieredStopAtLevel=1")
        self.demands = []
        if self.moment == "demands":
            possible = [what for what in DEMANDS if self.major > 8 or what != "jcmd"]
            self.demands = chance.sample(possible, chance.randint(1, 4))
            # Of several that attach for the first time, some get a thread dump: HotSpot takes the
            # signal of those that come late for a request of one.
            self.flags.append("-XX:+StartAttachListener")
        self.options = ["format=json", "file=r.json", "gc_timeout=2s"]
        self.extensions = ["json"]
        if chance.random() < 0.3:
            self.extensions.append(chance.choice(EXTENSIONS))
            self.options = ["file=r.json", f"file=r.{self.extensions[1]}", "gc_timeout=2s"]
        if self.moment == "writing" or chance.random() < 0.2:
            self.options.append("interval=100ms")
            if chance.random() < 0.3:
                self.options.append("max_snapshots=3")
        for option, part in [("gc", 0.3), ("gc_roots=3", 0.2), ("hooks=tag", 0.2)]:
            if chance.random() < part:
                self.options.append(option)
        # How long after its moment the end comes.
        longest = {"starting": 0.6, "idle": 0.05, "demands": 0.3, "writing": 0, "arming": 0.5}
        self.delay = chance.uniform(0, longest[self.moment])

    def __str__(self):
        loaded = "attached" if self.attached else "at start"
        demands = f" ({' '.join(self.demands)})" if self.demands else ""
        return (f"jdk{self.major} {self.collector} {self.name}, {self.moment}{demands}, {loaded}, "
                f"{','.join(self.options)}, seed {self.seed}")

    def arguments(self):
        program = self.name.removesuffix("-crash")
        return self.way.arguments or ["Ends", program, str(self.height), str(self.threads)]


class Kit:
    """The agent, the command, the program compiled for each JDK, and how bare JVMs end."""

    def __init__(self, homes):
        self.library, self.command = built()
        self.homes = homes
        self.work = TARGET / "endings"
        shutil.rmtree(self.work, ignore_errors=True)
        for major, home in homes.items():
            self.classes(major).mkdir(parents=True)
            output_of([home / "bin" / "javac", "-nowarn", "-Xlint:none", "-d",
                       self.classes(major), TOP / "chaos" / "endings" / "Ends.java"])
        self.bare = {}
        self.lock = threading.Lock()

    def classes(self, major):
        return self.work / f"jdk{major}"

    def start(self, plan, folder, flags):
        """A JVM in its folder, and in a group of processes that has its number."""
        command = [self.homes[plan.major] / "bin" / "java", *flags, *plan.flags, "-cp",
                   self.classes(plan.major), *plan.arguments()]
        with open(folder / "stderr", "wb") as errors:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=errors, cwd=folder, process_group=0)

    def end_of_bare(self, plan):
        """Exit code and standard output without the agent, tried once for each JDK and way."""
        key = plan.major, plan.name
        with self.lock:
            future = self.bare.get(key)
            if mine := future is None:
                future = self.bare[key] = concurrent.futures.Future()
        if mine:
            try:
                future.set_result(self.try_bare(plan))
            except Exception as error:
                future.set_exception(error)
        return future.result()

    def try_bare(self, plan):
        folder = self.work / f"bare-{plan.major}-{plan.name}"
        folder.mkdir()
        process = self.start(plan, folder, [])
        watchdog = threading.Timer(LIMIT, process.kill)
        watchdog.start()
        first = b"" if plan.way.arguments else process.stdout.readline()
        if plan.way.sends:
            process.send_signal(plan.way.sends)
        else:
            with contextlib.suppress(OSError):
                process.stdin.write(b"\n")
                process.stdin.flush()
        output = first + process.stdout.read()
        code = exit_code(process)
        watchdog.cancel()
        shutil.rmtree(folder)
        return code, printed(output)


def exit_code(process):
    """As a shell says it."""
    code = process.wait()
    return code if code >= 0 else 128 - code


def printed(output):
    """Standard output without what HotSpot says of its crash, which has addresses and numbers."""
    text = output.decode(errors="replace")
    return [line for line in text.splitlines() if line and not re.match(r"#|\[.*\[warning\]", line)]


class Run:
    """One JVM: its start, its end, and what is left."""

    def __init__(self, kit, plan):
        self.kit, self.plan = kit, plan
        self.folder = kit.work / f"run{plan.seed}"
        self.folder.mkdir()
        self.ended = threading.Event()
        self.troubles = []
        self.done = collections.Counter()

    def run(self):
        plan = self.plan
        agent = [f"-agentpath:{self.kit.library}={','.join(plan.options)}"]
        self.started_at = time.time()
        self.process = self.kit.start(plan, self.folder, [] if plan.attached else agent)
        self.hangs = False
        watchdog = threading.Timer(LIMIT, self.give_up)
        watchdog.start()
        first, threads = b"", []
        if plan.moment == "starting":
            if plan.attached:
                threads.append(self.beside(self.command, "attach"))
        else:
            first = self.process.stdout.readline()
            if plan.attached:
                self.command("attach")
            threads = [self.beside(self.demand, what) for what in plan.demands]
            if plan.moment == "arming":
                threads.append(self.beside(self.disarm_and_arm))
        if plan.moment == "writing":
            self.wait_for_temporary()
        time.sleep(plan.delay)
        begun = time.monotonic()
        self.end()
        again = threading.Timer(LOST, self.end_again)
        if plan.moment == "starting" and plan.major == 8:
            again.start()
        output = first + self.process.stdout.read()
        code = exit_code(self.process)
        self.seconds = time.monotonic() - begun
        self.ended.set()
        watchdog.cancel()
        again.cancel()
        for thread in threads:
            thread.join()
        self.check(code, output)
        # HotSpot leaves these if it is killed, and process ids are used again.
        for name in ("java", "attach"):
            Path(f"/tmp/.{name}_pid{self.process.pid}").unlink(missing_ok=True)

    def beside(self, work, *arguments):
        def try_it():
            try:
                work(*arguments)
            except Exception as error:
                self.troubles.append(f"{arguments}: {error!r}")
        thread = threading.Thread(target=try_it)
        thread.start()
        return thread

    def give_up(self):
        self.hangs = True
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGQUIT)
            time.sleep(5)
            self.process.kill()

    def end_again(self):
        if self.plan.way.sends:
            self.done["signals that a starting JVM has lost"] += 1
            with contextlib.suppress(OSError):
                self.end()

    def end(self):
        if self.plan.way.sends:
            self.process.send_signal(self.plan.way.sends)
        elif not self.plan.way.arguments:
            with contextlib.suppress(OSError):
                self.process.stdin.write(b"\n")
                self.process.stdin.flush()

    def wait_for_temporary(self):
        limit = time.monotonic() + 3
        while time.monotonic() < limit:
            if self.temporaries():
                self.done["caught writing"] += 1
                return
            time.sleep(0.001)

    def temporaries(self):
        return [name for name in os.listdir(self.folder) if name.startswith(".zaudit-")]

    def demand(self, what):
        pid = self.process.pid
        if what in ("usr1", "quit"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1 if what == "usr1" else signal.SIGQUIT)
            self.done[what] += 1
        elif what == "jcmd":
            # What it says if its JVM ends is the JDK's affair.
            jcmd = self.kit.homes[self.plan.major] / "bin" / "jcmd"
            subprocess.run([jcmd, str(pid), "JVMTI.data_dump"], capture_output=True, check=False,
                           timeout=LIMIT)
            self.done[what] += 1
        else:
            self.command(what)

    def command(self, what):
        """A command, and whether it ends as the documents say."""
        arguments = {
            "dump": ["--output", "dump.json"],
            "dump-gc": ["--gc", "--output", "dump-gc.json"],
            "attach": self.plan.options,
        }.get(what, [])
        name = what.removesuffix("-gc")
        done = subprocess.run(
            [self.kit.command, name, str(self.process.pid), *arguments], cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=LIMIT)
        self.done[what] += 1
        said = [line for line in done.stderr.splitlines()
                if not line.startswith("zaudit: note: ")]
        where = f"zaudit {name}: exit code {done.returncode}, {done.stderr.strip()[:500]!r}"
        if done.returncode == 0:
            if said:
                self.troubles.append(where)
            return
        self.done[f"{name} refused"] += 1
        refusals = REFUSALS + (STARTING if self.plan.moment == "starting" else [])
        known = len(said) == 1 and any(
            done.returncode == code and re.fullmatch(f"zaudit: {message}", said[0])
            for code, message in refusals)
        if not known:
            self.troubles.append(where)
        elif done.returncode == 3 and not self.ended.wait(LIMIT):
            self.troubles.append(f"{where}, but it runs")

    def disarm_and_arm(self):
        while self.process.poll() is None:
            self.command("disarm")
            self.command("attach")

    def check(self, code, output):
        plan = self.plan
        if self.hangs:
            raise Failure(f"it has not ended within {LIMIT} s")
        wanted_code, wanted_output = self.kit.end_of_bare(plan)
        if plan.moment == "starting" and plan.way.sends and code == 1 and TOO_EARLY in output:
            self.done["end before the JVM's initialization"] += 1
            return
        # Before the JVM has its handler of SIGSEGV, the signal itself ends the process.
        may_lack_handler = plan.moment == "starting" and plan.name == "crash"
        if code != wanted_code and not (may_lack_handler and code == 128 + signal.SIGSEGV):
            raise Failure(f"exit code {code}, and bare {wanted_code}")
        found = printed(output)
        if plan.way.dies:
            # While a JVM reports its crash, any signal of another thread that it would handle
            # otherwise, such as for a null check, is an error.
            found, wanted_output = ([line for line in lines if not re.fullmatch(ALSO, line)]
                                    for lines in (found, wanted_output))
        if "quit" in plan.demands:
            found = [line for line in found if line in wanted_output]
        # The end may have come before the program began.
        if found != wanted_output and not (
                plan.moment == "starting" and plan.way.sends and not found):
            raise Failure(f"standard output {found[:5]}, and bare {wanted_output[:5]}")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            raise Failure("a process is left")
        if self.troubles:
            raise Failure("; ".join(self.troubles))
        self.check_errors()
        self.check_files()

    def check_errors(self):
        text = (self.folder / "stderr").read_text(errors="replace")
        for line in text.splitlines():
            # The agent does not report what it cannot do because its JVM is exiting.
            if "panicked" in line or "internal error" in line or line.startswith("zaudit: "):
                raise Failure(line)

    def check_files(self):
        left = self.temporaries()
        if len(left) > (1 if self.plan.way.dies else 0):
            raise Failure(f"temporary files are left: {left}")
        # Process ids are used again, so others may have left some.
        of_command = [path.name for path in Path("/tmp").glob(f".zaudit-{self.process.pid}-*")
                      if path.stat().st_mtime >= self.started_at]
        if of_command and not self.plan.way.dies:
            raise Failure(f"files of commands are left in /tmp: {of_command}")
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith("r.") or path.name.startswith("dump"):
                self.done["files"] += 1
                try:
                    check_whole(path)
                except (ValueError, OSError, KeyError, EOFError) as error:
                    raise Failure(f"{path.name} is not whole: {error!r}") from error
        plan = self.plan
        audited_to_the_end = plan.moment in ("idle", "demands", "writing") and \
            not {"disarm", "attach"} & set(plan.demands) and not plan.way.dies
        if audited_to_the_end:
            for extension in plan.extensions:
                if not (self.folder / f"r.{extension}").exists():
                    raise Failure(f"there is no report r.{extension}")
            trigger = json.loads((self.folder / "r.json").read_text())["process"]["trigger"]
            if trigger != "exit":
                raise Failure(f"the last report is not that of the exit, but of: {trigger}")
            output_of([self.kit.command, "render", self.folder / "r.json", "--output",
                       self.folder / "rendered.txt"])


def check_whole(path):
    """Reads a report to its end."""
    name = path.name
    if name.endswith(".pb.gz"):
        if not gzip.decompress(path.read_bytes()):
            raise ValueError("it is empty")
        return
    text = path.read_text()
    if name.endswith(".json"):
        report = json.loads(text)
        for kind, counts in report["totals"].items():
            sums = counts["ended"] + counts["late"] + counts["collected"] + counts["live"]
            if kind in ("inflater", "deflater", "zip_entry") and counts["created"] != sums:
                raise ValueError(f"{kind} does not add up: {counts}")
        return
    last = {
        "html": r"</html>",
        "collapsed": r".* \d+",
        # The last metric has no samples if there is no finding.
        "prom": r"(# TYPE )?zaudit_place_held_bytes.*",
    }.get(name.rsplit(".", 1)[1], ".*")
    if name.endswith(".collapsed") and not text:
        # Nothing was leaked, and nothing is live.
        return
    if not text.endswith("\n") or not re.fullmatch(last, text.splitlines()[-1]):
        raise ValueError(f"its last line is {text[-100:]!r}")


class Totals:
    """What was done in all runs."""

    def __init__(self):
        self.runs = self.failed = 0
        self.counts = {what: collections.Counter() for what in ("jdk", "gc", "way", "moment")}
        self.demands = collections.Counter()
        self.slowest = 0.0

    def add(self, run, failed):
        plan = run.plan
        self.runs += 1
        self.failed += failed
        for what, value in [("jdk", plan.major), ("gc", plan.collector), ("way", plan.name),
                            ("moment", plan.moment)]:
            self.counts[what][str(value)] += 1
        self.demands.update(run.done)
        self.slowest = max(self.slowest, getattr(run, "seconds", 0.0))

    def line(self, seed, seconds):
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"kind": "endings", "runs": self.runs, "failed": self.failed, "seed": seed,
                "seconds": round(seconds), "cpu_seconds": round(used.ru_utime + used.ru_stime),
                "slowest_end_seconds": round(self.slowest, 2),
                **{what: dict(sorted(counts.items())) for what, counts in self.counts.items()},
                "demands": dict(sorted(self.demands.items()))}


def one(kit, plan, until):
    """A run, and what is wrong with it. None if the time is over."""
    if time.monotonic() > until:
        return None
    run = Run(kit, plan)
    try:
        run.run()
    except Failure as failure:
        return run, failure
    except Exception as error:
        return run, repr(error)
    return run, None


def main():
    parser = argparse.ArgumentParser(prog="endings", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int, nargs="?", default=10_000, help="how many JVMs")
    parser.add_argument("--seed", type=int, default=int(time.time()),
                        help="of the first run; each further run has the next one")
    parser.add_argument("--jdk", action="append", help="only this release; may be repeated")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this; may be repeated")
    parser.add_argument("--moment", action="append", choices=MOMENTS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="JVMs at a time")
    parser.add_argument("--minutes", type=float, help="begin no run after this time")
    parser.add_argument("--results", type=Path, help="file to which the totals are appended")
    arguments = parser.parse_args()
    print(f"endings: seed {arguments.seed}", file=sys.stderr, flush=True)
    # Programs in the background (nohup, &) would inherit these as ignored, but no handler.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # Crashes leave no core files.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kit = Kit(jdks(arguments.jdk or []))
    begun, totals = time.monotonic(), Totals()
    until = begun + arguments.minutes * 60 if arguments.minutes else float("inf")
    plans = (Plan(arguments.seed + number, sorted(kit.homes), arguments.way or list(WAYS),
                  arguments.moment or list(MOMENTS)) for number in range(arguments.runs))
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for run, failure in filter(None, pool.map(lambda plan: one(kit, plan, until), plans)):
            totals.add(run, failure is not None)
            if failure is None:
                shutil.rmtree(run.folder)
            else:
                print(f"FAILED  {run.plan}\n        {failure}\n        kept: {run.folder}",
                      flush=True)
            if totals.runs % 500 == 0:
                print(f"{totals.runs} ends, {totals.failed} failed", flush=True)
    line = json.dumps(totals.line(arguments.seed, time.monotonic() - begun))
    print(line)
    if arguments.results:
        with open(arguments.results, "a") as results:
            results.write(line + "\n")
    sys.exit(1 if totals.failed else 0)


if __name__ == "__main__":
    main()
