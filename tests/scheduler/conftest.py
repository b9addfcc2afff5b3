"""A real Airflow with its scheduler, and a sandbox, for all tests of this folder together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import EXAMPLE_DAGS, airflow_home
from demo.airflow_version import IS_BEFORE_3_1, settings
from demo.standalone import standalone
from tests.scheduler.scheduler import Scheduler, wait_for
from tests.scheduler.statsd import Statsd

#: Another triggerer takes over soon from one that does not respond.
TRIGGERER = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
}


def _copy_dags(target: Path) -> int:
    """Copy the DAG files whose runs the tests trigger; return how many DAGs they define."""
    shutil.copytree(Path(__file__).parent / "dags", target, dirs_exist_ok=True)
    if IS_BEFORE_3_1:  # the others need approvals
        return 10
    example = (EXAMPLE_DAGS / "example_ollang_cleanup_with_approval.py").read_text()
    (target / "approval.py").write_text(_replace(example, 'schedule="@weekly"', "schedule=None"))
    impatient = _replace(example, 'schedule="@weekly"', "schedule=None")
    impatient = _replace(impatient, "timedelta(hours=12)", "timedelta(seconds=3)")
    impatient = _replace(impatient, 'dag_id="example_ollang', 'dag_id="impatient')
    (target / "impatient.py").write_text(impatient)
    # The default of its param can change during a run, as it does where somebody edits the file.
    fickle = _replace(example, 'schedule="@weekly"', "schedule=None")
    fickle = _replace(
        fickle, "import logging\n", "import logging\nfrom airflow.sdk import Variable\n"
    )
    fickle = _replace(fickle, "True,\n", "Variable.get('preview', 'True') == 'True',\n")
    (target / "fickle.py").write_text(_replace(fickle, 'dag_id="example_ollang', 'dag_id="fickle'))
    return 13


def _replace(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(latency_ms=50) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def statsd() -> Statsd:
    return Statsd()


@pytest.fixture(scope="session")
def scheduler(
    sandbox: Sandbox, statsd: Statsd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scheduler]:
    dags = tmp_path_factory.mktemp("dags")
    number = _copy_dags(dags)
    with (
        airflow_home(sandbox, dags) as environment,
        standalone({**environment, **statsd.settings, **TRIGGERER}) as (url, airflow),
    ):
        environment |= {**TRIGGERER, **settings(urlsplit(url).port or 0)}
        scheduler = Scheduler(url, Path(environment["AIRFLOW_HOME"]), environment, airflow)
        wait_for(lambda: scheduler.call("GET", "/dags")["total_entries"] == number)
        yield scheduler
