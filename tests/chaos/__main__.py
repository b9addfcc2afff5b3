"""``make chaos``: the whole experiment, and its figures. Exit code 1 if it went badly."""

from __future__ import annotations

import argparse
import secrets
import sys

from rich.console import Console

from tests.chaos.experiment import Observation, observe

ORDERS, CHUNK_SIZE = 10_000, 250

console = Console(highlight=False)


def main() -> int:
    """Run the experiment, print what was seen, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--orders", type=int, default=ORDERS, help="stale orders (%(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="(by chance)")
    options = parser.parse_args()
    console.print(f"{options.orders} stale orders, seed {options.seed}. This takes minutes.")
    seen = observe(options.orders, CHUNK_SIZE, options.seed)
    _print(seen)
    again = f"make chaos ORDERS={options.orders} SEED={options.seed}"
    if seen.is_good:
        console.print(f"[green]Nothing was lost, and no report is untrue.[/] Again: {again}")
        return 0
    console.print(f"[red]Orders were lost, or a report is untrue.[/] Again: {again}")
    return 1


def _print(seen: Observation) -> None:
    verdict = seen.verdict
    rows = {
        "stale orders cancelled": verdict.cancelled,
        **{f"left, reported as {outcome}": number for outcome, number in verdict.left.items()},
        "must be 0: unaccounted, neither cancelled nor in a report": len(verdict.unaccounted),
        "must be 0: wrongly cancelled, not stale": len(verdict.wrongly_cancelled),
        "must be 0: contradicted, a report says what is not so": len(verdict.contradicted),
        "must be 0: task processes left behind": seen.orphans,
        "seconds": round(seen.seconds),
        "workers killed": seen.killed,
        "reports (one for each try of a chunk)": seen.reports,
        "requests": seen.requests,
        "of them with a fault": sum(seen.faults.values()),
        **{f"fault {kind}": number for kind, number in sorted(seen.faults.items())},
    }
    for name, number in rows.items():
        console.print(f"{number:>8}  {name}")


if __name__ == "__main__":
    sys.exit(main())
