"""An answer that comes too slowly, wherever in it the server is slow."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat

import pytest
import trustme

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.retry import RetryPolicy

from .conftest import error_of_cancel

ONCE = RetryPolicy(max_attempts=1)
TIMEOUT, EVERY_SECONDS = 0.5, 0.05
#: Ten times the time-out: then the server goes away, so that a client that waits is found out.
PARTS = 100


def slowly(start: bytes, part: bytes = b" ") -> Iterator[bytes]:
    return chain([start], repeat(part, PARTS))


OK = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "status": lambda: slowly(b"H"),
    "headers": lambda: slowly(OK + b"X-Slow: "),
    "more headers": lambda: slowly(OK, b"X-Slow: 1\r\n"),
    "body": lambda: slowly(OK + b"Content-Length: 99999\r\n\r\n"),
    "body of unknown length": lambda: slowly(OK + b"Connection: close\r\n\r\n"),
    "chunks": lambda: slowly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": lambda: slowly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
}


@contextmanager
def dripping(parts: Iterable[bytes], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve one connection part by part, and yield the port."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(EVERY_SECONDS)
        except OSError:  # the client went away, as it should
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.mark.parametrize("place", list(SLOW))
def test_an_answer_that_drips_is_given_up_in_time(place: str) -> None:
    with (
        dripping(SLOW[place]()) as port,
        OllangClient(
            "a-key", base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT, retry_policy=ONCE
        ) as client,
    ):
        error = error_of_cancel(client)

    assert type(error) is errors.TimedOutError
    assert error.response_lost


def test_an_answer_that_drips_through_tls_is_given_up_in_time(tmp_path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(bundle)

    with (
        dripping(SLOW["body"](), tls=context) as port,
        OllangClient(
            "a-key",
            base_url=f"https://127.0.0.1:{port}",
            timeout=TIMEOUT,
            verify=str(bundle),
            retry_policy=ONCE,
        ) as client,
    ):
        assert type(error_of_cancel(client)) is errors.TimedOutError


def test_a_slow_answer_that_ends_in_time_is_taken() -> None:
    parts = [b"HTTP/1.1 2", b"04 No Co", b"ntent\r\nX-Slow", b": 1\r\n", b"\r\n"]
    with (
        dripping(parts) as port,
        OllangClient(
            "a-key", base_url=f"http://127.0.0.1:{port}", timeout=30, retry_policy=ONCE
        ) as client,
    ):
        assert client.cancel_order("o-1").attempts == 1
