"""``make bench``: run all benchmarks, or those named, each in a process of its own; then plot.

The exit code is 1 if a target was missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

from rich.console import Console

from benchmarks import BENCHMARKS, plot

console = Console(highlight=False)


def main() -> int:
    """Run what the command line names and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or BENCHMARKS
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="ollang-bench-") as home:
        bad = [name for name in names if not _is_met(name, home)]
    for image in plot.draw_all():
        console.print(f"Drawn: {image}")
    if bad:
        console.print(f"[red]Not as it should be:[/] {', '.join(bad)}")
    return 1 if bad else 0


def _is_met(name: str, airflow_home: str) -> bool:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": airflow_home,
        # As in any installation, Python keeps what it has compiled: it is not compiled anew for
        # each import that is timed, nor for each of Airflow's tasks.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": f"{airflow_home}/bytecode",
    }
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    start = time.monotonic()
    done = subprocess.run(command, env=environment)  # noqa: S603 - our own command
    console.print(f"{name} took {time.monotonic() - start:.0f} s.\n")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
