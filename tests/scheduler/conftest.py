"""A real Airflow with its scheduler, and a sandbox, for all tests of this folder together."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import EXAMPLE_DAGS, airflow_home
from demo.standalone import standalone

PATIENCE_SECONDS = 180

Found = TypeVar("Found")


@dataclass
class Scheduler:
    """A running Airflow, spoken to through its REST API."""

    url: str
    home: Path

    def call(self, method: str, path: str, **options: Any) -> Any:
        for _ in range(10):
            response = requests.request(method, f"{self.url}/api/v2{path}", timeout=30, **options)
            if response.status_code != 500:  # SQLite lets only one process write at a time
                break
            time.sleep(0.5)
        assert response.ok, response.text
        return response.json() if response.content else None

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": conf or {}}
        run_id: str = self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        found = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {ti["task_id"]: ti["state"] for ti in found["task_instances"]}

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """Return the state in which a run ends."""

        def ended() -> str | None:
            state: str = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in ("success", "failed") else None

        return wait_for(ended)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"deserialize": "true"})["value"]


def wait_for(look: Callable[[], Found | None]) -> Found:
    """Return what a look finds, once it finds something."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing came of {look.__qualname__} in {PATIENCE_SECONDS} s")


def _copy_dags(target: Path) -> int:
    """Copy the DAG files whose runs the tests trigger; return how many DAGs they define."""
    shutil.copytree(Path(__file__).parent / "dags", target, dirs_exist_ok=True)
    example = (EXAMPLE_DAGS / "example_ollang_cleanup_with_approval.py").read_text()
    (target / "approval.py").write_text(_replace(example, 'schedule="@weekly"', "schedule=None"))
    impatient = _replace(example, 'schedule="@weekly"', "schedule=None")
    impatient = _replace(impatient, "timedelta(hours=12)", "timedelta(seconds=3)")
    impatient = _replace(impatient, 'dag_id="example_ollang', 'dag_id="impatient')
    (target / "impatient.py").write_text(impatient)
    return 4


def _replace(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(latency_ms=50) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def scheduler(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    dags = tmp_path_factory.mktemp("dags")
    number = _copy_dags(dags)
    with airflow_home(sandbox, dags) as environment, standalone(environment) as (url, _):
        scheduler = Scheduler(url, Path(environment["AIRFLOW_HOME"]))
        wait_for(lambda: scheduler.call("GET", "/dags")["total_entries"] == number)
        yield scheduler
