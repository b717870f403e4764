"""What a report costs in each format."""

import subprocess
import sys

from common import TOP, Failure, Skipped


def run(bench):
    """What a report costs in each format, with up to 1,000,000 live; without a JVM.

    The suite that reads the formats makes the table.
    """
    if bench.quick:
        raise Skipped("it has no quick version")
    sys.stdout.flush()
    command = ["cargo", "test", "-q", "--release", "--locked", "-p", "zaudit-tests", "--test",
               "formats", "--", "--cost"]
    if subprocess.run(command, cwd=TOP, check=False).returncode:
        raise Failure("the suite fails")
