from __future__ import annotations

import json
import os

import pytest
import requests

pytest_plugins = ["airflow_provider_ollang.sandbox.fixture", "pytester"]


def test_the_connection_leads_to_the_sandbox(ollang_sandbox):
    connection = json.loads(os.environ["AIRFLOW_CONN_OLLANG_DEFAULT"])

    assert connection["conn_type"] == "ollang"
    response = requests.get(
        f"{connection['host']}/integration/orders",
        headers={"X-Api-Key": connection["password"]},
        timeout=10,
    )
    assert response.json()["meta"]["itemCount"] == len(ollang_sandbox.orders)


def test_each_test_has_a_sandbox_of_its_own(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import os

        pytest_plugins = ["airflow_provider_ollang.sandbox.fixture"]

        def test_one(ollang_sandbox):
            ollang_sandbox.orders.clear()

        def test_another(ollang_sandbox):
            assert len(ollang_sandbox.orders) == 240

        def test_none():
            assert "AIRFLOW_CONN_OLLANG_DEFAULT" not in os.environ
        """
    )

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)
