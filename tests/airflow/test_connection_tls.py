"""The connection's extra ``verify``, against a server with a private CA's certificate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from airflow.providers.common.compat.sdk import AirflowException
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import (
    CancelOrderOperator,
)
from airflow_provider_ollang.sandbox import Sandbox

from ..relays import TlsRelay

VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"
WHAT_TO_DO = "set verify (a connection extra) to the path of its CA bundle"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "bundle.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def server(sandbox: Sandbox, authority: trustme.CA) -> Iterator[TlsRelay]:
    """Give the sandbox behind TLS."""
    with TlsRelay(sandbox.url, authority.issue_cert("127.0.0.1")) as relay:
        yield relay


@pytest.fixture
def connect(
    server: TlsRelay, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return a function that leads ``ollang_default`` to the server, with these extras."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)

    def lead(**extra: Any) -> None:
        url = f"https://127.0.0.1:{server.port}"
        fields = {"conn_type": "ollang", "host": url, "password": sandbox.api_key}
        monkeypatch.setenv(VARIABLE, json.dumps({**fields, "extra": extra}))

    return lead


def cancel(order_id: str) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id=order_id)


def test_a_cancel_works_through_the_bundle_of_the_connection(
    connect, sandbox, server, add_orders, run, bundle
):
    connect(verify=bundle)
    [order] = add_orders(3)
    assert run.execute(cancel(order)) == order
    assert sandbox.orders.get(order)["status"] == "cancelled"
    assert server.connections == 1


def test_without_a_bundle_task_and_test_button_fail_at_once_and_say_what_to_do(
    connect, sandbox, server, run
):
    connect()
    with pytest.raises(AirflowException, match="certificate verify failed") as caught:
        run.execute(cancel("o-1"))
    worked, message = OllangHook().test_connection()
    assert not worked
    assert WHAT_TO_DO in str(caught.value)
    assert WHAT_TO_DO in message
    assert (server.connections, sandbox.requests) == (2, [])


@pytest.mark.parametrize("value", [False, "false"])
def test_verify_false_of_the_connection_trusts_any_certificate_and_warns(
    connect, add_orders, run, value
):
    connect(verify=value)
    [order] = add_orders(3)
    with pytest.warns(InsecureRequestWarning):
        assert run.execute(cancel(order)) == order
