"""What a benchmark has found: figures, targets, and the ways to show and keep them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent.parent / "build" / "benchmarks"
MEASURED_WITH = (
    "apache-airflow",
    "apache-airflow-providers-http",
    "ollang-sdk",
    "requests",
    "urllib3",
)

console = Console(highlight=False)


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, once or several times.

    :param whose: ``ours``, ``peer``, or ``limit``: what nobody can beat here
    :param what: what was measured
    :param runs: what each run gave
    :param unit: what it is counted in
    """

    whose: str
    what: str
    runs: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        """The run in the middle."""
        return median(self.runs)

    def to_json(self) -> dict[str, Any]:
        """Return the figure as it is kept."""
        spread = {"median": self.median, "low": min(self.runs), "high": max(self.runs)}
        return {"whose": self.whose, "unit": self.unit, **spread, "runs": list(self.runs)}


@dataclass(frozen=True)
class Target:
    """What a ratio, or another number, must reach.

    :param what: what the number says
    :param value: the number
    :param most: it must not be above
    :param least: it must not be below
    """

    what: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"

    def to_json(self) -> dict[str, Any]:
        """Return the target as it is kept."""
        return {
            "what": self.what,
            "value": self.value,
            "target": self.wanted,
            "met": self.is_met,
        }


@dataclass(frozen=True)
class Result:
    """All that one benchmark has found.

    :param name: the benchmark's name
    :param figures: what was measured
    :param targets: what must be reached
    :param series: what can be plotted beside it
    """

    name: str
    figures: Sequence[Figure]
    targets: Sequence[Target]
    series: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as it is kept."""
        return {
            "benchmark": self.name,
            "met": all(target.is_met for target in self.targets),
            "targets": [target.to_json() for target in self.targets],
            "figures": {figure.what: figure.to_json() for figure in self.figures},
            "series": self.series,
            "machine": _machine(),
        }


def conclude(result: Result) -> int:
    """Show a result, keep it, and return the exit code: 1 if a target was missed."""
    _show_figures(result)
    _show_targets(result)
    console.print(f"Written: {write(result, FOLDER)}")
    missed = [target for target in result.targets if not target.is_met]
    for target in missed:
        console.print(f"[red]Missed:[/] {target.what} is {target.value:.4g}, not {target.wanted}")
    return 1 if missed else 0


def write(result: Result, folder: Path) -> Path:
    """Write a result as JSON and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.name}.json"
    file.write_text(json.dumps(result.to_json(), indent=1) + "\n")
    return file


def alternate(runs: int, *measurements: Callable[[], float]) -> list[list[float]]:
    """Take each measurement in turn, several times, and return what each gave.

    What the machine does meanwhile then meets all of them. A first time, to warm up, counts for
    nothing.
    """
    rounds = [[measure() for measure in measurements] for _ in range(runs + 1)]
    return [list(found) for found in zip(*rounds[1:], strict=True)]


def _show_figures(result: Result) -> None:
    table = Table("", "measured", "median", "lowest", "highest", "runs", title=result.name)
    for column in table.columns[2:]:
        column.justify = "right"
    for it in result.figures:
        numbers = [f"{n:,.4g} {it.unit}" for n in (it.median, min(it.runs), max(it.runs))]
        table.add_row(it.whose, it.what, *numbers, str(len(it.runs)))
    console.print(table)


def _show_targets(result: Result) -> None:
    table = Table("ratio", "value", "target", "met")
    table.columns[1].justify = "right"
    for target in result.targets:
        verdict = "[green]yes[/]" if target.is_met else "[red]no[/]"
        table.add_row(target.what, f"{target.value:.4g}", target.wanted, verdict)
    console.print(table)


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in MEASURED_WITH},
    }
