"""The hot path on platform threads."""

from common import HEAP


def run(bench):
    """new Inflater(true) + end(), beside the plain agent and a Java agent.

    Minimum / median in ns per lifecycle, over all batches of all forks.
    """
    majors = bench.majors([8, 17, 21, 25, 28], [17])
    depths = bench.pick([5, 20, 60], [20])
    times = bench.pick(["800", "800"], ["400", "200"])
    agents = ["bare", "plain", "java", "zaudit"]
    for fork in bench.forks(bench.pick(5, 2)):
        for major in majors:
            for depth in depths:
                for agent in bench.turn(fork, agents):
                    # The Java agent is for releases whose classes its ASM reads.
                    if agent == "java" and not 17 <= major <= 25:
                        continue
                    program = ["bench.Lifecycles", str(depth), "1", *times]
                    done = bench.run(major, agent, HEAP, program).fields
                    bench.check(agent, done["lifecycles"])
                    bench.sample(major, depth, agent, done)
    bench.added_table(majors, depths, agents[1:], "depth")
