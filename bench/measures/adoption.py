"""An audit that begins and ends by command."""

import time

from common import median, output_of, pair, table


def cpu(pid):
    """Seconds of processor time that a process has used: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def run(bench):
    """Processor time of one adoption for each million objects in the heap, and of one disarm."""
    majors = bench.majors([17, 25], [17])
    objects = bench.pick(4_000_000, 1_000_000)
    options = ["-XX:+UseSerialGC", "-Xms1g", "-Xmx1g"]
    for _ in bench.forks(bench.pick(3, 1)):
        for major in majors:
            command = bench.arguments(major, "zaudit:arm=ready", options,
                                      ["bench.Heap", str(objects), "1000"])
            with bench.process(command) as process:
                held = bench.read_fields(process)["objects"]
                pid = process.pid
                # The first one loads and compiles what the next ones use.
                for number in range(bench.pick(11, 4)):
                    for adopt in ("false", "true"):
                        before = cpu(pid)
                        output_of([bench.command, "attach", str(pid), "--library", bench.zaudit,
                                   f"adopt={adopt}"])
                        armed = cpu(pid)
                        report = output_of([bench.command, "disarm", str(pid), "--format", "json"])
                        after = cpu(pid)
                        (bench.folder / "report.json").write_text(report)
                        if number:
                            bench.sample(major, f"adopt={adopt}", "zaudit", {
                                "arm": (armed - before) * 1000,
                                "disarm": (after - armed) * 1000})
    rows = []
    for major in majors:
        figures = {name: [pick(bench.values(major, f"adopt={adopt}", "zaudit", kind))
                          for pick in (min, median)]
                   for name, adopt, kind in [("with", "true", "arm"), ("without", "false", "arm"),
                                             ("disarm", "true", "disarm"),
                                             ("disarm without", "false", "disarm")]}
        each = [(one - two) / held * 1e6 for one, two in zip(figures["with"], figures["without"])]
        for name, value, disarm in zip(("min", "median"), each, figures["disarm"]):
            bench.result(major, objects, "zaudit", f"adoption_ms_per_million_{name}", value)
            bench.result(major, objects, "zaudit", f"disarm_ms_{name}", disarm)
        rows.append([major, int(held), pair(figures["without"], 1), pair(figures["with"], 1),
                     pair(each, 1), pair(figures["disarm"], 1),
                     pair(figures["disarm without"], 1)])
    table(["JDK", "objects", "arm, adopt=false", "arm, adopt=true", "adoption, each 10^6",
           "disarm after it", "disarm without"], rows)
