"""The report at the end of a process."""

from common import spread, table

OPTIONS = ["-XX:+UseSerialGC", "-Xms512m", "-Xmx512m", "-XX:+AlwaysPreTouch"]


def run(bench):
    """From the end of main() to the end of the process, with 300,000 live on 10,000 stacks."""
    majors = bench.majors([17, 25], [17])
    live, stacks = bench.pick(("300000", "10000"), ("30000", "1000"))
    agents = ["bare", "plain", "zaudit", "zaudit:file=report.txt", "zaudit:file=report.html"]
    for fork in bench.forks(bench.pick(5, 1)):
        for major in majors:
            for agent in bench.turn(fork, agents):
                done = bench.run(major, agent, OPTIONS, ["bench.Live", live, stacks])
                if agent == "zaudit":
                    bench.check(agent, done.fields["lifecycles"])
                bench.sample(major, live, agent, {"milliseconds": done.after * 1000})
    rows = []
    for major in majors:
        for agent in agents:
            rows.append([major, agent, spread(bench.values(major, live, agent, "milliseconds"), 1),
                         f"{bench.added(major, live, agent, 'milliseconds'):.1f}"])
    table(["JDK", "agent", "ms", "- bare"], rows)
