import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from airflow_provider_ollang import sandbox as package
from airflow_provider_ollang.sandbox import Sandbox

from .conftest import Client

pytest_plugins = ["airflow_provider_ollang.sandbox.fixture"]


def test_a_stopped_sandbox_can_be_started_again_at_its_address():
    sandbox = Sandbox()
    order_id, urls = sandbox.orders.add()["id"], set()
    for status in (204, 409):
        with sandbox:
            assert Client(sandbox).cancel(order_id).status_code == status
            urls.add(sandbox.url)
    assert len(urls) == 1


def test_only_a_running_sandbox_has_an_address_and_it_cannot_be_started_twice():
    with Sandbox() as sandbox:
        url = sandbox.url
        with pytest.raises(RuntimeError, match="running already"):
            sandbox.start()

    with pytest.raises(RuntimeError, match="not running"):
        _ = Sandbox().url
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{url}/health", timeout=10)
    sandbox.stop()


def test_an_order_is_cancelled_by_just_one_of_many_clients(sandbox):
    order_id = sandbox.orders.add()["id"]
    with ThreadPoolExecutor(8) as pool:
        responses = pool.map(lambda _: Client(sandbox).cancel(order_id), range(8))
    assert sorted(it.status_code for it in responses) == [204] + [409] * 7


def test_the_public_names_are_there():
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = package.NoSuchName


def test_the_fixtures_connection_leads_to_a_sandbox_of_the_tests_own(ollang_sandbox):
    connection = json.loads(os.environ["AIRFLOW_CONN_OLLANG_DEFAULT"])
    assert connection == {
        "conn_type": "ollang",
        "host": ollang_sandbox.url,
        "password": ollang_sandbox.api_key,
    }
    assert len(ollang_sandbox.orders) == 240
