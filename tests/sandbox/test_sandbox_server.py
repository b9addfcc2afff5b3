from __future__ import annotations

import threading
import time

import pytest
import requests

from airflow_provider_ollang import sandbox as package
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import Client


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
    statuses = []

    def cancel():
        statuses.append(Client(sandbox).cancel(order_id).status_code)

    threads = [threading.Thread(target=cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [204] + [409] * 7
    assert len(sandbox.requests) == 8


def test_stopping_does_not_wait_for_a_hanging_client():
    with Sandbox() as sandbox:
        sandbox.respond_always(Stub(fault="timeout-before"))
        failures = []

        def hang():
            try:
                requests.get(f"{sandbox.url}/health", timeout=60)
            except requests.exceptions.ConnectionError as error:
                failures.append(error)

        waiting = threading.Thread(target=hang)
        waiting.start()
        while not sandbox.requests:
            time.sleep(0.01)

    waiting.join(timeout=30)
    assert len(failures) == 1


def test_the_public_names_are_there():
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="StubResponses"):
        _ = package.StubResponses
