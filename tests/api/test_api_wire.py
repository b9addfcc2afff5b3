"""What real servers put on the wire that the documentation of the API does not mention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy

from .conftest import ONCE, SOME_ID, RawServer, error_of_cancel

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
NOT_FOUND = b'HTTP/1.1 404 Not Found\r\nContent-Length: 27\r\n\r\n{"code": "ORDER_NOT_FOUND"}'
PAGE = b'{"data": [], "meta": {"page": 1, "hasNextPage": false}}'
OK_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)


def client_of(server: RawServer, **options: Any) -> OllangClient:
    """Return a client that fails within seconds where it waits for what never follows."""
    settings = {"timeout": 2, "retry_policy": ONCE, **options}
    return server.client(**settings)


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    with no_waiting():
        yield


# A 204 has no body.


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"Content-Length: 5\r\n", b""),
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Content-Length: 0, 1\r\n", b""),
        (b"Content-Length: 0\r\nContent-Length: 5\r\n", b"hello"),
        (b"Content-Encoding: gzip\r\nContent-Length: 20\r\n", b""),
    ],
)
def test_a_204_that_announces_a_body_is_a_success_and_ends_its_connection(headers, body):
    with (
        RawServer(NO_CONTENT + headers + b"\r\n" + body, NOT_FOUND) as server,
        client_of(server) as client,
    ):
        assert client.cancel_order("o-1").attempts == 1
        assert type(error_of_cancel(client, "o-2")) is errors.OrderNotFoundError
    assert server.connections == 2  # what might still follow belongs to nobody


# Interim responses stand before the response.

INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 199 X\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("first", [*INTERIM, b"".join(INTERIM)])
def test_interim_responses_are_read_past(first):
    with (
        RawServer(first + NO_CONTENT + b"\r\n", first + NOT_FOUND, first + OK_PAGE) as server,
        client_of(server) as client,
    ):
        assert client.cancel_order("o-1").attempts == 1
        assert type(error_of_cancel(client, "o-2")) is errors.OrderNotFoundError
        assert list(client.iter_orders()) == []
    assert server.connections == 1


# Passing trouble, as gateways and networks in front of an API report it.


def test_a_retry_after_that_is_sent_twice_is_one():
    """As a gateway sends it that adds its own header to the one of the API."""
    head = b"HTTP/1.1 429 X\r\nRetry-After: 3600\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
    with RawServer(head) as server, client_of(server, retry_policy=RetryPolicy()) as client:
        error = error_of_cancel(client)
    assert (error.attempts, error.retry_after) == (1, 3600)


# Charsets.

NAME = "Café テスト"


def response(status: int, content_type: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, content_type, len(body)) + body


def order_in(charset: str, name: str) -> bytes:
    return json.dumps({"id": SOME_ID, "name": name}, ensure_ascii=False).encode(charset)


@pytest.mark.parametrize(
    ("content_type", "charset", "name"),
    [
        ("application/json", "utf-8", NAME),
        ("", "utf-8-sig", NAME),
        ("application/json", "utf-16", NAME),
        ("application/json; charset=UTF-16LE", "utf-16-le", NAME),
        ('application/json; Charset = "Shift_JIS"; q=1', "shift_jis", "テスト"),
        ("application/json;charset=iso-8859-1", "iso-8859-1", "Café"),
        ("text/plain; charset=iso-2022-jp", "iso-2022-jp", "テスト"),
        ("application/json; charset=iso-8859-1", "utf-8", NAME),  # declared wrong, as many do
        ("application/json; charset=nonsense", "utf-8", NAME),
    ],
)
def test_a_body_is_read_in_its_charset(content_type, charset, name):
    not_found = json.dumps({"code": "ORDER_NOT_FOUND", "message": name}, ensure_ascii=False)
    with (
        RawServer(
            response(200, content_type.encode(), order_in(charset, name)),
            response(404, content_type.encode(), not_found.encode(charset)),
        ) as server,
        client_of(server) as client,
    ):
        assert client.get_order(SOME_ID).name == name
        error = error_of_cancel(client)
    assert (type(error), error.message) == (errors.OrderNotFoundError, name)


@pytest.mark.parametrize(
    "content_type", ["application/json", "a/b; charset=nonsense", "a/b; charset=zlib"]
)
def test_a_body_in_an_unknown_charset_is_an_error_that_names_it(content_type):
    body = order_in("iso-8859-1", "Café")
    with (
        RawServer(response(200, content_type.encode(), body)) as server,
        client_of(server) as client,
        pytest.raises(errors.UnreadableResponseError) as caught,
    ):
        client.get_order(SOME_ID)
    assert f"({content_type})" in str(caught.value)


@pytest.mark.slow("reads 5 MB of JSON")
def test_an_order_with_an_evaluation_of_each_segment_is_read():
    segment = {"start": 1.5, "text": '"Ja"', "issues": [{"type": "grammar"}]}
    order = {"id": SOME_ID, "latestEvaluation": {"segments": [segment] * 80_000}}
    body = json.dumps(order).encode()
    assert len(body) > 5_000_000
    with (
        RawServer(response(200, b"application/json", body)) as server,
        client_of(server, timeout=30) as client,
    ):
        assert client.get_order(SOME_ID).other["latestEvaluation"] == order["latestEvaluation"]
