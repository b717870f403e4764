"""Virtual threads that have nothing to do with zlib."""

from common import HEAP, pair, table


def run(bench):
    """Processor time of a process that starts 10^6 short virtual threads without zlib."""
    majors = bench.majors([21, 25], [25])
    count = bench.pick("1000000", "100000")
    options = [*HEAP, "-Djdk.virtualThreadScheduler.parallelism=1",
               "-Djdk.virtualThreadScheduler.maxPoolSize=1"]
    agents = ["bare", "zaudit:arm=false", "zaudit:arm=ready", "zaudit", "plain"]
    for fork in bench.forks(bench.pick(8, 2)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                done = bench.run(major, agent, options, ["bench.ShortThreads", count])
                cpu = done.cpu * 1000
                # Under these names the least of all forks is taken, and their median.
                bench.sample(major, count, agent, {"min": cpu, "median": cpu})
    rows = []
    names = ("min", "median")
    for major in majors:
        for agent in agents:
            own, bare = ([bench.of(major, count, who, name) for name in names]
                         for who in (agent, "bare"))
            added = [bench.added(major, count, agent, name) for name in names]
            ratios = [bench.ratio(major, count, f"{agent}/bare", f"ratio_{name}", *both)
                      for name, *both in zip(names, own, bare)]
            rows.append([major, agent, pair(own, 0), pair(added, 0), pair(ratios, 3)])
    table(["JDK", "agent", "CPU ms", "- bare", "x bare"], rows)
