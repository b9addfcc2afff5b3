"""Peak memory of a whole cleanup: many orders against few."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.servers import canned_server


def run(*, few: int = 100, many: int = 100_000, runs: int = 3) -> Result:
    """Measure.

    :param runs: how often few orders are cleaned up; many are once
    """
    base = [_peak(few) for _ in range(runs)]
    peak = _peak(many)
    figures = [
        Figure("ours", f"peak with {many} orders", [peak], "MB"),
        Figure("limit", f"peak with {few} orders", base, "MB"),
    ]
    more = peak - median(base)
    return Result("memory", figures, [Target("megabytes more", more, most=60)])


def _peak(orders: int) -> float:
    """Return the megabytes that a fresh process needs at most to clean up this many orders."""
    with canned_server(orders=orders) as server:
        command = [sys.executable, "-m", "benchmarks.cleanup", server.url, server.api_key]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own
    cancelled, peak = done.stdout.split()
    if int(cancelled) != orders:
        raise RuntimeError(f"{int(cancelled)} of {orders} orders were cancelled")
    return int(peak) / 1e6


if __name__ == "__main__":
    sys.exit(conclude(run()))
