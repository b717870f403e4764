"""Real work with zlib."""

from common import HEAP, pair, spread, table

# Otherwise glibc returns memory to the system and takes it again in some processes and not in
# others, which is a larger difference than any agent makes.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "33554432"}


def run(bench):
    """20,000 x {compress 4 KB with a new Deflater, decompress with a new Inflater, end both}."""
    majors = bench.majors([17, 25], [17])
    iterations = bench.pick(20_000, 1_500)
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(7, 2)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                program = ["bench.Work", str(iterations)]
                done = bench.run(major, agent, HEAP, program, MALLOC).fields
                bench.check(agent, done["lifecycles"])
                bench.sample(major, iterations, agent, done)
    rows = []
    for major in majors:
        for agent in agents:
            ratios = [bench.ratio(major, iterations, f"{agent}/bare", f"ratio_{name}",
                                  bench.of(major, iterations, agent, name),
                                  bench.of(major, iterations, "bare", name))
                      for name in ("total", "min", "median")]
            each = [bench.of(major, iterations, agent, name) for name in ("min", "median")]
            rows.append([major, agent, spread(bench.values(major, iterations, agent, "total")),
                         pair(each, 1), f"{ratios[0]:.3f}", pair(ratios[1:], 3)])
    table(["JDK", "agent", "total ms", "us each", "total x bare", "each x bare"], rows)
