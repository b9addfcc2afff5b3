"""One clean-up by two workers, of which one dies midway, and what was seen of it."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from airflow_provider_ollang.sandbox import Sandbox
from airflow_provider_ollang.sandbox.received import Received
from tests.distributed.airflow import POOL, WORKERS, Cluster, cluster
from tests.scheduler.scheduler import wait_for

DAG_ID, TASK_ID = "cleanup_in_chunks", "cancel_stale_orders"
STALE, CHUNK_SIZE, LATENCY_MS = 5_000, 250, 50
#: The worker that is killed, and how much of one of its chunks it has done by then.
KILLED, FROM_SHARE, TO_SHARE = WORKERS[1], 0.2, 0.6
#: Nothing that it had sent comes later than this after its end, and no retry as early.
LAST_REQUESTS_SECONDS = 5
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Try:
    """One try of one mapped task, as Airflow has it."""

    chunk: int
    number: int
    worker: str
    state: str


@dataclass(frozen=True)
class Observation:
    """What was seen.

    :param stale: the orders that were to be cancelled
    :param others: the other orders, with the status that each had before
    :param listed: orders that the finder's query fits, stale or not
    :param chunks: the ids of each chunk
    :param state: the state in which the run ended
    :param tries: every try of every chunk
    :param counts: what each mapped task pushed as ``counts``
    :param requests: what the sandbox received, in order
    :param status_of: the status of every order at the end
    :param lines: the lines of all records
    :param records: the names of the records
    :param killed_at: when a worker was killed, in seconds since the epoch
    :param killed: the processes that were killed with it
    :param seconds: how long the run took
    """

    stale: frozenset[str]
    others: Mapping[str, str]
    listed: int
    chunks: list[list[str]]
    state: str
    tries: list[Try]
    counts: list[dict[str, int]]
    requests: list[Received]
    status_of: Mapping[str, str]
    lines: list[dict[str, Any]]
    records: frozenset[str]
    killed_at: float
    killed: int
    seconds: float

    @property
    def lost(self) -> frozenset[int]:
        """The chunks that were tried more than once."""
        return frozenset(it.chunk for it in self.tries if it.number > 1)

    @property
    def lost_orders(self) -> frozenset[str]:
        """The orders of these chunks."""
        return frozenset(order_id for chunk in self.lost for order_id in self.chunks[chunk])

    @property
    def cancelled_at(self) -> dict[str, float]:
        """When each order was cancelled, in seconds since the epoch."""
        acts = [(it.order_id, it.acted) for it in self.requests if it.is_cancel and it.acted]
        return {str(order_id): acted for order_id, acted in reversed(acts)}

    @property
    def done_by_lost_tries(self) -> frozenset[str]:
        """The orders that were cancelled by tries that did not live to their end."""
        cancelled_at, end = self.cancelled_at, self.killed_at + LAST_REQUESTS_SECONDS
        return frozenset(it for it in self.lost_orders if cancelled_at[it] <= end)

    def most_at_once(self) -> int:
        """Return how many tries sent requests at the same time at most, as the sandbox saw it."""
        times: dict[tuple[int, bool], list[float]] = defaultdict(list)
        chunk_of = {order_id: n for n, chunk in enumerate(self.chunks) for order_id in chunk}
        end = self.killed_at + LAST_REQUESTS_SECONDS
        for request in self.requests:
            if request.order_id:
                chunk = chunk_of[request.order_id]
                times[chunk, chunk in self.lost and request.time > end].append(request.time)
        begins = [(min(it), 1) for it in times.values()]
        ends = [(max(it), -1) for it in times.values()]
        return max(accumulate(change for _, change in sorted([*begins, *ends])))


def observe(home: Path) -> Observation:
    """Run the clean-up in a fresh Airflow home, and return what was seen."""
    with Sandbox(order_count=0, latency_ms=LATENCY_MS) as sandbox:
        stale, listed = _add_orders(sandbox)
        before = _status_of(sandbox)
        with cluster(sandbox, home, CHUNK_SIZE) as airflow:
            begin = time.monotonic()
            run_id = airflow.scheduler.trigger(DAG_ID)
            chunks = _wait_for_chunks(airflow, run_id)
            killed_at, killed = _kill_a_worker(airflow, sandbox, run_id, chunks)
            state = airflow.scheduler.wait_for_run(DAG_ID, run_id, PATIENCE_SECONDS)
            seconds = time.monotonic() - begin
            airflow.processes.raise_if_ended(KILLED)
            tries = [it for chunk in range(len(chunks)) for it in _tries(airflow, run_id, chunk)]
            counts = [_xcom(airflow, run_id, TASK_ID, "counts", n) for n in range(len(chunks))]
        records = sorted(airflow.records.iterdir())
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
            lines=_lines(records),
            records=frozenset(path.name for path in records),
            killed_at=killed_at,
            killed=killed,
            seconds=seconds,
        )


def _add_orders(sandbox: Sandbox) -> tuple[frozenset[str], int]:
    """Add orders; return the ids of the stale ones, and how many the finder has to read."""
    old, young = timedelta(days=40), timedelta(days=20)
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
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/find_stale_orders"
    wait_for(lambda: airflow.scheduler.call("GET", path)["state"] == "success")
    chunks: list[list[str]] = _xcom(airflow, run_id, "find_stale_orders", "return_value")
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
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{TASK_ID}/{chunk}/tries"
    found = airflow.scheduler.call("GET", path)["task_instances"]
    return [Try(chunk, it["try_number"], it["hostname"], it["state"]) for it in found]


def _lines(records: list[Path]) -> list[dict[str, Any]]:
    """Return the lines of all records, the earlier ones first."""
    lines = [json.loads(line) for record in records for line in record.read_text().splitlines()]
    return sorted(lines, key=lambda line: str(line["time"]))
