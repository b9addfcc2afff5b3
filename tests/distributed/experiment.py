"""One cleanup by two workers, of which one dies midway, and what was seen of it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_ollang.sandbox import Sandbox
from tests.chaos.experiment import DAG_ID
from tests.chaos.verdict import lines_of
from tests.distributed.airflow import POOL, WORKERS, Cluster, cluster
from tests.distributed.observation import Observation, Try
from tests.scheduler.scheduler import wait_for

FIND, CANCEL = "find", "cancel"
STALE, CHUNK_SIZE, LATENCY_MS = 5_000, 250, 50
#: The worker that is killed, and how much of one of its chunks it has done by then.
KILLED, FROM_SHARE, TO_SHARE = WORKERS[1], 0.1, 0.7
PATIENCE_SECONDS = 300


def observe(home: Path) -> Observation:
    """Run the cleanup in a fresh Airflow home, and return what was seen."""
    with Sandbox(order_count=0, latency_ms=LATENCY_MS) as sandbox:
        stale, listed = _add_orders(sandbox)
        before = _status_of(sandbox)
        with cluster(sandbox, home, CHUNK_SIZE) as airflow:
            run_id = airflow.scheduler.trigger(DAG_ID)
            chunks = _wait_for_chunks(airflow, run_id)
            killed_at, killed = _kill_a_worker(airflow, sandbox, run_id, chunks)
            state = airflow.scheduler.wait_for_run(DAG_ID, run_id, PATIENCE_SECONDS)
            airflow.processes.raise_if_ended(KILLED)
            tries = [it for chunk in range(len(chunks)) for it in _tries(airflow, run_id, chunk)]
            done = [it.chunk for it in tries if it.state == "success"]
            counts = [_xcom(airflow, run_id, CANCEL, "counts", chunk) for chunk in done]
        return Observation(
            stale=stale,
            others={order_id: it for order_id, it in before.items() if order_id not in stale},
            listed=listed,
            chunks=chunks,
            state=state,
            tries=tries,
            counts=counts,
            requests=sandbox.requests,
            status_of=_status_of(sandbox),
            lines=lines_of(home / "reports"),
            reports=frozenset(path.name for path in (home / "reports").iterdir()),
            killed_at=killed_at,
            killed=killed,
        )


def _add_orders(sandbox: Sandbox) -> tuple[frozenset[str], int]:
    """Add orders; return the ids of the stale ones, and how many the finder has to read."""
    old, young = timedelta(days=40), timedelta(days=6)
    stale = [sandbox.orders.add(age=old, name=f"Episode {n}")["id"] for n in range(STALE)]
    for n in range(100):
        sandbox.orders.add(age=old, name=f"please keep {n}")
        sandbox.orders.add(age=young)
        sandbox.orders.add(age=old, status="ongoing")
        sandbox.orders.add(age=old, status="delivered")
    return frozenset(stale), STALE + 100


def _status_of(sandbox: Sandbox) -> dict[str, str]:
    return {order["id"]: order["status"] for order in sandbox.orders}


def _wait_for_chunks(airflow: Cluster, run_id: str) -> list[list[str]]:
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{FIND}"
    wait_for(lambda: airflow.scheduler.call("GET", path)["state"] == "success")
    chunks: list[list[str]] = _xcom(airflow, run_id, FIND, "return_value")
    return chunks


def _xcom(airflow: Cluster, run_id: str, task_id: str, key: str, chunk: int = -1) -> Any:
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
    params = {"deserialize": "true", "map_index": chunk}
    return airflow.scheduler.call("GET", path, params=params)["value"]


def _kill_a_worker(
    airflow: Cluster, sandbox: Sandbox, run_id: str, chunks: list[list[str]]
) -> tuple[float, int]:
    """Kill a worker in the middle of a chunk; return when, and how many processes."""

    def is_in_the_middle() -> bool:
        return any(
            FROM_SHARE <= _share_done(sandbox, chunks[chunk]) <= TO_SHARE
            for chunk in _chunks_of(airflow, run_id, KILLED, "running")
        )

    # Before it dies, it has done its share.
    wait_for(lambda: _chunks_of(airflow, run_id, KILLED, "success"), PATIENCE_SECONDS)
    wait_for(is_in_the_middle, PATIENCE_SECONDS)
    return time.time(), airflow.processes.kill(KILLED)


def _chunks_of(airflow: Cluster, run_id: str, worker: str, state: str) -> list[int]:
    """Return the chunks that a worker has in a state."""
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
    found = airflow.scheduler.call("GET", path, params={"state": state, "pool": POOL})
    return [it["map_index"] for it in found["task_instances"] if it["hostname"] == worker]


def _share_done(sandbox: Sandbox, chunk: list[str]) -> float:
    orders = [sandbox.orders.get(order_id) or {} for order_id in chunk]
    return sum(order.get("status") == "cancelled" for order in orders) / len(chunk)


def _tries(airflow: Cluster, run_id: str, chunk: int) -> list[Try]:
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{CANCEL}/{chunk}/tries"
    return [
        Try(
            chunk=chunk,
            number=found["try_number"],
            worker=found["hostname"],
            state=found["state"],
            begin=datetime.fromisoformat(found["start_date"]),
            end=datetime.fromisoformat(found["end_date"]),
        )
        for found in airflow.scheduler.call("GET", path)["task_instances"]
    ]
