"""What the measures share: JDKs, agents, running programs, samples and tables.

Invariant: a number of the agent is kept only if its report counts the lifecycles that the program
made.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

# The heap of the programs that are timed or weighed: one collector without threads of its own, and
# a size that does not move.
HEAP = ["-XX:+UseSerialGC", "-Xms128m", "-Xmx128m", "-XX:+AlwaysPreTouch"]


class Failure(Exception):
    """Ends the benchmark with a message."""


class Skipped(Exception):
    """A measure that has nothing to do, and why."""


def say(text):
    print(f"bench: {text}", file=sys.stderr)


def load():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def median(values):
    return statistics.median(values)


def output_of(command, **options):
    """The stdout of a command that must not fail."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"this fails: {shlex.join(map(str, command))}: {error}") from error
    return done.stdout


def fields(line):
    """The numbers of a line `name=value name=value`."""
    return {name: float(value) for name, value in (word.split("=") for word in line.split())}


class Run:
    """A process that has ended: its `fields`, and seconds of wall and processor time."""

    def __init__(self, values, wall, cpu, after):
        self.fields, self.wall, self.cpu, self.after = values, wall, cpu, after


class Bench:
    def __init__(self, quick, majors):
        self.quick = quick
        self.chosen = majors
        self.homes = {}
        libraries = output_of(
            ["cargo", "build", "--release", "--locked", "-p", "zaudit", "-p", "zaudit-plain-agent",
             "-p", "zaudit-cli", "--message-format", "json-render-diagnostics"], cwd=TOP)
        self.zaudit = self.library(libraries, "libzaudit")
        self.plain = self.library(libraries, "libzaudit_plain_agent")
        self.command = self.zaudit.parent / "zaudit"
        self.work = self.zaudit.parent.parent / "bench"
        self.work.mkdir(exist_ok=True)
        self.raw = self.work / "raw.txt"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.cache = cache / "zaudit" / "bench"
        self.measure = None
        self.folder = None
        self.samples = {}
        self.built = set()

    @staticmethod
    def library(messages, name):
        found = re.findall(rf'"([^"]*/{name}\.so)"', messages)
        if not found or not Path(found[-1]).exists():
            raise Failure(f"cargo built no {name}.so")
        return Path(found[-1])

    @staticmethod
    def processor():
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
        return found[1] if found else "unknown processor"

    def pick(self, full, quick):
        """A parameter of the whole measure, or of its quick version."""
        return quick if self.quick else full

    def begin(self, measure):
        """Begins a measure: its folder is empty, and raw.txt has no lines of an earlier run."""
        self.measure = measure
        self.samples = {}
        self.folder = self.work / measure
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        # No line of it belongs to another measure: the name is the second field.
        lines = self.raw.read_text().splitlines(True) if self.raw.exists() else []
        kept = [line for line in lines if line.split("\t")[1:2] != [measure]]
        self.raw.write_text("".join(kept))

    # ---- JDKs and programs ----------------------------------------------------------------------

    def majors(self, full, quick):
        """The JDKs of a measure that are wanted and that there are."""
        wanted = self.pick(full, quick)
        if self.chosen:
            wanted = [major for major in full if major in self.chosen]
            if not wanted:
                raise Skipped(f"it runs on JDK {', '.join(map(str, full))} only")
        missing = [major for major in wanted if major not in self.homes]
        if missing:
            found = output_of([TOP / "scripts" / "jdks", *map(str, missing)])
            for line in found.splitlines():
                major, home = line.split(" ", 1)
                self.homes[int(major)] = Path(home)
                version = subprocess.run([Path(home) / "bin" / "java", "-version"], text=True,
                                         stderr=subprocess.PIPE, check=True).stderr
                print(f"JDK {major}: {version.splitlines()[1]}")
        for major in wanted:
            if major not in self.homes:
                say(f"{self.measure}: there is no JDK {major}")
        found = [major for major in wanted if major in self.homes]
        if not found:
            raise Skipped("there is none of its JDKs")
        return found

    def java(self, major):
        return self.homes[major] / "bin" / "java"

    def classes(self, major):
        """The class path of the programs, compiled by the JDK that runs them."""
        folder = self.work / f"classes-{major}"
        if major not in self.built:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            sources = list((TOP / "bench" / "programs").glob("*.java"))
            if major >= 21:
                sources += (TOP / "bench" / "programs21").glob("*.java")
            compiler = self.homes[major] / "bin" / "javac"
            output_of([compiler, "-nowarn", "-encoding", "UTF-8", "-d", folder, *sources])
            self.built.add(major)
        return folder

    def maven(self, project):
        """Builds a project of bench/ outside the tree; returns the folder with what was built."""
        folder = self.cache / project
        if project not in self.built:
            if not shutil.which("mvn"):
                raise Failure(f"{self.measure} needs mvn (Debian's package maven has it)")
            home = self.homes.get(17) or next(iter(self.homes.values()))
            say(f"building bench/{project}")
            done = subprocess.run(
                ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Dbench.target={self.cache}",
                 "-f", TOP / "bench" / project / "pom.xml", "package"],
                env={**os.environ, "JAVA_HOME": str(home)}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise Failure(f"mvn cannot build bench/{project}:\n{done.stdout}")
            self.built.add(project)
        return folder

    # ---- agents and processes -------------------------------------------------------------------

    def options(self, agent):
        """The JVM's options for an agent: bare, plain, java, zaudit, or zaudit:OPTIONS."""
        name, _, options = agent.partition(":")
        return {
            "bare": lambda: [],
            "plain": lambda: [f"-agentpath:{self.plain}"],
            "java": lambda: [f"-javaagent:{self.maven('java-agent') / 'java-agent.jar'}"],
            "zaudit": lambda: [f"-agentpath:{self.zaudit}={options or 'file=report.json'}"],
        }[name]()

    def arguments(self, major, agent, options, program):
        return [self.java(major), *self.options(agent), *options, "-cp", self.classes(major),
                *program]

    def run(self, major, agent, options, program, env=None):
        """Runs one of our programs; its last line has its fields."""
        return self.run_command(self.arguments(major, agent, options, program), env)

    def run_command(self, command, env=None, has_fields=True, errors=None):
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "report.json").unlink()
        command = [str(word) for word in command]
        start = time.perf_counter()
        with subprocess.Popen(command, cwd=self.folder, env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=errors, text=True) as process:
            line, at = "", start
            for said in process.stdout:
                line, at = said, time.perf_counter()
            _, status, usage = os.wait4(process.pid, 0)
            end = time.perf_counter()
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failure(f"exit code {process.returncode}: {shlex.join(command)}")
        if has_fields and "=" not in line:
            raise Failure(f"this prints no figures: {shlex.join(command)}")
        return Run(fields(line) if has_fields else {}, end - start,
                   usage.ru_utime + usage.ru_stime, end - at)

    @contextlib.contextmanager
    def process(self, command):
        """A process that is spoken to by stdin and stdout; ended when the block is left."""
        process = subprocess.Popen([str(word) for word in command], cwd=self.folder, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield process
            process.stdin.close()
            if process.wait(timeout=60):
                raise Failure(f"exit code {process.returncode}: {shlex.join(map(str, command))}")
        finally:
            process.kill()
            process.wait()

    def read_fields(self, process):
        line = process.stdout.readline()
        if not line:
            raise Failure(f"a program of {self.measure} has ended")
        return fields(line)

    def check(self, agent, lifecycles, report="report.json"):
        """The report counts the Inflaters that the program made. There may be a few more."""
        if not agent.startswith("zaudit"):
            return
        try:
            totals = json.loads((self.folder / report).read_text())["totals"]["inflater"]
        except (OSError, ValueError, KeyError) as error:
            raise Failure(f"the agent left no report: {error}") from error
        if totals["created"] < lifecycles:
            raise Failure(f"{int(lifecycles)} Inflaters were made, and the agent counted {totals}")

    @staticmethod
    def turn(number, agents):
        """The agents in another order each time, so that none of them always runs first."""
        shift = number % len(agents)
        turned = agents[shift:] + agents[:shift]
        return turned if number // len(agents) % 2 == 0 else turned[::-1]

    def forks(self, count):
        for fork in range(count):
            say(f"{self.measure}, fork {fork + 1} of {count}")
            yield fork

    # ---- samples and results --------------------------------------------------------------------

    def write(self, kind, major, case, who, name, value):
        with self.raw.open("a") as raw:
            words = [kind, self.measure, major, case, who, name, f"{value:.6g}"]
            raw.write("\t".join(map(str, words)) + "\n")

    def sample(self, major, case, agent, values):
        """Keeps what one process measured."""
        for name, value in values.items():
            self.samples.setdefault((major, case, agent, name), []).append(value)
            self.write("sample", major, case, agent, name, value)

    def result(self, major, case, who, name, value):
        """Writes a derived figure; returns it."""
        self.write("result", major, case, who, name, value)
        return value

    def values(self, major, case, agent, name):
        return self.samples[major, case, agent, name]

    def middle(self, major, case, agent, name):
        return median(self.values(major, case, agent, name))

    def of(self, major, case, agent, name):
        """The figure of all forks: the least of minima, the median of anything else."""
        return (min if name.endswith("min") else median)(self.values(major, case, agent, name))

    def added(self, major, case, agent, name):
        """What an agent adds to the bare program."""
        value = self.of(major, case, agent, name) - self.of(major, case, "bare", name)
        return self.result(major, case, agent, f"added_{name}", value)

    def ratio(self, major, case, who, name, value, base):
        return self.result(major, case, who, name, value / base if base else float("nan"))

    def added_table(self, majors, cases, agents, label, unit="ns"):
        """What each agent adds per lifecycle, and zaudit's share of each baseline's."""
        others = [agent for agent in agents if agent != "zaudit"]
        head = ["JDK", label, f"bare {unit}", *[f"+ {agent}" for agent in others], "+ zaudit",
                *[f"zaudit / {agent}" for agent in others]]
        rows = []
        for major in majors:
            for case in cases:
                added = {}
                for agent in [*others, "zaudit"]:
                    if (major, case, agent, "min") in self.samples:
                        added[agent] = [self.added(major, case, agent, name)
                                        for name in ("min", "median")]
                row = [major, case]
                row.append(pair([self.of(major, case, "bare", name)
                                 for name in ("min", "median")], 0))
                row += [pair(added[agent], 0) if agent in added else "-"
                        for agent in [*others, "zaudit"]]
                for other in others:
                    if other not in added:
                        row.append("-")
                        continue
                    ratios = [self.ratio(major, case, f"zaudit/{other}", f"ratio_{name}", one, two)
                              for name, one, two in
                              zip(("min", "median"), added["zaudit"], added[other])]
                    row.append(pair(ratios, 2))
                rows.append(row)
        table(head, rows)


def pair(values, decimals):
    """A minimum and a median."""
    return " / ".join(f"{value:.{decimals}f}" for value in values)


def spread(values, decimals=0):
    """A median with the range."""
    low, mid, high = min(values), median(values), max(values)
    return f"{mid:.{decimals}f} ({low:.{decimals}f}..{high:.{decimals}f})"


def table(head, rows):
    """Prints a table; there is an empty line between JDKs that have several rows."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    several = len({row[0] for row in cells[1:]}) < len(cells) - 1
    print()
    for number, row in enumerate(cells):
        if several and number > 1 and row[0] != cells[number - 1][0]:
            print()
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip())
