"""Airflow in its parts, as on several machines: two Celery workers, and what schedules for them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import run_airflow
from demo.airflow_version import settings
from tests.chaos.experiment import DAGS
from tests.distributed import servers, workers
from tests.distributed.processes import Processes
from tests.scheduler.scheduler import Scheduler, wait_for

ROOT = Path(__file__).parents[2]
WORKERS = ("worker-a", "worker-b")
#: Tasks that one worker takes at a time: together more than the pool allows.
TASKS_A_WORKER = 2
POOL, SLOTS = "ollang", 2
START_SECONDS = 180

PARTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}

SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{workers.__name__}.{workers.hostname.__name__}",
    "AIRFLOW__API__WORKERS": "1",
    # A worker takes no task that it cannot begin at once: the other one may be free.
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    # A task whose worker died is missed after this many seconds ...
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # ... and one that it had taken and not begun after this many.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}


@dataclass
class Cluster:
    """A running Airflow of several parts.

    :param scheduler: speaks to it
    :param processes: its parts, workers among them, by name
    """

    scheduler: Scheduler
    processes: Processes


@contextmanager
def cluster(sandbox: Sandbox, home: Path, chunk_size: int) -> Iterator[Cluster]:
    """Yield a running Airflow whose connection leads to a sandbox; all of it ends at the end."""
    logs = home / "processes"
    logs.mkdir()
    with (
        servers.postgresql(logs) as database,
        servers.redis(logs) as broker,
        Processes(logs) as processes,
    ):
        environment = _environment(sandbox, home, database, broker, chunk_size)
        run_airflow(environment, "db", "migrate")
        run_airflow(environment, "pools", "set", POOL, str(SLOTS), "calls of the Ollang API")
        for name, arguments in PARTS.items():
            processes.start(name, _command(*arguments), environment)
        for name in WORKERS:
            _start_worker(processes, name, environment)
        _wait_until_ready(processes, environment["AIRFLOW__API__BASE_URL"])
        yield Cluster(Scheduler(environment["AIRFLOW__API__BASE_URL"], home), processes)


def _environment(
    sandbox: Sandbox, home: Path, database: str, broker: str, chunk_size: int
) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    connection = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
    return {
        **os.environ,
        **settings(port),
        **SETTINGS,
        # Airflow is to find the function that names a worker.
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        # The parts trust each other by it, as on machines that share no configuration file.
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW_CONN_OLLANG_DEFAULT": json.dumps(connection),
        "CLEANUP_CHUNK_SIZE": str(chunk_size),
        "CLEANUP_POOL": POOL,
    }


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]


def _start_worker(processes: Processes, name: str, environment: Mapping[str, str]) -> None:
    options = ["--celery-hostname", name, "--concurrency", str(TASKS_A_WORKER)]
    command = _command("celery", "worker", "--skip-serve-logs", *options)
    processes.start(name, command, {**environment, workers.NAME: name})


def _wait_until_ready(processes: Processes, url: str) -> None:
    """Wait until every part says that it is there, and the DAG is known."""

    def is_ready() -> bool:
        processes.raise_if_ended()
        with suppress(requests.RequestException):
            health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
            dags = requests.get(f"{url}/api/v2/dags", timeout=5).json()
            parts = ("scheduler", "dag_processor", "triggerer")
            return (
                all(health[part]["status"] == "healthy" for part in parts)
                and dags.get("total_entries") == 1
                and all(f"@{name} ready." in processes.log(name) for name in WORKERS)
            )
        return False

    wait_for(is_ready, START_SECONDS)
