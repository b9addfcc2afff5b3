"""A sandbox as a pytest fixture.

Put ``pytest_plugins = ["airflow_provider_ollang.sandbox.fixture"]`` into a ``conftest.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_ollang.sandbox import Sandbox


@pytest.fixture
def ollang_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Run a sandbox of the test's own, to which the connection ``ollang_default`` leads."""
    with Sandbox() as sandbox:
        connection = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", json.dumps(connection))
        yield sandbox
