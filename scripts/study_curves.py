"""
Draws the memory curves of the study as an SVG, and prints the figures behind them.

    study_curves.py FOLDER PAUSE DRAWING VERSION…

Reads in FOLDER, for each version, VERSION.rounds (the output of the driver) and
VERSION.memory.N.json (the report that the agent wrote on demand after (N-1)·PAUSE rounds). The same
files give the same drawing, byte for byte.
"""

import glob
import json
import math
import os
import sys

from study_table import jar_readers

MIB = 1024 * 1024
# The slope is computed from the rounds between: the first ones load and compile classes, and a GC
# frees what leaked.
WARM = 20
COLOURS = ("#cf222e", "#0969da")
WIDTH, HEIGHT = 860, 430
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 52, 52


def process(folder, version):
    """[(round, MiB)] since the nodes started, resident and allocated; and the rounds with a GC."""
    resident, allocated, gcs = [], [], []
    known = None
    with open(os.path.join(folder, f"{version}.rounds"), encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            number, count = int(words[1]), int(words[7])
            if known not in (None, count):
                gcs.append(number)
            known = count
            resident.append((number, int(words[3]) / 1024))
            allocated.append((number, int(words[5]) / 1024))
    return since_start(resident), since_start(allocated), gcs


def since_start(points):
    return [(number, mib - points[0][1]) for number, mib in points]


def reports(folder, version):
    """The agent's reports on demand, in order."""
    files = glob.glob(os.path.join(folder, f"{version}.memory.*.json"))
    for number in range(1, len(files) + 1):
        name = f"{version}.memory.{number}.json"
        with open(os.path.join(folder, name), encoding="utf-8") as text:
            yield json.load(text)


def held(report):
    """The held bytes of the report, in MiB."""
    return sum(report["totals"][kind]["bytes_held"] for kind in ("inflater", "deflater")) / MIB


def stretch(rounds, gcs):
    """The first and the last round from which the slope is computed."""
    first = min(WARM, rounds // 2)
    return first, min([number - 1 for number in gcs if number > first] + [rounds])


def slope(points, first, last):
    """MiB per round, by least squares."""
    over = [(x, y) for x, y in points if first <= x <= last]
    if len(over) < 2:
        return math.nan
    mean_x = sum(x for x, _ in over) / len(over)
    mean_y = sum(y for _, y in over) / len(over)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in over)
    return covariance / sum((x - mean_x) ** 2 for x, _ in over)


def step(most, ticks):
    """A round distance between ticks, for about that many of them."""
    raw = most / ticks
    unit = 10 ** math.floor(math.log10(raw))
    return next(unit * by for by in (1, 2, 5, 10) if unit * by >= raw)


def draw(curves, gcs, rounds):
    """curves: [(name, dash, colour, points)]; gcs: [(colour, round)]."""
    top = max(y for _, _, _, points in curves for _, y in points)
    bottom = min(0, min(y for _, _, _, points in curves for _, y in points))
    rise = step(top - bottom, 6)
    top, bottom = math.ceil(top / rise) * rise, math.floor(bottom / rise) * rise
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    x = lambda at: LEFT + across * at / rounds
    y = lambda mib: TOP + down * (top - mib) / (top - bottom)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img" '
        'aria-label="Memory of the process over the rounds: that of Elasticsearch 5.1.1 grows by '
        'the held bytes that zaudit reports, that of 5.2.1 levels off.">',
        "  <style>",
        "    .title { font-size: 16px; font-weight: 600; fill: #1f2328 }",
        "    .word { fill: #57606a }",
        "    .grid { stroke: #d8dee4; stroke-width: 1 }",
        "    .axis { fill: none; stroke: #57606a; stroke-width: 1.5 }",
        "    .curve { fill: none; stroke-width: 2; stroke-linejoin: round }",
        "  </style>",
        f'  <rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'  <text class="title" x="{LEFT}" y="28">'
        'Growth of the process since the nodes started, in MiB</text>',
    ]
    mib = bottom
    while mib <= top:
        out.append(f'  <path class="grid" d="M{LEFT} {y(mib):.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'  <text class="word" x="{LEFT - 8}" y="{y(mib) + 4.5:.1f}" '
                   f'text-anchor="end">{mib:g}</text>')
        mib += rise
    along = step(rounds, 6)
    at = 0
    while at <= rounds:
        out.append(f'  <path class="axis" d="M{x(at):.1f} {HEIGHT - BOTTOM}v5"/>')
        out.append(f'  <text class="word" x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 20}" '
                   f'text-anchor="middle">{at:g}</text>')
        at += along
    out.append(f'  <path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    out.append(f'  <text class="word" x="{LEFT + across / 2:.1f}" y="{HEIGHT - 10}" '
               'text-anchor="middle">rounds</text>')
    out.append(f'  <text class="word" transform="rotate(-90)" x="{-(TOP + down / 2):.1f}" y="20" '
               'text-anchor="middle">MiB</text>')
    for colour, number in gcs:
        out.append(f'  <path d="M{x(number):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{colour}" '
                   'stroke-dasharray="1 4"/>')
        out.append(f'  <text x="{x(number):.1f}" y="{TOP - 5}" fill="{colour}" '
                   'text-anchor="middle">GC</text>')
    # The labels are next to the ends of the curves, and moved apart if they would overlap.
    labels = []
    for name, dash, colour, points in sorted(curves, key=lambda curve: y(curve[3][-1][1])):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        path = "L".join(f"{x(number):.1f} {y(value):.1f}" for number, value in points)
        out.append(f'  <path class="curve" stroke="{colour}"{dash} d="M{path}"/>')
        wanted = y(points[-1][1])
        labels.append((name, dash, colour, wanted))
    low = HEIGHT - BOTTOM - 8
    heights = []
    for *_, wanted in labels:
        heights.append(max(wanted, heights[-1] + 36 if heights else TOP))
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], low - 36 * (len(heights) - 1 - index))
    for (name, dash, colour, _), height in zip(labels, heights):
        first, second = name
        edge = WIDTH - RIGHT + 8
        out.append(f'  <path class="curve" stroke="{colour}"{dash} d="M{edge} {height:.1f}h26"/>')
        out.append(f'  <text x="{edge + 32}" y="{height:.1f}" fill="{colour}" '
                   f'font-weight="600">{first}</text>')
        out.append(f'  <text class="word" x="{edge + 32}" y="{height + 15:.1f}">{second}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main(folder, pause, drawing, *versions):
    curves, marks, jars = [], [], []
    print(f"{'MiB since the nodes started':<46}{'most':>6}{'end':>6}   slope per round")
    for version, colour in zip(versions, COLOURS):
        resident, allocated, gcs = process(folder, version)
        taken = list(reports(folder, version))
        zlib = since_start([(at * int(pause), held(report)) for at, report in enumerate(taken)])
        marks += [(colour, number) for number in gcs]
        rounds = resident[-1][0]
        first, last = stretch(rounds, gcs)
        for what, dash, points in (
            ("allocated", "2 3", allocated),
            ("resident", "", resident),
            ("held, as zaudit reports", "7 4", zlib),
        ):
            curves.append(((f"Elasticsearch {version}", what), dash, colour, points))
            most = max(value for _, value in points)
            print(f"Elasticsearch {version}, {what:<25}{most:>6.0f}{points[-1][1]:>6.0f}"
                  f"{slope(points, first, last):>8.2f} in rounds {first} to {last}")
        jars.append(f"Elasticsearch {version}, Inflaters of the JDK that read jars: "
                    f"{jar_readers(taken[0])} when the nodes had started, "
                    f"{jar_readers(taken[-1])} after {rounds} rounds")
    print("\n".join(jars))
    with open(drawing, "w", encoding="utf-8") as out:
        out.write(draw(curves, marks, rounds))
    print(f"drawn: {drawing}")


if __name__ == "__main__":
    main(*sys.argv[1:])
