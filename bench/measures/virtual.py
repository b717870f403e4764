"""The hot path on virtual threads with frozen frames."""

from common import HEAP

OPTIONS = [
    *HEAP,
    "-Djdk.virtualThreadScheduler.parallelism=1",
    "-Djdk.virtualThreadScheduler.maxPoolSize=1",
    # Each level has a frame of its own: together they are too many words to be thawed at once.
    "-XX:CompileCommand=quiet",
    "-XX:CompileCommand=dontinline,bench.Frozen::descend",
]


def run(bench):
    """The same on virtual threads that have blocked once, so that their frames are in the heap."""
    majors = bench.majors([21, 25, 28], [25])
    depths = bench.pick([20, 60, 200], [60])
    times = bench.pick(["1500", "1000"], ["600", "300"])
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(5, 2)):
        for major in majors:
            for depth in depths:
                for agent in bench.turn(fork, agents):
                    program = ["bench.Frozen", str(depth), *times]
                    done = bench.run(major, agent, OPTIONS, program).fields
                    bench.check(agent, done["lifecycles"])
                    bench.sample(major, depth, agent, done)
    bench.added_table(majors, depths, agents[1:], "depth")
