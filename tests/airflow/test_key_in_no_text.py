"""Whatever happens with whatever key: nothing that anybody reads holds it, raw or escaped.

Airflow masks the keys that it knows in its logs; here nothing does.
"""

from __future__ import annotations

import html
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.cleanup.batch import Batch
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.api.conftest import PartsServer

KEYS = [
    "q7Zk",
    r"""%/'"\@:#?&=+$`{{k3y}}""",
    "".join(f"{number:03}k" for number in range(50)),
]
VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"
ORDER = "/integration/orders/{}"


@pytest.fixture(params=KEYS, scope="module", ids=lambda key: f"{key:.12}")
def strict(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Give a sandbox that takes one of the keys."""
    with Sandbox(order_count=0, api_key=request.param) as sandbox:
        yield sandbox


@pytest.fixture
def home(strict: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return that sandbox, empty, with ``ollang_default`` leading there by a URI."""
    strict.reset()
    connect(monkeypatch, strict.url, strict.api_key)
    return strict


def connect(monkeypatch: pytest.MonkeyPatch, url: str, key: str) -> None:
    address = quote(url, safe="")
    uri = f"ollang://:{quote(key, safe='')}@{address}/?max_attempts=2&timeout=0.2"
    monkeypatch.setenv(VARIABLE, uri)


def ways_to_write(key: str) -> set[str]:
    """Return the key as it is, and as links, pages and JSON escape it."""
    ways: list[Callable[[str], str]] = [
        str,
        html.escape,
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(text)[1:-1],
    ]
    return {way(key) for way in ways}


def assert_silent(text: str | bytes, key: str) -> None:
    text = text.decode() if isinstance(text, bytes) else text
    shown = sorted(way for way in ways_to_write(key) if way in text)
    assert not shown, text


def assert_keeps(error: BaseException, key: str) -> None:
    """Check all that can be read of an error: text, fields, traceback, pickle."""
    assert_silent(f"{error} {error!r} {vars(error)}", key)
    assert_silent("".join(traceback.format_exception(error)), key)
    assert_silent(pickle.dumps(error, protocol=0).decode("latin-1"), key)


def page(key: str) -> bytes:
    return (
        f"<p title='{html.escape(key)}'>{key} {quote(key, safe='')} {json.dumps(key)}</p>".encode()
    )


def echo(status: int, key: str, code: str | None = None) -> Stub:
    """Return a response of the documented form that tells the key in each of its fields."""
    body = {"message": [f"no {key}", {key: key}], "error": key, "code": code, key: key}
    return Stub.json(status, body, {"X-Key": key, "Set-Cookie": f"k={quote(key)}"})


#: By the error's class: what provokes it.
RESPONSES: dict[str, Callable[[str], Stub]] = {
    "BadRequestError": lambda key: echo(400, key),
    "UnauthorizedError": lambda key: echo(401, key, "UNAUTHORIZED"),
    "OrderAlreadyCancelledError": lambda key: echo(409, key, "ORDER_ALREADY_CANCELLED"),
    "ApiError": lambda key: echo(422, key, key),
    "RateLimitedError": lambda key: Stub.json(429, {"message": key}, {"Retry-After": "900"}),
    "ServerError": lambda key: Stub(502, {"Content-Type": f"text/html;{key}"}, page(key)),
    "UnexpectedResponseError": lambda key: Stub(403, {"Content-Type": key}, page(key)),
    "UnexpectedResponseError, JSON": lambda key: Stub.json(200, {key: [key, json.dumps(key)]}),
    "UnexpectedResponseError, redirect": lambda key: Stub(
        303, {"Location": f"http://elsewhere.invalid/?k={quote(key, safe='')}"}
    ),
    "ConnectionFailedError": lambda key: Stub(fault="reset-after"),
    "ConnectionFailedError, cut off": lambda key: Stub(
        200, {"Content-Length": "999"}, key.encode()
    ),
    "TimedOutError": lambda key: Stub(fault="timeout-before"),
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_no_response_brings_the_key_into_an_error_or_a_log(home, caplog, kind):
    caplog.set_level(logging.DEBUG)
    home.respond_always(RESPONSES[kind](home.api_key))
    with OllangHook().get_conn() as client, pytest.raises(errors.OllangError) as caught:
        client.cancel_order("abc")

    assert type(caught.value).__name__ == kind.partition(",")[0]
    assert_keeps(caught.value, home.api_key)
    assert_silent(caplog.text, home.api_key)


NO_HTTP = [
    "{} is no status line\r\n\r\n",
    "HTTP/1.1 {} OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Echo: {}\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("response", NO_HTTP)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key:.12}")
def test_what_is_not_http_brings_the_key_into_no_cause(response, key):
    once = RetryPolicy(max_attempts=1)
    with PartsServer() as server:
        server.parts = lambda: [response.format(key).encode()]
        client = OllangClient(key, base_url=f"http://127.0.0.1:{server.port}", retry_policy=once)
        with client, pytest.raises(errors.OllangError) as caught:
            client.cancel_order("abc")
    assert_keeps(caught.value, key)


def cancel(**options: Any) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id="echo", **options)


def batch(path: Path, **options: Any) -> BatchCancelOrdersOperator:
    ids, report = ["a", "echo", "state"], f"{path}/report.jsonl"
    return BatchCancelOrdersOperator(task_id="b", order_ids=ids, report_path=report, **options)


def find(**options: Any) -> FindStaleOrdersOperator:
    return FindStaleOrdersOperator(task_id="find", older_than="P7D", **options)


OPERATORS: dict[str, Callable[[Path], Any]] = {
    "cancel": lambda path: cancel(),
    "cancel after a read": lambda path: cancel(require_status=["ongoing"]),
    "find": lambda path: find(name_matches=".", max_share=1),
    "tripped find": lambda path: find(max_orders=0),
    "batch": lambda path: batch(path),
    "preview": lambda path: batch(path, preview=True),
    "batch after a read": lambda path: batch(path, require_status=["pending"]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_operator_logs_pushes_reports_or_holds_the_key_in_sight(
    home, run, logged, caplog, tmp_path, name
):
    caplog.set_level(logging.DEBUG)
    key, old = home.api_key, {"age": timedelta(days=9)}
    home.orders.add(id="a", name=f"by {key}", type=key, projectId=key, clientId=key, **old)
    home.orders.add(id="state", name="plain", status=key, **old)
    home.orders.add(id="undated", name=key, createdAt=key)
    home.orders.add(id="echo", name="plain", type=key, status="pending", **old)
    home.respond_always(echo(400, key, "ORDER_NOT_CANCELLABLE"), path=ORDER.format("cancel/echo"))
    operator = OPERATORS[name](tmp_path)
    try:
        result = run.execute(operator)
    except AirflowException as error:
        result = str(error)
        assert_keeps(error, key)

    assert home.requests
    assert_silent(logged(), key)
    assert_silent(json.dumps([result, run.xcoms]), key)
    assert_silent(f"{operator!r} {operator} {vars(operator)}", key)
    for report in tmp_path.iterdir():
        assert_silent(report.read_bytes(), key)


def test_no_public_object_shows_the_key(home):
    key, hook = home.api_key, OllangHook()
    [order_id, named] = [home.orders.add(name=name)["id"] for name in ("plain", key)]
    with hook.get_conn() as client:
        objects = [hook, client, client.rate_limiter, client.retry_policy, client.get_order(named)]
        objects += [client.list_orders(), client._session()]
        objects += [client._session().auth, Batch(client, [order_id]), Batch(client, []).run()]
        objects += [client.cancel_order(order_id)]
    for shown in objects:
        fields = getattr(shown, "__dict__", None)
        slots = [getattr(shown, name) for name in getattr(type(shown), "__slots__", ())]
        assert_silent(f"{shown} {shown!r} {fields} {slots}", key)


def test_the_search_finds_a_key_that_is_there():
    for key in KEYS:
        for text in (key, json.dumps({key: 1}), page(key).decode(), quote(key, safe="")):
            with pytest.raises(AssertionError):
                assert_silent(text, key)
