"""Other agents that people load beside zaudit, from Maven Central.

Invariant: none is part of zaudit; what is missing is named, and left out.
"""

import subprocess
import zipfile
from pathlib import Path

# Group, artifact, version and classifier. JaCoCo is under the EPL 2.0, the others under Apache 2.0.
ARTIFACTS = {
    "jacoco": ("org.jacoco", "org.jacoco.agent", "0.8.15", "runtime"),
    "opentelemetry": ("io.opentelemetry.javaagent", "opentelemetry-javaagent", "2.20.1", None),
    "async-profiler": ("tools.profiler", "async-profiler", "4.6", None),
}
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
# Before and after zaudit on the command line, or attached later. JaCoCo's agent cannot be attached.
PLACES = {
    "jacoco": ["before", "after"],
    "opentelemetry": ["before", "after", "attached"],
    "async-profiler": ["before", "after", "attached"],
}
CHOICES = [f"{name}-{place}" for name, places in PLACES.items() for place in places]
# What async-profiler records. The last one instruments a method that zaudit hooks.
EVENTS = ["ctimer,interval=1ms", "wall,interval=5ms", "alloc,alloc=64k", "lock", "nativemem",
          "java.util.zip.Inflater.end"]
PROFILER = "libasyncProfiler.so"
# What OpenTelemetry finds is sent to no server.
OPENTELEMETRY = ["-Dotel.traces.exporter=none", "-Dotel.metrics.exporter=none",
                 "-Dotel.logs.exporter=none"]


class Companions:
    """The files of those that are there."""

    def __init__(self, cache, offline, say):
        self.files = {}
        cache.mkdir(parents=True, exist_ok=True)
        for name, (group, artifact, version, classifier) in ARTIFACTS.items():
            jar = f"{artifact}-{version}{'-' + classifier if classifier else ''}.jar"
            if not (cache / jar).exists():
                if offline:
                    say(f"SKIPPED {name}: not in {cache} (scripts/chaos gets it)")
                    continue
                what = ":".join([group, artifact, version, "jar"] +
                                ([classifier] if classifier else []))
                if not self.get(what, cache, say):
                    say(f"SKIPPED {name}: Maven cannot get {what}")
                    continue
            self.files[name] = cache / jar
        if "async-profiler" in self.files:
            with zipfile.ZipFile(self.files["async-profiler"]) as archive:
                (cache / PROFILER).write_bytes(archive.read(f"linux-x64/{PROFILER}"))
            self.files["async-profiler"] = cache / PROFILER

    @staticmethod
    def get(what, cache, say):
        try:
            done = subprocess.run(
                ["mvn", "-q", "-B", PLUGIN, f"-Dartifact={what}", f"-DoutputDirectory={cache}"],
                cwd=cache, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        except OSError as error:
            say(f"mvn: {error}")
            return False
        if done.returncode:
            say(done.stdout.strip()[:500])
        return done.returncode == 0

    def choices(self):
        return [choice for choice in CHOICES if choice.rsplit("-", 1)[0] in self.files]


class Companion:
    """One in one run, or none."""

    def __init__(self, companions, choice, folder, random):
        self.name, _, self.place = choice.rpartition("-")
        self.file = companions.files.get(self.name)
        self.folder, self.random = folder, random

    def flags(self, place):
        """Its flags at this place of the command line, before or after zaudit."""
        if place != self.place:
            return []
        if self.name == "async-profiler":
            return [f"-agentpath:{self.file}={self.recording()}"]
        # It would fail to redefine a class that JaCoCo has given another method.
        options = f"=destfile={self.folder}/jacoco.exec,excludes=Changed"
        return [f"-javaagent:{self.file}{options if self.name == 'jacoco' else ''}"]

    def properties(self, major):
        """The JVM says on standard output that it cannot share classes with such agents."""
        if self.name in ("", "none"):
            return []
        flags = ["-Xlog:disable", "-Xlog:all=warning:stderr"] if major > 8 else ["-Xshare:off"]
        return flags + (OPENTELEMETRY if self.name == "opentelemetry" else [])

    def recording(self):
        return f"start,jfr,event={self.random.choice(EVENTS)},{self.output_options()}"

    def output_options(self):
        return f"file={self.folder}/profile-%t.jfr,loglevel=error"

    def attach_commands(self, jcmd, pid):
        """To be run one after the other while the audit is on."""
        load = [jcmd, str(pid), "JVMTI.agent_load", self.file]
        if self.place != "attached":
            return
        if self.name == "opentelemetry":
            yield load
            return
        while True:
            # In quotes: jcmd takes only what is before "=" otherwise.
            yield [*load, f'"{self.recording()}"']
            # Without a file it says on standard output that it has none.
            yield [*load, f'"stop,{self.output_options()}"']
