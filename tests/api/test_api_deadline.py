"""A response that is received too slowly, wherever in it the server is slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import pytest
import trustme

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient

from ..relays import TlsRelay
from .conftest import ONCE, PartsServer, error_of_cancel

TIMEOUT, EVERY_SECONDS = 0.5, 0.05
#: Ten times the timeout: then the server goes away, so that a client that waits is found out.
PARTS = 100


def slowly(start: bytes, part: bytes = b" ") -> Callable[[], Iterator[bytes]]:
    return lambda: dripping([start, *[part] * PARTS])


def dripping(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield part
        time.sleep(EVERY_SECONDS)


OK = b"HTTP/1.1 200 OK\r\n"
BODY = slowly(OK + b"Content-Length: 99999\r\n\r\n")
SLOW = {
    "status": slowly(b"H"),
    "headers": slowly(OK, b"X-Slow: 1\r\n"),
    "body": BODY,
    "chunks": slowly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.fixture
def server() -> Iterator[PartsServer]:
    with PartsServer() as server:
        yield server
        server.wait_until_idle()


@pytest.mark.parametrize("place", SLOW)
def test_a_response_that_drips_is_given_up_in_time(server, place):
    server.parts = SLOW[place]
    with server.client(timeout=TIMEOUT, retry_policy=ONCE) as client:
        error = error_of_cancel(client)
    assert type(error) is errors.TimedOutError
    assert error.response_lost


def test_a_response_that_drips_through_tls_is_given_up_in_time(server, tmp_path):
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    server.parts = BODY
    with (
        TlsRelay(f"http://127.0.0.1:{server.port}", authority.issue_cert("127.0.0.1")) as relay,
        OllangClient(
            "a-key",
            base_url=f"https://127.0.0.1:{relay.port}",
            timeout=TIMEOUT,
            verify=str(bundle),
            retry_policy=ONCE,
        ) as client,
    ):
        assert type(error_of_cancel(client)) is errors.TimedOutError


def test_a_slow_response_that_ends_in_time_is_taken(server):
    parts = [b"HTTP/1.1 2", b"04 No Co", b"ntent\r\nX-Slow", b": 1\r\n", b"\r\n"]
    server.parts = lambda: dripping(parts)
    with server.client(timeout=30, retry_policy=ONCE) as client:
        assert client.cancel_order("o-1").attempts == 1
