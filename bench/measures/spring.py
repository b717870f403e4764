"""Start of a Spring Boot application that has an archive of its classes."""

import re

from common import Failure, table
from measures import start

OPTIONS = [
    "-Dspring.context.exit=onRefresh", "-Dspring.main.banner-mode=off",
    "-Dlogging.level.root=off", "-Dserver.port=0",
]


def run_cds(bench):
    """Start of a Spring Boot application with its AppCDS archive."""
    measure(bench, [17, 21], [17], "jsa", "-XX:ArchiveClassesAtExit=", "-XX:SharedArchiveFile=")


def run_aot(bench):
    """Start of a Spring Boot application with its AOT cache."""
    measure(bench, [25, 28], [25], "aot", "-XX:AOTCacheOutput=", "-XX:AOTCache=")


def measure(bench, full, quick, extension, making, using):
    majors = bench.majors(full, quick)
    folder = bench.maven("spring")
    jars = [folder / "app.jar", *sorted((folder / "lib").glob("*.jar"))]
    program = [*OPTIONS, "-cp", ":".join(map(str, jars)), "zaudit.bench.Application"]
    agents = ["bare", "plain", "zaudit"]
    rows = []
    for major in majors:
        archive = bench.folder / f"app-{major}.{extension}"
        with (bench.folder / "making.log").open("w") as log:
            bench.run_command([bench.java(major), f"{making}{archive}", *program],
                              has_fields=False, errors=log)
        if not archive.exists():
            raise Failure(f"JDK {major} made no {archive}")
        for agent in agents:
            rows.append([major, agent, *loaded(bench, major, agent, f"{using}{archive}", program)])
    table(["JDK", "agent", "classes", "from the archive"], rows)
    without = "bare, no archive"
    for number in bench.forks(bench.pick(20, 2)):
        for major in majors:
            for agent in bench.turn(number, [*agents, without]):
                archive = bench.folder / f"app-{major}.{extension}"
                options = bench.options("bare") if agent == without else [
                    f"{using}{archive}", *bench.options(agent)]
                done = bench.run_command([bench.java(major), *options, *program],
                                         has_fields=False)
                start.sample(bench, major, agent, done)
    start.show(bench, majors, [*agents, without])


def loaded(bench, major, agent, using, program):
    """How many classes a start loads, and how many of them come from the archive."""
    log = bench.folder / "classes.log"
    bench.run_command([bench.java(major), using, *bench.options(agent),
                       f"-Xlog:class+load:file={log}", *program], has_fields=False)
    lines = [line for line in log.read_text().splitlines() if " source: " in line]
    shared = [line for line in lines if re.search("source: shared objects file", line)]
    bench.result(major, "-", agent, "classes", len(lines))
    bench.result(major, "-", agent, "classes_from_archive", len(shared))
    return len(lines), len(shared)
