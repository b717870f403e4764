"""What many stacks cost in memory."""

from common import HEAP, spread, table


def run(bench):
    """Resident memory after 131,072 different stacks of 42 frames on 64 threads, all ended."""
    majors = bench.majors([8, 17, 25], [17])
    program = ["bench.Stacks", bench.pick("131072", "20000"), "42", "64"]
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(5, 1)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                done = bench.run(major, agent, HEAP, program).fields
                bench.check(agent, done["lifecycles"])
                bench.sample(major, program[1], agent, done)
    rows = []
    for major in majors:
        for agent in agents:
            rows.append([major, agent, spread(bench.values(major, program[1], agent, "before")),
                         spread(bench.values(major, program[1], agent, "after")),
                         f"{bench.added(major, program[1], agent, 'after'):.0f}"])
    table(["JDK", "agent", "KiB at the start", "KiB at the end", "beyond bare"], rows)
