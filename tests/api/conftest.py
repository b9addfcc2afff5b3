from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import pytest
from hypothesis import settings

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.sandbox import Sandbox
from tests.faults import KINDS

settings.register_profile("pure-functions", deadline=None)
settings.load_profile("pure-functions")

CANCEL = "/integration/orders/cancel/*"
SOME_ID = "65a4f0000123456789abcdef"
ONCE = RetryPolicy(max_attempts=1)
#: Kinds of fault that end when the client has waited for its timeout.
WAITED_FOR = {"timeout-before", "timeout-after", "slow-drip"}
each_kind = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow("waits for its timeout"))
        if kind in WAITED_FOR
        else kind
        for kind in KINDS
    ],
)


def client_of(sandbox: Sandbox, **options: Any) -> OllangClient:
    return OllangClient(sandbox.api_key, base_url=sandbox.url, **options)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def error_of_cancel(client: OllangClient, order_id: str = SOME_ID) -> OllangError:
    with pytest.raises(OllangError) as caught:
        client.cancel_order(order_id)
    return caught.value


def error_of_listing(client: OllangClient) -> OllangError:
    with pytest.raises(OllangError) as caught:
        list(client.iter_orders())
    return caught.value


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(order_count=0) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[OllangClient]:
    """Give a client that takes no pause between its attempts."""
    with no_waiting(), client_of(sandbox) as client:
        yield client


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that is taken, so that nobody else gets it, and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class RawServer:
    """Responds to each request with the next of some bytes, and keeps what it received."""

    def __init__(self, *responses: bytes) -> None:
        self._responses = list(responses)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()

    def client(self, **options: Any) -> OllangClient:
        """Return a client of this server, with a key of no interest."""
        return OllangClient("a-key", base_url=f"http://127.0.0.1:{self.port}", **options)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client may go away at any time.
        with connection, contextlib.suppress(OSError):
            self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while head := _head(lines):
                self.requests.append(head)
                only_one = len(self._responses) == 1
                connection.sendall(self._responses[0] if only_one else self._responses.pop(0))


def _head(lines: Any) -> bytes:
    head = b""
    while (line := lines.readline()) not in (b"\r\n", b""):
        head += line
    return head


class PartsServer(RawServer):
    """Responds to each connection's one request with some parts, until the client goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: Callable[[], Iterable[bytes]] = list
        self.sent = 0
        self._idle = threading.Event()

    def wait_until_idle(self) -> None:
        assert self._idle.wait(timeout=60), "the server is still being read from"

    def _respond(self, connection: socket.socket) -> None:
        self.sent = 0
        self._idle.clear()
        connection.settimeout(30)
        try:
            connection.recv(65536)
            for part in self.parts():
                connection.sendall(part)
                self.sent += len(part)
        finally:
            connection.close()
            self._idle.set()
