"""Start and end of a process."""

from common import pair, table


def run(bench):
    """Start and end of a hello world, with the JVM's own defaults; the report is included."""
    majors = bench.majors([8, 17, 21, 25, 28], [17])
    runs = bench.pick(40, 5)
    agents = ["bare", "plain", "zaudit"]
    # The first two only bring the files into the page cache.
    for number in range(-2, runs):
        for major in majors:
            for agent in bench.turn(number + 2, agents):
                command = bench.arguments(major, agent, [], ["bench.Hello"])
                done = bench.run_command(command, has_fields=False)
                if number >= 0:
                    sample(bench, major, agent, done)
    show(bench, majors, agents)


def sample(bench, major, agent, done):
    bench.sample(major, "-", agent, {"wall": done.wall * 1000, "cpu": done.cpu * 1000})


def show(bench, majors, agents):
    """A table of wall and processor time in ms, least and median of all runs."""
    rows = []
    for major in majors:
        for agent in agents:
            row = [major, agent]
            for name in ("wall", "cpu"):
                own, bare = ([pick(bench.values(major, "-", who, name))
                              for pick in (min, median_of)] for who in (agent, "bare"))
                added = [one - two for one, two in zip(own, bare)]
                row += [pair(own, 1), pair(added, 1)]
                for kind, value, base in zip(("min", "median"), added, bare):
                    bench.result(major, "-", agent, f"added_{name}_{kind}", value)
                    bench.ratio(major, "-", f"{agent}/bare", f"added_{name}_ratio_{kind}",
                                value, base)
                row.append(pair([100 * value / base for value, base in zip(added, bare)], 1))
            rows.append(row)
    table(["JDK", "agent", "wall ms", "- bare", "%", "CPU ms", "- bare", "%"], rows)


def median_of(values):
    return sorted(values)[len(values) // 2]
