"""What importing the operators costs a DAG's parsing, beyond Airflow itself."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.figures import Figure, Result, Target, conclude

#: What is needed when a task runs, and no sooner.
LATER = ("requests", "tenacity")

_PROGRAM = """
import json, sys, time
start = time.perf_counter()
from airflow.providers.common.compat.sdk import BaseOperator, BaseHook
airflow, before = time.perf_counter(), set(sys.modules)
import airflow_provider_ollang.operators.ollang
ours, after = time.perf_counter(), set(sys.modules)
seconds = {"airflow": airflow - start, "ours": ours - airflow}
print(json.dumps({**seconds, "loaded": sorted(after - before)}))
"""


def run(*, runs: int = 9) -> Result:
    """Measure.

    :param runs: fresh interpreters, each of which imports Airflow's classes and then ours
    """
    found = [_import() for _ in range(runs + 1)][1:]
    airflow, ours = ([1000 * it[whose] for it in found] for whose in ("airflow", "ours"))
    loaded = found[0]["loaded"]
    figures = [
        Figure("limit", "importing BaseOperator and BaseHook", airflow, "ms"),
        Figure("ours", "importing our operators after them", ours, "ms"),
    ]
    targets = [
        Target("milliseconds more", median(ours), most=25),
        Target(f"modules loaded of {', '.join(LATER)}", len({*LATER} & {*loaded}), most=0),
    ]
    return Result("imports", figures, targets, {"loaded": loaded})


def _import() -> dict[str, Any]:
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(conclude(run()))
