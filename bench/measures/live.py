"""What an open instance costs in memory."""

from common import spread, table

OPTIONS = ["-XX:+UseSerialGC", "-Xms512m", "-Xmx512m", "-XX:+AlwaysPreTouch"]


def run(bench):
    """Resident memory for each live instance, beyond the instance's own.

    The Java heap has a fixed size and is touched at the start, so that only native memory grows.
    """
    majors = bench.majors([8, 17, 25], [17])
    counts = bench.pick([50_000, 200_000], [50_000])
    agents = ["bare", "plain", "zaudit"]
    for fork in bench.forks(bench.pick(5, 1)):
        for major in majors:
            for count in counts:
                for agent in bench.turn(fork, agents):
                    done = bench.run(major, agent, OPTIONS, ["bench.Live", str(count), "1"]).fields
                    bench.check(agent, done["lifecycles"])
                    each = (done["after"] - done["before"]) * 1024 / count
                    bench.sample(major, count, agent, {**done, "each": each})
    rows = []
    for major in majors:
        for count in counts:
            rows.append([major, count, spread(bench.values(major, count, "bare", "each")),
                         *[f"{bench.added(major, count, agent, 'each'):.0f}"
                           for agent in agents[1:]]])
    table(["JDK", "live", "bare, bytes each", "+ plain", "+ zaudit"], rows)
