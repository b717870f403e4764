"""
The table of the study: compares the agent's JSON reports with the expected figures.

    study_table.py CALL-PATHS ROUNDS VERSION=REPORT…

Prints one table for each version, and the result in a sentence. For each figure that differs, it
prints one line on stderr and ends with exit code 1.

A call path is the innermost method outside the JDK and its caller. All counts come from the
reports. "never ended" is created - ended: whether such an instance is late, collected or live
depends on when a GC ran.
"""

import collections
import json
import re
import sys

# A frame of the JDK when it reads jars, with the pool of Inflaters that a ZipFile has.
JAR_READING = "java.util.zip.ZipFile"
JDK = ("java.", "javax.", "sun.", "com.sun.", "jdk.")
# Classes that are read once from a jar of the class path: about 90 in any number of rounds.
MOST_FOR_JARS = 150

KINDS = ("inflater", "deflater")
COUNTS = ("created", "ended", "late", "collected", "live", "expected")

problems = []


def problem(text):
    problems.append(text)
    print(f"study-elasticsearch: {text}", file=sys.stderr)


def counted(rounds):
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def short(frame):
    """Class without its package, and method."""
    return f"{frame['class'].rsplit('.', 1)[-1]}.{frame['method']}"


def call_path(site):
    """The kind and the call path of a site; None if the JDK reads a jar."""
    frames = site["frames"]
    if any(frame["class"].startswith(JAR_READING) for frame in frames):
        return None
    own = [frame for frame in frames if not frame["class"].startswith(JDK)]
    return site["kind"], " < ".join(short(frame) for frame in own[:2])


def resolve(report, site):
    """Gives a clean site its frames, which the report has in tables."""
    node, stacks = site["stack"], report["stack_table"]
    while node is not None:
        site["frames"].append(report["frame_table"][stacks["frame"][node]])
        node = stacks["caller"][node]
    site["stack"] = None


def call_paths(report):
    """The sums of all sites with the same kind and call path."""
    sums = collections.defaultdict(collections.Counter)
    # The study is about instances; the streams of the JDK's jars are closed.
    for site in (site for site in report["sites"] if site["kind"] in KINDS):
        resolve(report, site)
        sums[call_path(site)].update({count: site[count] for count in COUNTS})
    return sums


def jar_readers(report):
    """How many Inflaters the JDK has created to read jars."""
    return call_paths(report)[None]["created"]


def wanted(file, version, rounds):
    """(kind, call path) -> (created, never ended), each with formula and value."""
    rows = {}
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                of, kind, created, unended, where = line.rstrip("\n").split("\t")
                if of == version:
                    rows[kind, where] = [
                        (formula, value(formula, rounds)) for formula in (created, unended)
                    ]
    return rows


def value(formula, rounds):
    """The value of a formula such as 11R+1."""
    factor, once = re.fullmatch(r"(?:(\d*)R)?\+?(\d+)?", formula).groups()
    return (0 if factor is None else int(factor or 1)) * rounds + int(once or 0)


def check_report(version, report):
    """Checks what is true for every report."""
    if not report["health"]["ok"]:
        problem(f"{version}: the agent could not see everything: {json.dumps(report['health'])}")
    for kind in KINDS:
        total = report["totals"][kind]
        for count in COUNTS:
            seen = sum(site[count] for site in report["sites"] if site["kind"] == kind)
            if seen != total[count]:
                problem(f"{version}: {kind}: the sites add up to {seen} {count}, "
                        f"the report's total is {total[count]}")
        if total["created"] != sum(total[count] for count in COUNTS[1:5]):
            problem(f"{version}: {kind}: created is not ended + late + collected + live")


def check_call_paths(version, rounds, seen, rows):
    """Checks that every call path is known and has the expected figures."""
    for key in sorted(set(seen) | set(rows)):
        kind, where = key
        created, unended = seen[key]["created"], seen[key]["created"] - seen[key]["ended"]
        if key not in rows:
            problem(f"{version}: {kind} in {where}: {created} created, {unended} never ended; "
                    "this call path is not known")
            continue
        measured = (("created", created), ("never ended", unended))
        for (word, number), (formula, right) in zip(measured, rows[key]):
            if number != right:
                problem(f"{version}: {kind} in {where}: {number} {word}; "
                        f"{formula} is {right} in {counted(rounds)}")


def check_jars(version, jars):
    """Checks that the JDK's own Inflaters are expected, and do not grow with the rounds."""
    unended = jars["created"] - jars["ended"]
    if jars["expected"] != unended:
        problem(f"{version}: {unended} Inflaters that read jars were never ended, "
                f"only {jars['expected']} are expected")
    if not 0 < jars["created"] <= MOST_FOR_JARS:
        problem(f"{version}: {jars['created']} Inflaters read jars; "
                f"1 to {MOST_FOR_JARS} in any number of rounds")


def print_table(version, rounds, seen, rows, jars):
    print(f"Elasticsearch {version}, {counted(rounds)} (R = {rounds})")
    print(f"{'kind':<9}{'created':>16}{'ended':>7}{'never ended':>20}  call path")
    unended = lambda sums: sums["created"] - sums["ended"]
    for kind, where in sorted(seen, key=lambda key: (-unended(seen[key]), key)):
        sums = seen[kind, where]
        (created, _), (lost, _) = rows.get((kind, where), [("?", 0), ("?", 0)])
        of = lambda formula: f"{formula:>8} =" if "R" in formula else ""
        print(f"{kind:<9}{of(created):>10}{sums['created']:>6}{sums['ended']:>7}"
              f"{of(lost):>14}{unended(sums):>6}  {where}")
    print(f"{'inflater':<9}{jars['created']:>16}{jars['ended']:>7}{unended(jars):>20}  "
          f"the JDK reads jars, through ZipFile.getInflater: {jars['expected']} expected")
    print()


def sentence(version, rounds, seen):
    """The result in words."""
    lost = collections.Counter()
    where = 0
    for (kind, _), sums in seen.items():
        lost[kind] += sums["created"] - sums["ended"]
        where += sums["created"] > sums["ended"]
    if not where:
        created = sum(sums["created"] for sums in seen.values())
        return f"Elasticsearch {version} ended all {created} instances that it created"
    paths = "1 call path" if where == 1 else f"{where} call paths"
    return (f"Elasticsearch {version} never ended {lost['inflater']} Inflaters "
            f"and {lost['deflater']} Deflaters, from {paths}, in {counted(rounds)}")


def main(file, rounds, *reports):
    rounds = int(rounds)
    sentences = []
    for version, path in (report.split("=", 1) for report in reports):
        with open(path, encoding="utf-8") as text:
            report = json.load(text)
        seen = call_paths(report)
        jars = seen.pop(None, collections.Counter())
        rows = wanted(file, version, rounds)
        print_table(version, rounds, seen, rows, jars)
        check_report(version, report)
        check_call_paths(version, rounds, seen, rows)
        check_jars(version, jars)
        sentences.append(sentence(version, rounds, seen))
    print("; ".join(sentences) + ".")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
