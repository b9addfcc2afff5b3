from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.sandbox import Sandbox

settings.register_profile("pure-functions", deadline=None)
settings.load_profile("pure-functions")

CANCEL = "/integration/orders/cancel/*"
SOME_ID = "65a4f0000123456789abcdef"


def client_of(sandbox: Sandbox, **options: Any) -> OllangClient:
    return OllangClient(sandbox.api_key, base_url=sandbox.url, **options)


def error_of_cancel(client: OllangClient, order_id: str = SOME_ID) -> OllangError:
    with pytest.raises(OllangError) as caught:
        client.cancel_order(order_id)
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


class RawServer:
    """Answers every request with the next of some bytes, and keeps what came on the wire."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while head := _head(lines):
                    self.requests.append(head)
                    only_one = len(self._answers) == 1
                    connection.sendall(self._answers[0] if only_one else self._answers.pop(0))
        except OSError:  # the client went away
            connection.close()


def _head(lines: Any) -> bytes:
    head = b""
    while (line := lines.readline()) not in (b"\r\n", b""):
        head += line
    return head
