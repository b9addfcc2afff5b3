"""The plots of the documentation, drawn from what the benchmarks have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ollang", "font.size": 10})

from matplotlib import pyplot  # noqa: E402 - it takes its settings when it is imported
from matplotlib.figure import Figure  # noqa: E402

from benchmarks.figures import FOLDER  # noqa: E402

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def draw_all(source: Path = FOLDER, target: Path = IMAGES) -> list[Path]:
    """Draw what there are results for, and return the images."""
    return [
        _save(draw(json.loads(file.read_text())["series"]), target / image)
        for name, (image, draw) in _PLOTS.items()
        if (file := source / f"{name}.json").exists()
    ]


def time_against_orders(series: dict[str, Any]) -> Figure:
    """Return how long a batch takes, by its size."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.loglog(
        series["orders"], series["sdk"], "s--", color="tab:gray", label="official SDK, extrapolated"
    )
    axes.loglog(series["orders"], series["ours"], "o-", color="tab:blue", label="this package")
    axes.loglog(series["orders"], series["ideal"], ":", color="black", label="latency / workers")
    axes.set_xlabel(f"orders ({series['latency_ms']:g} ms a response)")
    axes.set_ylabel("seconds")
    return _finish(figure)


def throughput_under_a_limit(series: dict[str, Any]) -> Figure:
    """Return what is served and rejected each second while the limit changes."""
    run = series["halving limit"]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    seconds = range(len(run["served"]))
    axes.step(seconds, run["served"], where="post", color="tab:blue", label="served")
    axes.step(seconds, run["rejected"], where="post", color="tab:red", label="rejected")
    for number, (begin, end, limit) in enumerate(run["limits"]):
        label = "the server's limit" if number == 0 else None
        axes.plot([begin, end], [limit, limit], ":", color="black", label=label)
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests a second")
    axes.set_ylim(bottom=0)
    return _finish(figure)


_PLOTS: dict[str, tuple[str, Callable[[dict[str, Any]], Figure]]] = {
    "scale": ("time-against-orders.svg", time_against_orders),
    "rate": ("throughput-under-a-limit.svg", throughput_under_a_limit),
}


def _finish(figure: Figure) -> Figure:
    [axes] = figure.axes
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    return figure


def _save(figure: Figure, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})  # the same figures give the same file
    pyplot.close(figure)
    return file
