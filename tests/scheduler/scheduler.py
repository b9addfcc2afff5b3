"""A running Airflow, as tests speak to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import requests

from demo.airflow_version import API, IS_AIRFLOW_2, NEW_RUN, SET_STATE, XCOM_VALUE, headers

PATIENCE_SECONDS = 180

Found = TypeVar("Found")


@dataclass
class Scheduler:
    """A running Airflow, spoken to through its REST API."""

    url: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: Any = None

    @cached_property
    def headers(self) -> dict[str, str]:
        return headers(self.url)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self.url}{API}{path}"
        return requests.request(method, url, headers=self.headers, timeout=60, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        response = self._successful(method, path, **options)
        return response.json() if response.content else None

    def _successful(self, method: str, path: str, **options: Any) -> requests.Response:
        for _ in range(10):
            response = self.send(method, path, **options)
            if response.status_code != 500:  # SQLite lets only one process write at a time
                break
            time.sleep(0.5)
        assert response.ok, response.text
        return response

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        body = {**NEW_RUN, "conf": conf or {}}
        run_id: str = self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        found = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {ti["task_id"]: ti["state"] for ti in found["task_instances"]}

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Press "Mark as" on a task."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.call("PATCH", path, json={"new_state": state, **SET_STATE})

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a run; in Airflow 2, clearTaskInstances leaves running ones alone."""
        self.call("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False})

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Return the state in which a run ends."""

        def ended() -> str | None:
            state: str = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in ("success", "failed") else None

        return wait_for(ended, seconds)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params=XCOM_VALUE)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return what one try of a task logged, as the API gives it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        response = self._successful("GET", path)
        return response.text if IS_AIRFLOW_2 else str(response.json()["content"])


def wait_for(
    look: Callable[[], Found | None], seconds: float = PATIENCE_SECONDS, interval: float = 0.1
) -> Found:
    """Return what a look finds, once it finds something."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(interval)
    raise AssertionError(f"nothing was returned by {look.__qualname__} in {seconds:g} s")
