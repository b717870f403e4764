"""A service that reads and answers gzip."""

import os
import shutil

from common import HEAP, Failure, spread, table


def run(bench):
    """Requests per second of an HTTP service that reads 4 KB of gzip and answers with gzip.

    The service is pinned to the first processor, the load generator to the second.
    """
    majors = bench.majors([17, 25], [17])
    times = bench.pick(["5000", "10000", "200"], ["1500", "1500", "200"])
    processors = sorted(os.sched_getaffinity(0))
    pinned = len(processors) > 1 and shutil.which("taskset")
    if not pinned:
        print("  not pinned: there is only one processor, or no taskset")
    agents = ["bare", "plain", "zaudit"]

    def pin(processor):
        return ["taskset", "-c", str(processor)] if pinned else []

    for fork in bench.forks(bench.pick(5, 2)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                options = [*HEAP, "-Dsun.net.httpserver.nodelay=true"]
                service = bench.arguments(major, agent, options, ["bench.Service"])
                with bench.process([*pin(processors[0]), *service]) as process:
                    port = int(bench.read_fields(process)["port"])
                    program = ["bench.Load", str(port), "2", *times]
                    command = bench.arguments(major, "bare", HEAP, program)
                    done = bench.run_command([*pin(processors[-1]), *command]).fields
                if not done["median"]:
                    raise Failure("the service answers nothing")
                bench.check(agent, done["requests"])
                bench.sample(major, "-", agent, done)
    rows = []
    for major in majors:
        for agent in agents:
            ratios = [bench.ratio(major, "-", f"{agent}/bare", f"ratio_{name}",
                                  at_best(bench, major, agent, name),
                                  at_best(bench, major, "bare", name))
                      for name in ("median", "max")]
            rows.append([major, agent, spread(bench.values(major, "-", agent, "median")),
                         f"{at_best(bench, major, agent, 'max'):.0f}",
                         *[f"{ratio:.3f}" for ratio in ratios]])
    head = ["JDK", "agent", "requests/s, median window", "best window", "x bare", "best x bare"]
    table(head, rows)


def at_best(bench, major, agent, name):
    values = bench.values(major, "-", agent, name)
    return max(values) if name == "max" else bench.middle(major, "-", agent, name)
