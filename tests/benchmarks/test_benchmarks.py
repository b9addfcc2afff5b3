"""Each benchmark still runs, in a miniature whose figures say nothing."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import BENCHMARKS, figures, plot
from benchmarks.figures import Figure, Result, Target

#: No real scheduler, and no 100,000 orders.
MINIATURES: dict[str, dict[str, Any]] = {
    "batch": {"orders": 20, "latency_ms": 1, "runs": 1, "sample": 2, "mapped_tasks": 0},
    "scale": {"sizes": (10, 20), "latency_ms": 1, "runs": 1, "sample": 2},
    "find": {"orders": 120, "latency_ms": 1, "runs": 1, "sample": 2},
    "hook": {"calls": 10, "runs": 1},
    "rate": {"orders": 30, "limit": 20},
    "memory": {"few": 20, "many": 40, "runs": 1},
    "imports": {"runs": 1},
    "connections": {"orders": 40, "workers": 4},
    "waiting": {"waiters": 20, "interval": 0.5, "rounds": 1, "latency_ms": 1},
}


def run_all(folder: Path, *names: str) -> dict[str, dict[str, Any]]:
    """Run miniatures and return what each wrote."""
    files = [
        figures.write(import_module(f"benchmarks.{name}").run(**MINIATURES[name]), folder)
        for name in names
    ]
    return {file.stem: json.loads(file.read_text()) for file in files}


@pytest.mark.slow("runs a benchmark, if a small one")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_writes_what_it_found(name, tmp_path):
    written = run_all(tmp_path, name)[name]
    assert written["benchmark"] == name
    assert written["targets"]
    found = written["figures"].values()
    assert {"ours", "limit"} <= {figure["whose"] for figure in found}
    assert all(figure["low"] <= figure["median"] <= figure["high"] for figure in found)
    assert written["machine"]["cores"] == os.cpu_count()


@pytest.mark.slow("runs two benchmarks, and matplotlib")
def test_a_plot_is_drawn_for_each_result_that_has_one(tmp_path):
    run_all(tmp_path, "scale", "connections")
    [image] = plot.draw_all(tmp_path, tmp_path / "images")
    assert "latency / workers" in image.read_text()


@pytest.mark.parametrize(("value", "code"), [(1.08, 0), (1.09, 1)])
def test_a_missed_target_is_named_and_fails(value, code, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    targets = [Target("ours / ideal", value, most=1.08), Target("peer / ours", 15, least=14)]
    result = Result("batch", [Figure("ours", "an order", [3.0, 1.0, 2.0], "ms")], targets)
    assert figures.conclude(result) == code
    assert ("ours / ideal is 1.09, not at most 1.08" in capsys.readouterr().out) is bool(code)
    assert json.loads((tmp_path / "batch.json").read_text())["met"] is not bool(code)
