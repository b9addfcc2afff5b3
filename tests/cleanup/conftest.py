from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.cleanup.result import OrderResult
from airflow_provider_ollang.sandbox import Sandbox

settings.register_profile("pure-functions", deadline=None)
settings.load_profile("pure-functions")

CANCEL = "/integration/orders/cancel/*"


def client_of(sandbox: Sandbox, **options: Any) -> OllangClient:
    return OllangClient(sandbox.api_key, base_url=sandbox.url, **options)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def add_orders(sandbox: Sandbox, count: int, **fields: Any) -> list[str]:
    return [sandbox.orders.add(**fields)["id"] for _ in range(count)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(order_count=0) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[OllangClient]:
    """Give a client that takes no pause between its attempts."""
    with no_waiting(), client_of(sandbox) as client:
        yield client


class ListedRecord:
    """A report in memory; it breaks after so many lines."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.results: list[OrderResult] = []
        self.pending: list[OrderResult] = []
        self.closed = False
        self.threads: set[str] = set()
        self._breaks_after = breaks_after

    def write(self, result: OrderResult) -> None:
        self.threads.add(threading.current_thread().name)
        if len(self.results) == self._breaks_after:
            self.pending.append(result)
            raise OSError("no space left on device")
        self.results.append(result)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class MemoryPath:
    """An object of a store in memory: what a report needs of a path, and no more."""

    protocol = "memory"
    suffix = ".jsonl"

    def __init__(self, objects: dict[str, bytes], stem: str = "report") -> None:
        self.objects = objects
        self.stem = stem
        self.refuses = ""

    @property
    def parent(self) -> MemoryPath:
        return self

    def exists(self) -> bool:
        return self._name in self.objects

    def with_name(self, name: str) -> MemoryPath:
        other = MemoryPath(self.objects, name.removesuffix(self.suffix))
        other.refuses = self.refuses
        return other

    def open(self, mode: str) -> Any:
        if self.refuses and self.refuses in self._name:
            raise PermissionError("the store refuses it")
        path = self

        class Upload(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    path.objects[path._name] = self.getvalue()
                super().close()

        return Upload()

    @property
    def _name(self) -> str:
        return self.stem + self.suffix
