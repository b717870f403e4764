#!/usr/bin/env python3
"""
The table of the study: what the agent's JSON reports say of each place, against what they have to say.

    table.py PLACES ROUNDS VERSION=REPORT…

Prints one table for each version, and the result in a sentence. For each thing that is not as it has to be: one line on stderr, exit code 1.

Owns what counts as a place, and leaves to the agent what became of an instance. Invariant: all counts are the report's own; "never ended"
is created less ended, since how much of that was found late, collected or still live depends on when the collector ran.
"""

import collections
import json
import re
import sys

# A frame of the JDK's own reading of jars, through the pool of Inflaters that a ZipFile keeps.
JAR_READING = "java.util.zip.ZipFile"
JDK = ("java.", "javax.", "sun.", "com.sun.", "jdk.")
# Classes that are read once from a jar of the class path: about 90 in any number of rounds.
MOST_FOR_JARS = 150

COUNTS = ("created", "ended", "late", "collected", "live", "expected")

problems = []


def problem(text):
    problems.append(text)
    print(f"study-elasticsearch: {text}", file=sys.stderr)


def so_many(rounds):
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def short(frame):
    """Class without its package, and method."""
    return f"{frame['class'].rsplit('.', 1)[-1]}.{frame['method']}"


def place(site):
    """The innermost frame outside the JDK and its caller; None for the JDK's own reading of jars."""
    frames = site["frames"]
    if any(frame["class"].startswith(JAR_READING) for frame in frames):
        return None
    own = [frame for frame in frames if not frame["class"].startswith(JDK)]
    return site["kind"], " < ".join(short(frame) for frame in own[:2])


def resolve(report, site):
    """Gives a clean site its frames, which stand in tables."""
    node, stacks = site["stack"], report["stack_table"]
    while node is not None:
        site["frames"].append(report["frame_table"][stacks["frame"][node]])
        node = stacks["caller"][node]
    site["stack"] = None


def places(report):
    """The sums of all sites that have the same place."""
    sums = collections.defaultdict(collections.Counter)
    for site in report["sites"]:
        resolve(report, site)
        sums[place(site)].update({count: site[count] for count in COUNTS})
    return sums


def jar_readers(report):
    """How many Inflaters the JDK has made to read jars."""
    return places(report)[None]["created"]


def wanted(file, version, rounds):
    """(kind, place) -> (created, never ended), each as its formula and its value."""
    rows = {}
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                of, kind, created, unended, where = line.rstrip("\n").split("\t")
                if of == version:
                    rows[kind, where] = [(formula, value(formula, rounds)) for formula in (created, unended)]
    return rows


def value(formula, rounds):
    """11R+1 for so many rounds."""
    factor, once = re.fullmatch(r"(?:(\d*)R)?\+?(\d+)?", formula).groups()
    return (0 if factor is None else int(factor or 1)) * rounds + int(once or 0)


def check_report(version, report):
    """What holds for every report, whatever was run."""
    if not report["health"]["ok"]:
        problem(f"{version}: the agent could not see everything: {json.dumps(report['health'])}")
    for kind in ("inflater", "deflater"):
        total = report["totals"][kind]
        for count in COUNTS:
            seen = sum(site[count] for site in report["sites"] if site["kind"] == kind)
            if seen != total[count]:
                problem(f"{version}: {kind}: the sites add up to {seen} {count}, the report's total is {total[count]}")
        if total["created"] != sum(total[count] for count in COUNTS[1:5]):
            problem(f"{version}: {kind}: what was created is not what became of it")


def check_places(version, rounds, seen, rows):
    """Every place is known and has its figures."""
    for key in sorted(set(seen) | set(rows)):
        kind, where = key
        created, unended = seen[key]["created"], seen[key]["created"] - seen[key]["ended"]
        if key not in rows:
            problem(f"{version}: {kind} at {where}: {created} created, {unended} never ended; no such place is known")
            continue
        for word, measured, (formula, right) in zip(("created", "never ended"), (created, unended), rows[key]):
            if measured != right:
                problem(f"{version}: {kind} at {where}: {measured} {word}; {formula} makes {right} in {so_many(rounds)}")


def check_jars(version, jars):
    """The JDK's own is expected, and not more the longer the program runs."""
    unended = jars["created"] - jars["ended"]
    if jars["expected"] != unended:
        problem(f"{version}: of {unended} Inflaters never ended that read jars only {jars['expected']} are expected")
    if not 0 < jars["created"] <= MOST_FOR_JARS:
        problem(f"{version}: {jars['created']} Inflaters to read jars; 1 to {MOST_FOR_JARS} in any number of rounds")


def print_table(version, rounds, seen, rows, jars):
    print(f"Elasticsearch {version}, {so_many(rounds)} (R = {rounds})")
    print(f"{'kind':<9}{'created':>16}{'ended':>7}{'never ended':>20}  place")
    unended = lambda sums: sums["created"] - sums["ended"]
    for kind, where in sorted(seen, key=lambda key: (-unended(seen[key]), key)):
        sums = seen[kind, where]
        (created, _), (lost, _) = rows.get((kind, where), [("?", 0), ("?", 0)])
        of = lambda formula: f"{formula:>8} =" if "R" in formula else ""
        print(f"{kind:<9}{of(created):>10}{sums['created']:>6}{sums['ended']:>7}{of(lost):>14}{unended(sums):>6}  {where}")
    print(f"{'inflater':<9}{jars['created']:>16}{jars['ended']:>7}{unended(jars):>20}  "
          f"the JDK reads jars, through ZipFile.getInflater: {jars['expected']} expected")
    print()


def sentence(version, rounds, seen):
    """What came out, in words."""
    lost = collections.Counter()
    where = 0
    for (kind, _), sums in seen.items():
        lost[kind] += sums["created"] - sums["ended"]
        where += sums["created"] > sums["ended"]
    if not where:
        return f"Elasticsearch {version} ended all {sum(sums['created'] for sums in seen.values())} that it made"
    return (f"Elasticsearch {version} never ended {lost['inflater']} Inflaters and {lost['deflater']} Deflaters, "
            f"made at {where} places, in {so_many(rounds)}")


def main(file, rounds, *reports):
    rounds = int(rounds)
    sentences = []
    for version, path in (report.split("=", 1) for report in reports):
        with open(path, encoding="utf-8") as text:
            report = json.load(text)
        seen = places(report)
        jars = seen.pop(None, collections.Counter())
        rows = wanted(file, version, rounds)
        print_table(version, rounds, seen, rows, jars)
        check_report(version, report)
        check_places(version, rounds, seen, rows)
        check_jars(version, jars)
        sentences.append(sentence(version, rounds, seen))
    print("; ".join(sentences) + ".")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
