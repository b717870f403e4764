"""The results of runs, one JSON object a line, and their sums as Markdown."""

import json
from collections import Counter

# Demands that attach to the JVM.
ATTACHES = ["dump", "dump-gc", "status", "jcmd", "threads", "armed", "disarmed", "companion"]


def append(file, result):
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(result, sort_keys=True) + "\n")


def read(files):
    results = []
    for file in files:
        with open(file, encoding="utf-8") as lines:
            results += [json.loads(line) for line in lines]
    return results


def table(results):
    """What was done in all, and how often each value of each dimension was run."""
    demands = Counter()
    for result in results:
        demands.update(result["demands"])
    green = [result for result in results if result["end"] == "equal"]
    long = [result for result in results if result["slope"] and result["seconds"] >= 60]
    rows = [
        ("runs", f"{len(results)}, of {hours(results)} hours in all"),
        ("failed", str(sum(result["end"] == "failed" for result in results))),
        ("lifecycles, equal to the unit",
         f"{sum(result['lifecycles'] for result in green):,} in {len(green)} runs"),
        ("runs that disarm", f"{sum(result['end'] == 'disarmed' for result in results)}, with "
         f"{demands['disarmed']:,} disarms and {demands['armed']:,} arms"),
        ("not compared, because the report lacked names or sites",
         f"{sum(result['end'] == 'not compared' for result in results)} runs"),
        ("signals", f"{demands['usr1']:,}"),
        ("attaches", f"{sum(demands[name] for name in ATTACHES):,}"),
        ("OutOfMemoryError in a full heap",
         f"{sum('HEAP' in result['antagonists'] for result in results)} runs"),
        ("malloc that fails", f"{sum('MEMORY' in result['antagonists'] for result in results)} "
         f"runs; in {sum(result['end'] == 'no memory' for result in results)} of them the JVM "
         "itself gave up"),
        ("growth of RSS in runs of a minute or more", growth(long)),
    ]
    lines = ["| what | how often |", "| --- | --- |"]
    lines += [f"| {name} | {text} |" for name, text in rows]
    majors = sorted({result["jdk"] for result in results})
    lines += ["", "| runs | " + " | ".join(f"JDK {major}" for major in majors) + " |",
              "| --- |" + " --- |" * len(majors)]
    for key in ["collector", "malloc", "stress", "companion"]:
        for value in sorted({result[key] for result in results}):
            runs = Counter(result["jdk"] for result in results if result[key] == value)
            name = {"none": f"no {key}"}.get(value, value)
            lines.append(f"| {name} | "
                         + " | ".join(str(runs[major] or "") for major in majors) + " |")
    runs = Counter(result["jdk"] for result in results)
    lines.append("| all | " + " | ".join(str(runs[major]) for major in majors) + " |")
    return "\n".join(lines)


def hours(results):
    return f"{sum(result['took'] for result in results) / 3600:.1f}"


def growth(results):
    if not results:
        return "none measured"
    slopes = sorted(result["slope"] for result in results)
    each = ", ".join(f"{slope:+.1f} ± {error:.1f}" for slope, error in slopes)
    return f"{len(slopes)} runs, in KiB/s: {each}"
