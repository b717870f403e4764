"""What the agent costs: chooses measures and runs them. scripts/bench starts this."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from common import Bench, Failure, Skipped, load  # noqa: E402
from measures import (  # noqa: E402
    adoption, attach, exit_report, formats, http, library, lifecycle, live, many_stacks, million,
    short_threads, spring, stacks, start, threads, virtual, work,
)

# In the order in which they run.
MEASURES = {
    "lifecycle": lifecycle.run,
    "virtual": virtual.run,
    "work": work.run,
    "http": http.run,
    "threads": threads.run,
    "live": live.run,
    "stacks": stacks.run,
    "many-stacks": many_stacks.run,
    "exit": exit_report.run,
    "start": start.run,
    "cds": spring.run_cds,
    "aot": spring.run_aot,
    "adoption": adoption.run,
    "short-threads": short_threads.run,
    "million": million.run,
    "attach": attach.run,
    "library": library.run,
    "formats": formats.run,
}
DEFAULT = ["lifecycle", "threads", "start", "million", "library"]


def summary(measure):
    """The first sentence of what a measure says about itself."""
    return " ".join(measure.__doc__.split("\n\n")[0].split())


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="What the agent costs. docs/performance.md describes the measures.",
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", default=[])
    parser.add_argument("--quick", action="store_true", help="show that it works, nothing else")
    parser.add_argument("--jdks", metavar="17,25", help="only these JDKs")
    parser.add_argument("--list", action="store_true", help="print the measures")
    arguments = parser.parse_args()
    if arguments.list:
        for name, measure in MEASURES.items():
            print(f"{name:14} {summary(measure)}")
        return 0
    chosen = arguments.measures or DEFAULT
    if chosen == ["all"]:
        chosen = list(MEASURES)
    unknown = [name for name in chosen if name not in MEASURES]
    if unknown:
        parser.error(f"no such measure: {', '.join(unknown)}; --list prints them")
    majors = [int(major) for major in arguments.jdks.split(",")] if arguments.jdks else None

    # The agents and their options come from here alone.
    for name in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "ZAUDIT_OPTIONS"]:
        os.environ.pop(name, None)
    try:
        bench = Bench(arguments.quick, majors)
        print(f"Machine: {os.cpu_count()} cores, {bench.processor()}, load {load()} at the start")
        for name in [name for name in MEASURES if name in chosen]:
            measure = MEASURES[name]
            print(f"\n{name}: {summary(measure)}")
            sys.stdout.flush()
            bench.begin(name)
            try:
                measure(bench)
            except Skipped as skipped:
                print(f"  skipped: {skipped}")
            sys.stdout.flush()
        print(f"\nLoad {load()} at the end. Each single measurement: {bench.raw}")
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
