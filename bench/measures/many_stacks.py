"""Programs with more stacks than the agent's cache has room for."""

from common import HEAP, pair, table


def run(bench):
    """One lifecycle with 70,000 and with 1,000,000 different stacks, against 60,000.

    Stacks have 42 frames and take turns. The time includes the way down to the constructor, which
    the bare program takes, too.
    """
    majors = bench.majors([17, 25], [17])
    counts = bench.pick([60_000, 70_000, 1_000_000], [60_000, 70_000])
    measure = bench.pick("3000", "500")
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(3, 1)):
        for major in majors:
            for count in counts:
                for agent in bench.turn(fork, agents):
                    program = ["bench.Varied", str(count), "42", measure]
                    done = bench.run(major, agent, HEAP, program).fields
                    bench.check(agent, done["lifecycles"])
                    bench.sample(major, count, agent, done)
    rows = []
    names = ("min", "median")
    for major in majors:
        base = {}
        for count in counts:
            for agent in agents[1:]:
                added = [bench.added(major, count, agent, name) for name in names]
                base.setdefault(agent, added)
                ratios = [bench.ratio(major, count, agent, f"over_{counts[0]}_{name}", *both)
                          for name, *both in zip(names, added, base[agent])]
                first = bench.added(major, count, agent, "first")
                rows.append([major, count, agent,
                             pair([bench.of(major, count, "bare", name) for name in names], 0),
                             pair(added, 0), pair(ratios, 2), f"{first:.0f}"])
    head = ["JDK", "stacks", "agent", "bare ns", "added ns", f"/ {counts[0]}", "added, new stack"]
    table(head, rows)
