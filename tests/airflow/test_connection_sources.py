"""A connection from each place that Airflow reads them from, and the hook that uses it."""

from __future__ import annotations

import json
import traceback
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import CancelOrderOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.api.conftest import RawServer

VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"


def address(sandbox: Sandbox) -> tuple[str, int]:
    host, _, port = sandbox.url.removeprefix("http://").partition(":")
    return host, int(port)


def uri(sandbox: Sandbox, key: str | None = None, **extras: Any) -> str:
    whole_url = f"ollang://:{key or sandbox.api_key}@{quote(sandbox.url, safe='')}"
    return f"{whole_url}/?{urlencode(extras)}" if extras else whole_url


def uri_of_parts(sandbox: Sandbox) -> str:
    host, port = address(sandbox)
    return f"ollang://:{sandbox.api_key}@{host}:{port}/http"


def as_json(sandbox: Sandbox, **fields: Any) -> str:
    known = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
    return json.dumps(known | fields)


def json_of_parts(sandbox: Sandbox) -> str:
    host, port = address(sandbox)
    return as_json(sandbox, host=host, port=port, schema="http")


EXTRAS = {"timeout": 5, "max_attempts": 2, "verify": False}
EMPTY_FORM = {"port": 0, "schema": "", "login": "", "extra": json.dumps(dict.fromkeys(EXTRAS))}


@pytest.mark.parametrize(
    "written",
    [
        uri,
        uri_of_parts,
        lambda sandbox: uri(sandbox, **EXTRAS),
        lambda sandbox: uri(sandbox).replace("ollang:", "OLLANG:"),
        json_of_parts,
        lambda sandbox: as_json(sandbox, extra=EXTRAS),
        lambda sandbox: as_json(sandbox, **EMPTY_FORM),
    ],
)
def test_a_connection_in_the_environment_works(sandbox, monkeypatch, written):
    monkeypatch.setenv(VARIABLE, written(sandbox))
    with OllangHook().get_conn() as client:
        assert client.list_orders().orders == ()
        assert client.base_url == sandbox.url
    assert [request.key_accepted for request in sandbox.requests] == [True]


def test_a_connection_of_another_id_is_used_where_it_is_named(sandbox, monkeypatch):
    monkeypatch.setenv(VARIABLE, "ollang://:wrong@ollang.example")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", uri(sandbox))
    assert OllangHook("other").get_conn().base_url == sandbox.url


def test_a_good_key_passes_the_test_with_one_read(ollang_sandbox):
    worked, message = OllangHook().test_connection()
    assert worked is True
    assert "240" in message
    [request] = ollang_sandbox.requests
    assert request.method == "GET"
    assert request.query["pageOptions[take]"] == "1"
    assert ollang_sandbox.api_key not in message


def test_a_bad_key_fails_the_test_with_one_read(sandbox, monkeypatch):
    monkeypatch.setenv(VARIABLE, uri(sandbox, "another-key"))
    worked, message = OllangHook().test_connection()
    assert worked is False
    assert "401" in message
    assert "Copy the API key again" in message
    assert "another-key" not in message
    assert [request.method for request in sandbox.requests] == ["GET"]


PAGE = Stub(200, {"content-type": "text/html"}, b"<h1>Welcome</h1>")


@pytest.mark.parametrize("trouble", [*map(Stub, (429, 503)), Stub(fault="reset-before"), PAGE])
def test_an_api_in_trouble_fails_the_test_with_one_read(sandbox, trouble):
    sandbox.respond_always(trouble)
    worked, message = OllangHook().test_connection()
    assert worked is False
    assert "Welcome" in message if trouble is PAGE else message
    assert [request.method for request in sandbox.requests] == ["GET"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ollang://:some-key@?timeout=many", "connection 'ollang_default', extra timeout: "),
        ("ollang://ollang.example", "API key is missing"),
    ],
)
def test_a_connection_that_cannot_be_used_fails_the_test_and_does_not_crash(
    monkeypatch, written, said
):
    monkeypatch.setenv(VARIABLE, written)
    worked, message = OllangHook().test_connection()
    assert worked is False
    assert said in message


# A key that is not encoded.


@pytest.mark.parametrize(
    "written",
    [
        *("ollang://:se/cr3t@ollang.example/", "ollang://:se/cr3t@", "ollang://:se#cr3t@a.example"),
        *("ollang://:se?cr3t@ollang.example", "ollang://:se[cr3t@ollang.example", ""),
        "ollang://:se/cr3t@https%3A%2F%2Follang.example?timeout=5",
        '{"conn_type": "ollang", "password": "se/cr3t"',
        '{"conn_type": "ollang", "pasword": "se/cr3t"}',
    ],
)
def test_a_variable_that_cannot_be_parsed_is_named_and_not_shown(monkeypatch, caplog, run, written):
    monkeypatch.setenv(VARIABLE, written)
    with pytest.raises(AirflowFailException, match=f"^{VARIABLE} is set, but") as caught:
        run.execute(CancelOrderOperator(task_id="cancel", order_id="o-1"))
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "quote(key, safe='')" in str(caught.value)
    assert "cr3t" not in shown


@pytest.mark.parametrize(
    "written",
    [
        "ollang://:12/cr3t@ollang.example",  # the port and the schema
        "ollang://:/cr3t@ollang.example",  # the schema
        "ollang://cr3t@ollang.example",  # the login
        "ollang:cr3t@ollang.example",
        "cr3t",
    ],
)
def test_a_key_that_a_uri_puts_elsewhere_is_missed_and_not_shown(monkeypatch, written):
    monkeypatch.setenv(VARIABLE, written)
    with pytest.raises(InvalidInputError, match=r"quote\(key, safe=''\)") as caught:
        OllangHook().get_conn()
    assert "cr3t" not in str(caught.value)


@pytest.mark.parametrize("key", ["k@ey", "k%zzey", "k:ey", "k%2Fey", "k+=&ey"])
def test_a_key_that_a_uri_takes_is_the_key(monkeypatch, key):
    with RawServer(b"HTTP/1.1 204 X\r\n\r\n") as server:
        monkeypatch.setenv(VARIABLE, f"ollang://:{key}@http%3A%2F%2F127.0.0.1:{server.port}")
        with OllangHook().get_conn() as client:
            client.cancel_order("o-1")
    assert f"X-Api-Key: {unquote(key)}\r\n".encode() in server.requests[0]
