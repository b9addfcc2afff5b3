"""``make chaos``: the whole experiment, and its figures. Exit code 1 if it went badly."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

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
    left = {f"left, reported as {outcome}": number for outcome, number in verdict.left.items()}
    _table("what became of the stale orders", {"cancelled": verdict.cancelled, **left})
    _table(
        "what must be 0",
        {
            "unaccounted: not cancelled, and in no report": len(verdict.unaccounted),
            "wrongly cancelled: it was not stale": len(verdict.wrongly_cancelled),
            "contradicted: a report says what is not so": len(verdict.contradicted),
            "task processes left behind": seen.orphans,
        },
    )
    _table(
        "under which circumstances",
        {
            "seconds": round(seen.seconds),
            "workers killed": seen.killed,
            "reports (one for each try of a chunk)": seen.reports,
            "requests": seen.requests,
            "of them with a fault": sum(seen.faults.values()),
        },
    )
    _table("fault", dict(sorted(seen.faults.items())))


def _table(title: str, rows: Mapping[str, int]) -> None:
    table = Table(title, "number")
    table.columns[1].justify = "right"
    for name, number in rows.items():
        table.add_row(name, str(number))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
