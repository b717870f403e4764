"""The library itself."""

import re
import shutil
import textwrap

from common import TOP, Failure, output_of


def run(bench):
    """Size of the library, what is in it, and what it needs."""
    if not shutil.which("readelf"):
        raise Failure("library needs readelf (Debian's package binutils has it)")
    tree = output_of(["cargo", "tree", "--locked", "-q", "-p", "zaudit", "-e",
                      "normal,no-proc-macro", "--prefix", "none"], cwd=TOP)
    crates = sorted({" ".join(line.split()[:2]) for line in tree.splitlines() if line.strip()})
    crates = [crate for crate in crates if not re.match("zaudit(-| )", crate)]
    symbols = output_of(["readelf", "--dyn-syms", "-W", bench.zaudit])
    needed = re.findall(r"(\S+)@GLIBC_([0-9.]+)", symbols)
    newest = max({version for _, version in needed}, key=lambda v: [*map(int, v.split("."))])
    why = sorted({name for name, version in needed if version == newest})
    size = bench.result("-", "-", "zaudit", "bytes", bench.zaudit.stat().st_size)
    bench.result("-", "-", "zaudit", "crates", len(crates))
    print(f"\n  libzaudit.so    {size} bytes")
    print(f"  oldest glibc    {newest}, because of {', '.join(why)}")
    print(f"  crates in it    {len(crates)}, besides its own and the standard library")
    text = textwrap.fill(", ".join(crates), 96, break_on_hyphens=False)
    print(textwrap.indent(text, "    "))
