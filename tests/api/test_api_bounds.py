"""However much a server sends, and whatever bytes: it is bounded what is read, kept and waited."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any

import pytest
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import MAX_BODY_BYTES, OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy

from .conftest import SOME_ID

ONCE = RetryPolicy(max_attempts=1)
MEGABYTE = 1024 * 1024
#: What the sockets of both sides may hold of an answer that nobody reads.
SOCKET_BUFFERS = 12 * MEGABYTE


class AnyServer:
    """Answers each connection's one request with some parts, until the client goes away."""

    def __init__(self) -> None:
        self.parts: Callable[[], Iterable[bytes]] = list
        self.sent = 0
        self._idle = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def wait_until_idle(self) -> None:
        assert self._idle.wait(timeout=60), "the server is still being read from"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.sent = 0
            self._idle.clear()
            with connection:
                self._answer(connection)
            self._idle.set()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        try:
            connection.recv(65536)
            for part in self.parts():
                connection.sendall(part)
                self.sent += len(part)
        except OSError:  # the client went away
            pass


@pytest.fixture(scope="module")
def server() -> Iterator[AnyServer]:
    server = AnyServer()
    yield server
    server.close()


@contextmanager
def client_of(server: AnyServer, **options: Any) -> Iterator[OllangClient]:
    address = f"http://127.0.0.1:{server.port}"
    settings: dict[str, Any] = {"timeout": 60, "retry_policy": ONCE, **options}
    with no_waiting(), OllangClient("a-key", base_url=address, **settings) as client:
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


BODIES = {
    "without a length": endless(OK + b"\r\n", b" " * 65536),
    "of a length": endless(OK + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
    "in chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "of an error": endless(b"HTTP/1.1 404 Not Found\r\n\r\n", b" " * 65536),
    "of a redirect": endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65536),
    "of one line": endless(OK + b"Content-Type: text/html\r\n\r\n", b"<" * 65536),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("call", ["cancel", "listing"])
def test_of_a_body_without_end_only_so_much_is_read(
    server: AnyServer, call: str, body: str
) -> None:
    server.parts = BODIES[body]

    with client_of(server) as client, pytest.raises(errors.UnexpectedResponseError, match="longer"):
        CALLS[call](client)

    server.wait_until_idle()
    assert server.sent < MAX_BODY_BYTES + SOCKET_BUFFERS


HEADS = {
    "headers": endless(OK, b"X-More: 1\r\n"),
    "one header": endless(OK + b"X-Long: ", b"x" * 65536),
    "a status": endless(b"HTTP/1.1 200 ", b"x" * 65536),
    "nonsense": endless(b"", b"\x00\xff" * 32768),
    "a trailer": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: 1\r\n"),
    "the size of a chunk": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
}


@pytest.mark.parametrize("head", HEADS)
def test_of_a_head_without_end_only_so_much_is_read(server: AnyServer, head: str) -> None:
    server.parts = HEADS[head]

    with client_of(server, timeout=2) as client, pytest.raises(errors.TransportError):
        CALLS["cancel"](client)

    server.wait_until_idle()


def test_interim_answers_without_end_are_given_up_in_time(server: AnyServer) -> None:
    server.parts = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    with client_of(server, timeout=1) as client, pytest.raises(errors.TransportError):
        CALLS["cancel"](client)

    server.wait_until_idle()


# Compressed bodies: small on the wire, large in memory.


def zeros(megabytes: int, wbits: int) -> bytes:
    compressor = zlib.compressobj(wbits=wbits)
    parts = [compressor.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*parts, compressor.flush()])


GZIP, ZLIB, RAW = 31, 15, -15
BOMB = zeros(400, GZIP)
BOMBS = {
    "gzip": BOMB,
    "deflate": zeros(400, ZLIB),
    "Deflate": zeros(400, RAW),
    "gzip, gzip": gzip.compress(BOMB),
    "gzip, deflate": zlib.compress(BOMB),
    "gzip, gzip, gzip": gzip.compress(gzip.compress(BOMB)),
}


@pytest.mark.skipif(
    Version(urllib3.__version__) < Version("2.6"),
    reason="urllib3 unpacks in parts since 2.6; before, what one read brings is unpacked whole",
)
@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("call", ["cancel", "listing"])
def test_a_body_that_unpacks_to_far_more_does_not_fill_the_memory(
    server: AnyServer, call: str, encoding: str
) -> None:
    packed = BOMBS[encoding]
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    server.parts = lambda: [OK, head.encode(), packed]

    tracemalloc.start()
    try:
        with client_of(server) as client, pytest.raises(errors.OllangError):
            CALLS[call](client)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * MAX_BODY_BYTES


def test_encodings_in_any_number_are_refused(server: AnyServer) -> None:
    packed = b"{}"
    for _ in range(30):
        packed = gzip.compress(packed)
    head = f"Content-Encoding: {', '.join(['gzip'] * 30)}\r\nContent-Length: {len(packed)}\r\n\r\n"
    server.parts = lambda: [OK, head.encode(), packed]

    with client_of(server) as client, pytest.raises(errors.OllangError):
        CALLS["cancel"](client)


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
raw_answers = st.binary(max_size=60) | st.builds(
    lambda status, headers, body: b"\r\n".join([status, *headers, b"", body]),
    st.sampled_from(STATUS_LINES) | st.binary(max_size=20),
    st.lists(st.sampled_from(HEADER_LINES) | st.binary(max_size=30), max_size=4),
    st.sampled_from(CONTENTS) | st.binary(max_size=30),
)


@each_call
@settings(max_examples=150, deadline=None)
@given(raw=raw_answers)
@example(b"")
@example(b"HTTP/1.1 204 No Content\r\nContent-Length: 0, 1\r\n\r\n")
@example(b"\r\n\r\n")
@example(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\n\r\n\xef\xbb\xbf" + b"[" * 100_000)
@example(b"HTTP/1.1 200 OK\r\n\r\n" + b"9" * 100_000)
@example(b"HTTP/1.1 404 X\r\n\r\n" + b'{"message":' * 600 + b"1" + b"}" * 600)
def test_any_bytes_are_a_documented_answer_or_an_error(
    server: AnyServer, call: str, raw: bytes
) -> None:
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


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_ones(
    server: AnyServer,
) -> None:
    """As a proxy may send it that lost count: the first order would lend its success."""
    confirmed, refused = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"
    answers = iter([[confirmed + confirmed], [refused]])
    server.parts = lambda: next(answers)

    with client_of(server) as client:
        client.cancel_order("o-1")
        with pytest.raises(errors.OllangError):
            client.cancel_order("o-2")
