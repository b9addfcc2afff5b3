"""The peer: Airflow's own ``HttpOperator``, mapped over orders, on a real scheduler."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from benchmarks.servers import SandboxServer
from demo.airflow_home import airflow_home
from demo.standalone import standalone
from tests.scheduler.scheduler import Scheduler, wait_for

DAGS = Path(__file__).parent / "dags"
WARM_UP, MEASURED = "warm_up", "http_operator"
LOOK_EVERY_SECONDS = 2
PATIENCE_SECONDS = 300


def seconds_an_order_in_airflow(server: SandboxServer, order_ids: Sequence[str]) -> float | None:
    """Return how long an order takes from the first task's start to the last one's end.

    What it takes until the first task starts is not counted. The first order is there to warm up
    and counts for nothing; with no other the response is ``None``.
    """
    first, *others = order_ids
    if not others:
        return None
    connection = {
        "conn_type": "http",
        "host": server.url,
        "extra": {"X-Api-Key": server.api_key},  # the hook sends extras as headers
    }
    with airflow_home(server, DAGS) as environment:
        environment |= {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW_CONN_OLLANG_HTTP": json.dumps(connection),
            "BENCHMARK_ORDER_IDS": json.dumps({WARM_UP: [first], MEASURED: others}),
        }
        with standalone(environment) as (url, _):
            scheduler = Scheduler(url, Path(environment["AIRFLOW_HOME"]))
            wait_for(lambda: scheduler.call("GET", "/dags")["total_entries"] == 2)
            _run(scheduler, WARM_UP, 1)
            tasks = _run(scheduler, MEASURED, len(others))
    _check(server, order_ids)
    begin = min(datetime.fromisoformat(task["start_date"]) for task in tasks)
    end = max(datetime.fromisoformat(task["end_date"]) for task in tasks)
    return (end - begin).total_seconds() / len(others)


def _run(scheduler: Scheduler, dag_id: str, number: int) -> list[dict[str, Any]]:
    """Run a DAG and return its tasks, once all of them have ended."""
    path = f"/dags/{dag_id}/dagRuns/{scheduler.trigger(dag_id)}/taskInstances"
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        time.sleep(LOOK_EVERY_SECONDS)  # each look costs the tasks time
        with suppress(requests.RequestException):
            tasks = scheduler.call("GET", path, params={"limit": number})["task_instances"]
            if sum(task["end_date"] is not None for task in tasks) == number:
                return tasks
    raise RuntimeError(f"{number} tasks did not end in {PATIENCE_SECONDS} s")


def _check(server: SandboxServer, order_ids: Sequence[str]) -> None:
    if left := set(order_ids) - set(server.orders("cancelled")):
        raise RuntimeError(f"{len(left)} orders were not cancelled")
