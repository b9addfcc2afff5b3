"""A context as operators see one, templates rendered by Airflow, and Airflow's own commands."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.sandbox import Sandbox

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: Long enough for a slow machine; a command that hangs fails its test instead of the whole run.
COMMAND_SECONDS = 180


@dataclass
class TaskInstance:
    """The part of a task instance that operators use: what they push can be looked at."""

    map_index: int = -1
    try_number: int = 1
    dag_id: str = "dag"
    task_id: str = "task"
    xcoms: dict[str, Any] = field(default_factory=dict)
    #: What each of the tasks before this one has pushed, by their ids.
    upstream: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: The states of the run's tasks.
    states: dict[str, str] = field(default_factory=dict)
    run_id: str = "manual__2026"

    def get_task_states(
        self, *, dag_id: str, task_ids: list[str] | None, run_ids: list[str]
    ) -> dict[str, dict[str, str]]:
        found = {it: state for it, state in self.states.items() if it in (task_ids or self.states)}
        return {self.run_id: found}

    def xcom_push(self, key: str, value: Any) -> None:
        # As Airflow does: what is no JSON cannot be pushed.
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: list[str], key: str) -> list[Any]:
        return [self.upstream[task_id].get(key) for task_id in task_ids if task_id in self.upstream]


class State(dict[str, Any]):
    """What the tries of one task share: the part of Airflow 3.3's store that operators use."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self[key] = json.loads(json.dumps(value))
        self.retention = retention

    def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass
class Run:
    """One run of the DAG that an operator is in.

    :param time: the run's own time
    :param params: what templates find under ``params``
    :param conf: what the run was triggered with
    :param state: what the task's tries share, where Airflow keeps it
    :param clear_number: how often it was cleared
    :param catchup: whether its DAG runs for the past, too
    :param task: the task, as soon as it is executed
    """

    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    params: dict[str, Any] = field(default_factory=dict)
    conf: Any = None
    run_id: str = "manual__2026"
    state: State | None = None
    clear_number: int = 0
    run_type: str = "manual"
    catchup: bool = False
    task: Any = None
    ti: TaskInstance = field(default_factory=TaskInstance)

    @property
    def context(self) -> dict[str, Any]:
        names = ("conf", "run_id", "clear_number", "run_type")
        fields = {name: getattr(self, name) for name in names}
        return {
            "dag_run": SimpleNamespace(run_after=self.time, **fields),
            "task": self.task,
            "ti": self.ti,
            "dag": SimpleNamespace(
                params=self.params,
                catchup=self.catchup,
                tasks=[self.task],
                task_dict=self.task.dag.task_dict if self.task and self.task.has_dag() else {},
            ),
            # Airflow adds what the conf has beside them.
            "params": (self.conf if isinstance(self.conf, dict) else {}) | self.params,
            "run_id": self.run_id,
            **({} if self.state is None else {"task_state_store": self.state}),
        }

    def execute(self, operator: Any) -> Any:
        """Render the operator's templates as Airflow does, and execute it."""
        self.task = operator
        operator.render_template_fields(self.context)
        return operator.execute(self.context)

    @property
    def xcoms(self) -> dict[str, Any]:
        return self.ti.xcoms


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with no_waiting():
        yield


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def make_run() -> type[Run]:
    return Run


@pytest.fixture
def make_ti() -> type[TaskInstance]:
    return TaskInstance


@pytest.fixture
def sandbox(ollang_sandbox: Sandbox) -> Sandbox:
    """Return a sandbox without orders, to which ``ollang_default`` leads."""
    ollang_sandbox.orders.clear()
    return ollang_sandbox


@pytest.fixture
def add_orders(sandbox: Sandbox) -> Callable[..., list[str]]:
    """Return a function that adds orders of these ages in days, and returns their ids."""

    def add(*days: float, **fields: Any) -> list[str]:
        return [sandbox.orders.add(age=timedelta(days=age), **fields)["id"] for age in days]

    return add


@pytest.fixture
def logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """Return a function that returns what was logged so far.

    Airflow 2 hands an operator's messages to ``logging``; Airflow 3 prints them, outside a task.
    """
    with caplog.at_level(logging.INFO):
        yield lambda: caplog.text + "".join(capfd.readouterr())


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python with these arguments, in the tests' Airflow home."""

    def run_python(
        *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            env={**os.environ, **(env or {})},
            cwd=os.environ["AIRFLOW_HOME"],
            check=False,
        )

    return run_python


@pytest.fixture(scope="session")
def airflow(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the ``airflow`` command, once its database is there."""
    migrated = command("-m", "airflow", "db", "migrate")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr

    def run_airflow(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return command("-m", "airflow", *arguments, **options)

    return run_airflow


@pytest.fixture(scope="session")
def example_dags() -> str:
    """Return the folder of the example DAGs."""
    return os.path.join(PROJECT, "example_dags")
