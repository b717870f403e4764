"""Whether threads hinder each other."""

from common import HEAP, pair, table


def run(bench):
    """Throughput of two threads over that of one, with the agent against without it.

    A round ends when both threads have finished, so that the fastest one is one in which both ran
    at once.
    """
    majors = bench.majors([8, 17, 25], [17])
    times = bench.pick(["800", "1500"], ["400", "300"])
    depth = "20"
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(5, 2)):
        for major in majors:
            for count in (1, 2):
                for agent in bench.turn(fork, agents):
                    program = ["bench.Lifecycles", depth, str(count), *times]
                    done = bench.run(major, agent, HEAP, program).fields
                    bench.check(agent, done["lifecycles"])
                    bench.sample(major, count, agent, done)
    rows = []
    for major in majors:
        scaling = {}
        for agent in agents:
            one, two = ([bench.of(major, count, agent, name) for name in ("min", "median")]
                        for count in (1, 2))
            scaling[agent] = [bench.ratio(major, "2/1", agent, f"scaling_{name}", *times)
                              for name, *times in zip(("min", "median"), one, two)]
            ratios = [bench.ratio(major, "2/1", f"{agent}/bare", f"ratio_{name}", *both)
                      for name, *both in zip(("min", "median"), scaling[agent], scaling["bare"])]
            rows.append([major, agent, pair(one, 0), pair(two, 0), pair(scaling[agent], 2),
                         pair(ratios, 2)])
    table(["JDK", "agent", "1 thread, ns", "2 threads, ns", "2 / 1", "x bare"], rows)
