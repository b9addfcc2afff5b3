"""Servers in processes of their own, so that client and server share no interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from airflow_provider_ollang.api.client import OllangClient


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    api_key: str = "sandbox-key"

    def client(self) -> OllangClient:
        """Return a client of ours."""
        return OllangClient(self.api_key, base_url=self.url)

    def get(self, path: str) -> Any:
        """Return what one of the server's own endpoints tells."""
        response = requests.get(self.url + path, timeout=30)
        response.raise_for_status()
        return response.json()


class SandboxServer(Server):
    """A running sandbox."""

    def orders(self, status: str) -> list[str]:
        """Return the ids of the orders that have this status."""
        return [it["id"] for it in self.get("/_sandbox/orders") if it["status"] == status]

    def reset(self) -> None:
        """Make all its orders as they were."""
        requests.post(f"{self.url}/_sandbox/reset", timeout=30).raise_for_status()


@contextmanager
def canned_server(*, orders: int = 0, latency_ms: float = 0) -> Iterator[Server]:
    """Run the smallest server there is, for when the sandbox would be the limit."""
    options = {"--orders": orders, "--latency-ms": latency_ms}
    with _running("benchmarks.server", options) as url:
        yield Server(url)


@contextmanager
def sandbox(*, orders: int, latency_ms: float) -> Iterator[SandboxServer]:
    """Run the sandbox."""
    options = {"--port": 0, "--orders": orders, "--latency-ms": latency_ms}
    with _running("airflow_provider_ollang.sandbox", options) as url:
        yield SandboxServer(url)


@contextmanager
def _running(module: str, options: dict[str, float]) -> Iterator[str]:
    """Run a server that first prints a line with its URL at the end."""
    arguments = [str(part) for option in options.items() for part in option]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout  # noqa: S101 - it is piped
            yield process.stdout.readline().split()[-1]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
