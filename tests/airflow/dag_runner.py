"""Runs one DAG to its end with ``dag.test()``, in a process that can be given up.

``python dag_runner.py FILE JSON`` with ``conf`` and ``time``, the run's own. The last line printed
is JSON: ``state``, ``tasks`` (task id, map index, state) and ``cut_off_base``, the time that ages
are counted to.
"""

from __future__ import annotations

import json
import sys
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


def main(file: str, order: dict[str, Any]) -> None:
    dag = load(file)
    without_waiting(dag)
    run = test(dag, order)
    tasks = sorted((ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances())
    base = getattr(run, "run_after", None) or run.data_interval_end
    result = {"state": str(run.state), "tasks": tasks, "cut_off_base": base.isoformat()}
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
