"""A cleanup on a real scheduler, with an API that fails in every way and workers that die."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_ollang.sandbox import Sandbox
from airflow_provider_ollang.sandbox._faults import draw_faults, parse_faults
from demo.airflow_home import airflow_home
from demo.standalone import Process, processes_of, standalone
from tests.chaos.verdict import Verdict, cancelled_at, judge, lines_of
from tests.faults import KINDS
from tests.scheduler.scheduler import Scheduler, wait_for

DAGS, DAG_ID = Path(__file__).parent / "dags", "cleanup_in_chunks"
# Ten of a hundred requests. An hour's wait ends a whole task, so it comes less often.
FAULTS = "429-hour=0.0005,all=0.0995"
#: Each worker that is killed: what share of the orders is cancelled by then, and whether the
#: task's own process dies with it, or goes on as an orphan.
KILLS = ((0.2, True), (0.4, False))
PATIENCE_SECONDS = 1800
ORPHAN_SECONDS = 60
# How Airflow 3.3 names its processes.
WORKER_TITLE, TASK_TITLE = "airflow worker -- LocalExecutor", "airflow worker -- "

AIRFLOW = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "4",
    # A worker that died is missed after this many seconds.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
}


@dataclass(frozen=True)
class Observation:
    """What was seen."""

    verdict: Verdict
    requests: int
    faults: Mapping[str, int]  # how many requests met which
    reports: int  # one for each try of each chunk
    killed: int  # workers
    orphans: int  # task processes that were still there after the run
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the cleanup kept its word."""
        return self.verdict.is_good and self.killed == len(KILLS) and self.orphans == 0


def observe(orders: int, chunk_size: int, seed: int) -> Observation:
    """Run the experiment.

    :param orders: stale orders; a tenth as many others stand beside them
    :param chunk_size: orders of one mapped task
    :param seed: decides the orders and the faults
    """
    with Sandbox(order_count=0, seed=seed) as sandbox:
        sandbox.faults = draw_faults(parse_faults(FAULTS, KINDS), seed)
        stale = _add_orders(sandbox, orders, random.Random(seed))
        with airflow_home(sandbox, DAGS) as environment:
            environment = {**environment, **AIRFLOW, "CLEANUP_CHUNK_SIZE": str(chunk_size)}
            environment["AIRFLOW_CONN_OLLANG_DEFAULT"] = _connection(sandbox)
            home = Path(environment["AIRFLOW_HOME"])
            with standalone(environment) as (url, airflow):
                begin = time.monotonic()
                killed = _run(Scheduler(url, home), airflow, sandbox, orders)
                seconds = time.monotonic() - begin
                orphans = _wait_for_orphans(airflow)
            lines = lines_of(home / "reports")
            reports = len(list((home / "reports").iterdir()))
        received = sandbox.requests
        status_of = {order["id"]: order["status"] for order in sandbox.orders}
    return Observation(
        verdict=judge(stale, status_of, cancelled_at(received), lines),
        requests=len(received),
        faults=Counter(request.fault for request in received if request.fault),
        reports=reports,
        killed=killed,
        orphans=orphans,
        seconds=seconds,
    )


def _add_orders(sandbox: Sandbox, number: int, chance: random.Random) -> frozenset[str]:
    """Add stale orders and others that look like them; return the ids of the stale ones."""
    stale = [
        sandbox.orders.add(age=timedelta(days=chance.uniform(8, 90)), name=f"Episode {n}")["id"]
        for n in range(number)
    ]
    others: tuple[dict[str, Any], ...] = (
        {"age": timedelta(days=6)},
        {"age": timedelta(days=30), "status": "ongoing"},
        {"age": timedelta(days=30), "status": "delivered"},
        {"age": timedelta(days=30), "status": "onHold"},
        {"age": timedelta(days=30), "name": "please keep"},
        {"createdAt": "some time ago"},
    )
    for n in range(number // 10):
        sandbox.orders.add(**others[n % len(others)])
    return frozenset(stale)


def _connection(sandbox: Sandbox) -> str:
    fields = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
    return json.dumps({**fields, "extra": {"timeout": 3}})


def _run(scheduler: Scheduler, airflow: Process, sandbox: Sandbox, orders: int) -> int:
    """Run the cleanup to its end, kill workers on the way, and return how many."""
    wait_for(lambda: scheduler.call("GET", "/dags")["total_entries"] == 1)
    run_id = scheduler.trigger(DAG_ID)
    killed = 0
    for share, with_task in KILLS:
        wait_for(lambda at=share * orders: _cancelled(sandbox) >= at, PATIENCE_SECONDS)
        _restart(sandbox)
        killed += _kill_a_worker(airflow, with_task=with_task)
    scheduler.wait_for_run(DAG_ID, run_id, PATIENCE_SECONDS)
    return killed


def _restart(sandbox: Sandbox) -> None:
    """Break every connection, and refuse new ones for a moment."""
    sandbox.stop()
    time.sleep(0.2)
    sandbox.start()


def _cancelled(sandbox: Sandbox) -> int:
    return len(sandbox.orders.where(status="cancelled"))


def _kill_a_worker(airflow: Process, *, with_task: bool) -> int:
    """Kill a worker that has a task, and return how many were killed."""
    worker, tasks = wait_for(lambda: next(_busy_workers(airflow), None))
    for process in [worker, *tasks] if with_task else [worker]:
        process.kill()
    return 1


def _busy_workers(airflow: Process) -> Iterator[tuple[psutil.Process, list[psutil.Process]]]:
    for process in processes_of(airflow):
        with suppress(psutil.NoSuchProcess):
            tasks = process.children()
            if tasks and _title(process).startswith(WORKER_TITLE):
                yield process, tasks


def _wait_for_orphans(airflow: Process) -> int:
    """Return how many task processes are left, once there was time to end."""
    give_up_at = time.monotonic() + ORPHAN_SECONDS
    while (left := sum(map(_is_task, processes_of(airflow)))) and time.monotonic() < give_up_at:
        time.sleep(0.5)
    return left


def _is_task(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        title = _title(process)
        return title.startswith(TASK_TITLE) and not title.startswith(WORKER_TITLE)
    return False


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())
