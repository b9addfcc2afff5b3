"""However much a server sends, how slowly, and whatever bytes: what is read is limited."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any

import pytest
import trustme
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import MAX_BODY_BYTES, OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting

from ..relays import TlsRelay
from .conftest import ONCE, SOME_ID, PartsServer, error_of_cancel

MEGABYTE = 1024 * 1024
#: What the sockets of both sides may hold of a response that nobody reads.
SOCKET_BUFFERS = 12 * MEGABYTE


@pytest.fixture(scope="module")
def server() -> Iterator[PartsServer]:
    with PartsServer() as server:
        yield server


@contextmanager
def client_of(server: PartsServer, **options: Any) -> Iterator[OllangClient]:
    settings: dict[str, Any] = {"timeout": 60, "retry_policy": ONCE, **options}
    with no_waiting(), server.client(**settings) as client:
        yield client


CALLS: dict[str, Callable[[OllangClient], Any]] = {
    "cancel": lambda client: client.cancel_order(SOME_ID),
    "read": lambda client: client.get_order(SOME_ID),
    "listing": lambda client: list(client.iter_orders()),
}
each_call = pytest.mark.parametrize("call", CALLS)
OK = b"HTTP/1.1 200 OK\r\n"


def endless(head: bytes, part: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: chain([head], repeat(part))


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "without a length": endless(OK + b"\r\n", b" " * 65536),
    "in chunks": endless(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "of a redirect": endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65536),
}


@pytest.mark.parametrize("body", BODIES)
def test_an_endless_body_is_read_up_to_a_limit(server, body):
    server.parts = BODIES[body]
    with client_of(server) as client, pytest.raises(errors.UnexpectedResponseError, match="longer"):
        client.cancel_order(SOME_ID)
    server.wait_until_idle()
    assert server.sent < MAX_BODY_BYTES + SOCKET_BUFFERS


HEADS = {
    "headers": endless(OK, b"X-More: 1\r\n"),
    "one header": endless(OK + b"X-Long: ", b"x" * 65536),
    "a trailer": endless(CHUNKED + b"0\r\n", b"X-More: 1\r\n"),
    "the size of a chunk": endless(CHUNKED, b"0" * 65536),
    "interim responses": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize("head", HEADS)
def test_an_endless_head_is_given_up_in_time(server, head):
    server.parts = HEADS[head]
    with client_of(server, timeout=0.5) as client, pytest.raises(errors.TransportError):
        client.cancel_order(SOME_ID)
    server.wait_until_idle()


# Compressed bodies: small on the wire, large in memory.


def zeros(megabytes: int, wbits: int) -> bytes:
    compressor = zlib.compressobj(wbits=wbits)
    parts = [compressor.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*parts, compressor.flush()])


GZIP, RAW = 31, -15
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: zeros(100, GZIP),
    "Deflate": lambda: zeros(100, RAW),
    "gzip, gzip": lambda: gzip.compress(zeros(100, GZIP)),
}


@pytest.mark.skipif(
    Version(urllib3.__version__) < Version("2.6"),
    reason="urllib3 unpacks in parts since 2.6; before, what one read brings is unpacked whole",
)
@pytest.mark.slow("100 MB are unpacked while each allocation is traced")
@pytest.mark.parametrize("encoding", BOMBS)
def test_a_body_that_unpacks_to_far_more_does_not_fill_the_memory(server, encoding):
    packed = BOMBS[encoding]()
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    server.parts = lambda: [OK, head.encode(), packed]

    tracemalloc.start()
    try:
        with client_of(server) as client, pytest.raises(errors.OllangError):
            client.cancel_order(SOME_ID)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * MAX_BODY_BYTES


# A response that is received too slowly, wherever in it the server is slow.

TIMEOUT, EVERY_SECONDS = 0.5, 0.05
#: Ten times the timeout: then the server goes away, so that a client that waits is found out.
PARTS = 100


def slowly(start: bytes, part: bytes = b" ") -> Callable[[], Iterator[bytes]]:
    return lambda: dripping([start, *[part] * PARTS])


def dripping(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield part
        time.sleep(EVERY_SECONDS)


BODY = slowly(OK + b"Content-Length: 99999\r\n\r\n")
SLOW = {
    "status": slowly(b"H"),
    "headers": slowly(OK, b"X-Slow: 1\r\n"),
    "body": BODY,
    "chunks": slowly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("place", SLOW)
def test_a_response_that_drips_is_given_up_in_time(server, place):
    server.parts = SLOW[place]
    with server.client(timeout=TIMEOUT, retry_policy=ONCE) as client:
        error = error_of_cancel(client)
    assert type(error) is errors.TimedOutError
    assert error.response_lost
    server.wait_until_idle()


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


# Any bytes.


STATUS_LINES = [
    *(b"HTTP/1.1 %d X" % status for status in (200, 204, 304, 400, 404, 409, 429, 500)),
    *(b"HTTP/1.1 204", b"HTTP/1.0 204 No Content", b"HTTP/1.1 204 \xff\x00", b"HTTP/9.9 204 X"),
    *(b"HTTP/1.1 2O4 No", b"HTTP/1.1 -1", b"HTTP/1.1 99999", b"HTTP/1.1 100 Continue\r\n", b"204"),
]
HEADER_LINES = [
    *(b"Content-Length: 5", b"Content-Length: -5", b"Content-Length: 5, 6", b"Content-Length: ?"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Encoding: gzip"),
    *(b"Content-Encoding: deflate, \xff", b"Content-Type: \x00", b"Content-Type: =?utf-8?q?=ff?="),
    *(b"Retry-After: \xff", b"Retry-After: 99999999999", b"Retry-After: 9999999999999999"),
    *(b"Location: \xff//", b"Location: http://[", b"Set-Cookie: \xff=\x00; expires=1"),
    *(b" folded", b"\ttab", b"no colon", b": no name", b"X: a\rY: b", b"\xef\xbb\xbfA: b"),
]
CONTENTS = [b'{"code": "ORDER_NOT_FOUND"}', b"5\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffff\r\n"]
raw_responses = st.binary(max_size=60) | st.builds(
    lambda status, headers, body: b"\r\n".join([status, *headers, b"", body]),
    st.sampled_from(STATUS_LINES) | st.binary(max_size=20),
    st.lists(st.sampled_from(HEADER_LINES) | st.binary(max_size=30), max_size=4),
    st.sampled_from(CONTENTS) | st.binary(max_size=30),
)


@each_call
@settings(max_examples=100, deadline=None)
@given(raw=raw_responses)
@example(b"")
@example(b"HTTP/1.1 204 No Content\r\nContent-Length: 0, 1\r\n\r\n")
@example(b"\r\n\r\n")
@example(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
@example(b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: http://[::1\r\n\r\n")
@example(b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: \xff\xfe\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\n\r\n\xef\xbb\xbf" + b"[" * 100_000)
@example(b"HTTP/1.1 200 OK\r\n\r\n" + b"9" * 100_000)
@example(b"HTTP/1.1 404 X\r\n\r\n" + b'{"message":' * 600 + b"1" + b"}" * 600)
def test_any_bytes_are_a_documented_response_or_an_error(server, call, raw):
    server.parts = lambda: [raw]

    with client_of(server) as client:
        try:
            CALLS[call](client)
        except errors.OllangError as error:
            assert not isinstance(error, errors.InvalidInputError)
            assert str(error).isprintable()
            assert len(str(error)) < 1000
        else:
            assert call == "cancel"
            assert b" 204" in raw


def test_an_unsolicited_response_is_not_taken_for_the_next_one(server):
    """As a proxy may send it that lost count: the first order would lend its success."""
    confirmed, not_found = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"
    responses = iter([[confirmed + confirmed], [not_found]])
    server.parts = lambda: next(responses)
    with client_of(server) as client:
        client.cancel_order("o-1")
        with pytest.raises(errors.OllangError):
            client.cancel_order("o-2")
