"""Programs with more stacks than the agent's cache has room for."""

from common import HEAP, pair, table


def run(bench):
    """One lifecycle with 70,000 and with 1,000,000 different stacks, against 60,000.

    Stacks have 42 frames. They come in turn, which is the worst order for any cache, and in random
    order. The time includes the way down to the constructor, which the bare program takes, too.
    """
    majors = bench.majors([17, 25], [17])
    counts = bench.pick([60_000, 70_000, 1_000_000], [60_000, 70_000])
    measure = bench.pick("3000", "500")
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(2, 1)):
        for major in majors:
            for count in counts:
                for agent in bench.turn(fork, agents):
                    program = ["bench.Varied", str(count), "42", measure]
                    done = bench.run(major, agent, HEAP, program).fields
                    bench.check(agent, done["lifecycles"])
                    bench.sample(major, count, agent, done)
    rows = []
    for major in majors:
        base = {}
        for count in counts:
            for agent in agents[1:]:
                first = bench.added(major, count, agent, "first")
                row = [major, count, agent, f"{first:.0f}"]
                for names in [("min", "median"), ("random_min", "random_median")]:
                    added = [bench.added(major, count, agent, name) for name in names]
                    base.setdefault((agent, names), added)
                    ratios = [bench.ratio(major, count, agent, f"over_{counts[0]}_{name}", *both)
                              for name, *both in zip(names, added, base[agent, names])]
                    row += [pair([bench.of(major, count, "bare", name) for name in names], 0),
                            pair(added, 0), pair(ratios, 2)]
                rows.append(row)
    base_name = f"/ {counts[0]}"
    table(["JDK", "stacks", "agent", "+ new stack", "bare ns, in turn", "added", base_name,
           "bare ns, random", "added", base_name], rows)
