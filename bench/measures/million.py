"""What is left of many lifecycles in memory."""

from common import HEAP, spread, table


def run(bench):
    """Resident memory before and after a million lifecycles on 8 threads.

    "Before" comes after another tenth of that many, for warming up.
    """
    majors = bench.majors([8, 17, 25], [17])
    count = bench.pick("1000000", "200000")
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(3, 1)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                done = bench.run(major, agent, HEAP, ["bench.Million", count, "8"]).fields
                bench.check(agent, done["lifecycles"])
                bench.sample(major, count, agent, done)
    rows = []
    for major in majors:
        for agent in agents:
            rows.append([major, agent, *[spread(bench.values(major, count, agent, name))
                                         for name in ("start", "warm", "after", "grown")],
                         f"{bench.added(major, count, agent, 'after'):.0f}"])
    table(["JDK", "agent", "KiB at the start", "before", "after", "after - before",
           "after - bare"], rows)
