"""One process before, during and after an audit."""

from common import HEAP, median, output_of, pair, spread, table

MOMENTS = ["warm", "before", "armed", "after", "armed again", "after that"]


def run(bench):
    """One process before, during and after an audit that begins and ends by command, twice."""
    majors = bench.majors([8, 17, 25], [17])
    program = ["bench.Phases", "20", *bench.pick(["1500", "1000"], ["500", "200"])]
    for _ in bench.forks(bench.pick(5, 1)):
        for major in majors:
            options = [*HEAP, *(["-XX:+EnableDynamicAgentLoading"] if major >= 21 else [])]
            total = 0
            with bench.process(bench.arguments(major, "bare", options, program)) as process:
                for moment in MOMENTS:
                    if moment.startswith("armed"):
                        output_of([bench.command, "attach", str(process.pid), "--library",
                                   bench.zaudit])
                        armed = total
                    elif moment.startswith("after"):
                        report = output_of([bench.command, "disarm", str(process.pid), "--format",
                                            "json"])
                        (bench.folder / "report.json").write_text(report)
                        bench.check("zaudit", total - armed)
                    print("go", file=process.stdin, flush=True)
                    done = bench.read_fields(process)
                    total = done["lifecycles"]
                    bench.sample(major, moment, "zaudit", done)
    rows = []
    for major in majors:
        for moment in MOMENTS[1:]:
            own, base = ([bench.of(major, when, "zaudit", name) for name in ("min", "median")]
                         for when in (moment, "before"))
            ratios = [bench.ratio(major, moment, "zaudit", f"over_before_{name}", *both)
                      for name, *both in zip(("min", "median"), own, base)]
            rss = bench.values(major, moment, "zaudit", "rss")
            more = median(rss) - bench.middle(major, "before", "zaudit", "rss")
            rows.append([major, moment, pair(own, 0), pair(ratios, 2), spread(rss),
                         f"{bench.result(major, moment, 'zaudit', 'rss_added', more):.0f}"])
    table(["JDK", "", "ns", "x before", "KiB", "- before"], rows)
