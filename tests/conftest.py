"""What all tests share: an Airflow home of their own, and a sandbox without waiting."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest

# Airflow reads these when it is first imported, so they stand before everything else.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-provider-ollang-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    AIRFLOW_VAR_OLLANG_REPORTS=f"{AIRFLOW_HOME}/reports",
)

pytest_plugins = ["airflow_provider_ollang.sandbox.fixture"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first: at the end, one of them would keep one core busy and the other idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
