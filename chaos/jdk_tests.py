"""Runs a folder of the JDK's own tests with and without the agent, and compares the verdicts.

Invariant: a test that was not run is listed with the reason, and never counts as passed.
"""

import argparse
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from chaos import Failure, built, jdks

LIMIT = 600
# Tags of jtreg that change nothing for a test that only has a class with `main`.
HARMLESS = {"test", "bug", "summary", "author", "comment", "key", "run", "see", "since", "build"}


class Test:
    """A file with `@test`, as jtreg's tag specification describes it."""

    def __init__(self, path, top):
        self.path, self.name = path, str(path.relative_to(top))
        text = path.read_text(errors="replace")
        comments = [comment for comment in re.findall(r"/\*.*?\*/", text, re.DOTALL)
                    if re.search(r"^[\s/*]*@test\b", comment, re.MULTILINE)]
        self.several = len(comments) > 1
        plain = re.sub(r"^[ \t]*/?\*+[ /]?", "", comments[0], flags=re.MULTILINE)
        self.tags = re.findall(r"^\s*@(\w+)[ \t]*(.*?)\s*(?=^\s*@\w|\Z)", plain,
                               re.MULTILINE | re.DOTALL)

    def actions(self):
        """The options of the JVM and the words of the program, for each `@run main`."""
        runs = [value.split() for tag, value in self.tags if tag == "run"]
        for action, *words in runs or [["main", self.path.stem]]:
            options = []
            while words and words[0].startswith("-"):
                options.append(words.pop(0))
            yield action, options, words

    def reason_against(self):
        """Why only jtreg can run it. None if it is plain."""
        if self.several:
            return "several @test in one file"
        foreign = sorted({tag for tag, _ in self.tags} - HARMLESS)
        if foreign:
            return f"@{foreign[0]}"
        for action, options, words in self.actions():
            kind, *modes = action.split("/")
            if kind != "main" or not words:
                return f"@run {action}"
            foreign = [mode for mode in modes
                       if mode != "othervm" and not re.fullmatch(r"timeout=\d+", mode)]
            if foreign:
                return f"@run {action}"
            if any(option in ("-cp", "-classpath") or "${" in option for option in options):
                return "@run main with a class path or properties of jtreg"
        return None


def tests_in(folder):
    """All files with `@test`."""
    return [Test(path, folder) for path in sorted(folder.rglob("*.java"))
            if re.search(r"^[\s/*]*@test\b", path.read_text(errors="replace"), re.MULTILINE)]


class Plainly:
    """Runs plain tests as programs of their own. Its verdict is the exit code."""

    def __init__(self, folder, home, work):
        self.folder, self.home, self.work = folder, home, work
        self.tests = tests_in(folder)

    def not_run(self):
        reasons = {test.name: test.reason_against() for test in self.tests}
        return {name: reason for name, reason in reasons.items() if reason}

    def verdicts(self, mode, flags):
        found = {}
        for number, test in enumerate(self.tests):
            if not test.reason_against():
                scratch = self.work / mode / str(number)
                found[test.name] = self.verdict(test, scratch, flags)
        return found

    def verdict(self, test, scratch, flags):
        classes = scratch / "classes"
        classes.mkdir(parents=True)
        sources = test.path.parent
        compiled = self.call(
            [self.home / "bin" / "javac", "-nowarn", "-d", classes, "-sourcepath", sources,
             test.path], scratch)
        if compiled:
            return f"javac: {compiled}"
        for _, options, words in test.actions():
            failed = self.call(
                [self.home / "bin" / "java", *flags, *options, "-cp", classes,
                 f"-Dtest.src={sources}", f"-Dtest.classes={classes}",
                 f"-Dtest.jdk={self.home}", *words], scratch)
            if failed:
                return failed
        return "passed"

    @staticmethod
    def call(command, scratch):
        with open(scratch / "output", "a") as output:
            try:
                done = subprocess.run(command, cwd=scratch, stdin=subprocess.DEVNULL,
                                      stdout=output, stderr=output, timeout=LIMIT, check=False)
            except subprocess.TimeoutExpired:
                return f"failed: more than {LIMIT} s"
        return f"failed: exit code {done.returncode}" if done.returncode else None


class Jtreg:
    """Runs all tests by jtreg, each in JVMs of its own. Its verdicts are jtreg's."""

    def __init__(self, folder, home, work, jtreg, options):
        self.folder, self.home, self.work, self.options = folder, home, work, options
        self.jar = jtreg / "lib" / "jtreg.jar"
        if not self.jar.exists():
            raise Failure(f"there is no {self.jar}")
        self.left_out = {}

    def not_run(self):
        return self.left_out

    def verdicts(self, mode, flags):
        place = self.work / mode
        log = self.work / f"{mode}.log"
        with open(log, "w") as output:
            done = subprocess.run(
                [self.home / "bin" / "java", "-jar", self.jar, f"-jdk:{self.home}", "-othervm",
                 "-automatic", "-ignore:quiet", f"-concurrency:{os.cpu_count()}",
                 "-verbose:summary", f"-workDir:{place / 'work'}",
                 f"-reportDir:{place / 'report'}",
                 *[f"-vmoption:{flag}" for flag in flags], *self.options, self.folder],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
        summary = place / "report" / "text" / "summary.txt"
        if not summary.exists():
            raise Failure(f"jtreg ends with {done.returncode}, and has no summary; see {log}")
        found = {}
        for line in summary.read_text().splitlines():
            name, verdict = line.split(None, 1)
            word = verdict.split(".")[0]
            if word in ("Passed", "Failed"):
                # Messages may have numbers of processes and addresses.
                found[name] = word.lower()
            else:
                self.left_out[name] = verdict
        return found


def unhealthy(reports):
    """Reports whose health is not ok, with what they say."""
    found = {}
    for path in sorted(reports.iterdir()):
        health = json.loads(path.read_text())["health"]
        if not health["ok"]:
            said = {name: value for name, value in health.items() if value and name != "ok"}
            found[path.name] = json.dumps(said)[:300]
    return found


def compare(runner, library, options, work):
    reports = work / "reports"
    reports.mkdir()
    flag = f"-agentpath:{library}=file={reports}/%p.json,format=json"
    bare = runner.verdicts("bare", [])
    audited = runner.verdicts("audited", [f"{flag},{options}" if options else flag])
    differ = {name: (bare.get(name, "not run"), audited.get(name, "not run"))
              for name in sorted(bare.keys() | audited.keys())
              if bare.get(name) != audited.get(name)}
    same = collections.Counter("passed" if verdict == "passed" else "failed"
                               for name, verdict in bare.items() if name not in differ)
    ill = unhealthy(reports)
    not_run = runner.not_run()
    for name, (without, under) in differ.items():
        print(f"DIFFERS  {name}: {without}; with the agent {under}")
    for name, verdict in bare.items():
        if name not in differ and verdict != "passed":
            print(f"failed   {name}: without the agent, too: {verdict}")
    for name, reason in sorted(not_run.items()):
        print(f"not run  {name}: {reason}")
    for name, said in ill.items():
        print(f"HEALTH   {name}: {said}")
    print()
    for what, count in [("passed both times", same["passed"]), ("failed both times", same["failed"]),
                        ("differ", len(differ)), ("not run", len(not_run)),
                        ("reports", len(list(reports.iterdir()))),
                        ("reports whose health is not ok", len(ill))]:
        print(f"{count:6}  {what}")
    return not differ and not ill


def main():
    parser = argparse.ArgumentParser(prog="jdk-tests", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="such as test/jdk/java/util/zip of OpenJDK")
    parser.add_argument("--jdk", help="a release of scripts/jdks, or a JAVA_HOME", default="17")
    parser.add_argument("--agent-options", help="more options for the agent", default="")
    parser.add_argument("--jtreg", type=Path, default=os.environ.get("JTREG_HOME"),
                        help="where jtreg is installed; the default is JTREG_HOME")
    parser.add_argument("--jtreg-options", type=shlex.split, default=[],
                        help="more options for jtreg, such as -nativepath:…")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder")
    home = next(iter(jdks([arguments.jdk]).values())) if arguments.jdk.isdigit() \
        else Path(arguments.jdk).resolve()
    library, _ = built()
    work = Path(tempfile.mkdtemp(prefix="zaudit-jdk-tests-"))
    if arguments.jtreg:
        runner = Jtreg(folder, home, work, Path(arguments.jtreg), arguments.jtreg_options)
    else:
        runner = Plainly(folder, home, work)
    try:
        good = compare(runner, library, arguments.agent_options, work)
    except Failure as failure:
        print(f"jdk-tests: {failure}", file=sys.stderr)
        sys.exit(2)
    if good:
        shutil.rmtree(work)
    else:
        print(f"\noutput: {work}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
