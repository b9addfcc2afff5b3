import json
import os

import requests

pytest_plugins = ["airflow_provider_ollang.sandbox.fixture"]


def test_the_connection_leads_to_a_sandbox_of_the_tests_own(ollang_sandbox):
    connection = json.loads(os.environ["AIRFLOW_CONN_OLLANG_DEFAULT"])
    assert connection["conn_type"] == "ollang"
    response = requests.get(
        f"{connection['host']}/integration/orders",
        headers={"X-Api-Key": connection["password"]},
        timeout=10,
    )
    assert response.json()["meta"]["itemCount"] == len(ollang_sandbox.orders) == 240


def test_no_connection_is_left_behind():
    assert "AIRFLOW_CONN_OLLANG_DEFAULT" not in os.environ
