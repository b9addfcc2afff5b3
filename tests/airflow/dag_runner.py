"""Runs DAGs to their ends with ``dag.test()``, one after the other in one process.

Reads a line of JSON for each run: ``file``, ``conf``, ``time`` (the run's own), ``environment``
(variables to set), and ``output``, the file that takes what is printed meanwhile. Writes a line of
JSON for each: ``state``, ``tasks`` (task id, map index, state) and ``cut_off_base``, the time that
ages are counted to; or ``null`` if there was no run.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from datetime import datetime
from typing import Any

import airflow

from airflow_provider_ollang.api.rate_limiter import no_waiting

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models import DagBag

IS_AIRFLOW_2 = airflow.__version__.startswith("2.")


def load(file: str) -> Any:
    bag = DagBag(dag_folder=file)
    assert bag.import_errors == {}, bag.import_errors
    [dag] = bag.dags.values()
    return dag


def without_waiting(dag: Any) -> None:
    """A task that waits for a retry would never end here."""
    for task in dag.tasks:
        if hasattr(task, "partial_kwargs"):  # a mapped task
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
        if hasattr(task, "poke_interval"):
            task.poke_interval = 1


def test(dag: Any, order: dict[str, Any]) -> Any:
    time = datetime.fromisoformat(order["time"])
    when = {"execution_date": time} if IS_AIRFLOW_2 else {"logical_date": time, "run_after": time}
    with no_waiting():
        return dag.test(run_conf=order["conf"], **when)


def run(order: dict[str, Any]) -> dict[str, Any]:
    os.environ.update(order["environment"])
    dag = load(order["file"])
    without_waiting(dag)
    run = test(dag, order)
    tasks = sorted((ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances())
    base = getattr(run, "run_after", None) or run.data_interval_end
    return {"state": str(run.state), "tasks": tasks, "cut_off_base": base.isoformat()}


def main() -> None:
    with os.fdopen(os.dup(1), "w") as results:
        for line in sys.stdin:
            order, result = json.loads(line), None
            with open(order["output"], "w") as output:
                for stream in (1, 2):
                    os.dup2(output.fileno(), stream)
            try:
                result = run(order)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()
